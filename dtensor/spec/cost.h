/* What a step of a route costs on a machine. */
#ifndef DTENSOR_SPEC_COST_H_
#define DTENSOR_SPEC_COST_H_

#include "dtensor/machine.h"
#include "dtensor/spec/route.h"
#include "dtensor/spec/volume.h"

/* How the ranks of a mesh lie over nodes: so many consecutive places share one. Known alike on all
 * ranks. */
typedef struct dti_topology {
  int64_t ranks_per_node; /* at least 1 */
  int shared_memory;      /* ranks of a node read each other's memory */
} dti_topology;

typedef struct dti_cost {
  double seconds;
  int64_t messages; /* received or sent, whichever is more */
  int64_t bytes_received, bytes_sent;
  int64_t workspace; /* bytes, beside the arrays before and after */
} dti_cost;

/* The price of one step for one rank in one round, and what one more round adds to the time. */
typedef struct dti_price {
  dti_cost cost;
  double round_seconds;
} dti_price;

/* Of an exchange by this engine. `volume` is the rank's. */
dti_price dti_exchange_price(const dtensor_machine *machine, dti_topology topology, int64_t ranks,
                             size_t element, const dti_step *step, int64_t group,
                             const dti_volume *volume);

/* Of a gather step: so many bytes of each rank of the line. */
dti_price dti_gather_price(const dtensor_machine *machine, dti_topology topology,
                           const dti_step *step, int64_t bytes);

#endif
