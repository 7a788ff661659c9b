/* What one rank has to do in a step of a route: the numbers that costs are made of. */
#ifndef DTENSOR_SPEC_VOLUME_H_
#define DTENSOR_SPEC_VOLUME_H_

#include "dtensor/spec/exchange.h"

/* Elements and messages to and from ranks of the same node, and of others. */
typedef struct dti_traffic {
  int64_t messages, elements;
  int64_t scattered; /* of these elements, in messages that do not lie together in memory */
} dti_traffic;

typedef struct dti_volume {
  dti_traffic near_in, near_out, far_in, far_out;
  int64_t own;         /* elements that it copies from itself */
  int64_t contributed; /* elements that it adds up, its own too; a step adds up all or nothing */
  int64_t largest;     /* elements of the largest message */
  int64_t far_nodes;   /* nodes that it receives from or sends to, whichever is more */
  int64_t node_in, node_out; /* elements from, or to, that node of them with which it shares most */
  int64_t far_out_once;      /* far_out, where what several ranks of a node want counts once */
} dti_volume;

/* Of the rank at these places, where so many consecutive places share a node.
 *
 * Errors: DTENSOR_ENOMEM */
dtensor_status dti_volume_of(const dti_exchange_ends *ends, int64_t ranks_per_node,
                             dti_volume *volume);

/* The heap that an exchange plan takes. */
size_t dti_exchange_bytes(const dti_exchange *exchange);

#endif
