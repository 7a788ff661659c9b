/* A leg that is one collective of the ranks that differ in some mesh dimensions only: in place of
 * messages, and of reading what lies on the same node. What a rank sends is packed into one buffer,
 * and what it receives is reduced or put in its place straight from another; where all of one
 * direction lies in order in the array itself, there is no buffer.
 *
 * Nonblocking collectives start in the same order on all ranks: when its turn on its lane has come
 * (comm/lane.h). */
#ifndef DTENSOR_REDISTRIBUTE_COLLECTIVE_H_
#define DTENSOR_REDISTRIBUTE_COLLECTIVE_H_

#include "dtensor/base/region.h"
#include "dtensor/comm/lane.h"

/* A region that goes to, or comes from, a member. An all-gather sends to nobody in particular,
 * which is to say to this rank, and it also receives from itself. */
typedef struct dti_load {
  int part, member;
  const dti_region *region;
  int at; /* where it begins in the buffer, in bytes */
} dti_load;

/* One direction. */
typedef struct dti_loads {
  int64_t n;
  dti_load *item;
  int *bytes, *begin; /* per member, as the collective wants it */
  int is_in_place;    /* it begins in the array, not in a buffer */
  char *buffer;       /* NULL: there is none */
} dti_loads;

typedef struct dti_collective {
  unsigned mesh_dims; /* that the members differ in; 0: the leg is no collective */
  int is_all_gather;  /* every rank sends the same to all */
  int members, me;
  int *rank; /* of the leg's communicator, in the lane's order */
  dti_comm *lane;
  dti_turn turn;
  dti_loads send, receive;
  int64_t bytes_in_buffers;
  dti_batch *batch; /* NULL: it was given up */
  int is_started;
  /* Of a later leg, reduced beside the data: a rank that failed before it cannot stay away, so it
   * tells the others that what it brings is worth nothing. */
  int64_t verdict;
} dti_collective;

struct dti_leg;

/* The members of a collective along the mesh dimensions in c->mesh_dims: where this leg's data go.
 * The lane is found, or made, later. */
struct dtensor_mesh;
dtensor_status dti_collective_init(dti_collective *c, const struct dtensor_mesh *mesh);

/* As those of a leg. The lane is known. Takes a turn on it. */
dtensor_status dti_collective_prepare(struct dti_leg *leg);
dtensor_status dti_collective_start(struct dti_leg *leg);
dtensor_status dti_collective_advance(struct dti_leg *leg, int *done);

void dti_collective_free(dti_collective *c);

#endif
