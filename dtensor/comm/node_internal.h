/* What a node is made of, and what a backend brings to it. */
#ifndef DTENSOR_COMM_NODE_INTERNAL_H_
#define DTENSOR_COMM_NODE_INTERNAL_H_

#include "dtensor/comm/backend.h"
#include "dtensor/comm/board.h"
#include "dtensor/comm/cpus.h"

/* By which others find a rank's memory. */
struct dti_card {
  int64_t process, file;
  uint64_t nonce[2], bytes;
  int64_t board; /* exported */
  uint64_t last; /* number on that board */
  dti_cpus cpus; /* where it may run */
  dti_reason reason;
};

/* A member, as this rank reaches it. */
struct dti_member {
  int rank;     /* of the communicator */
  char *memory; /* exported addresses count from here */
  size_t bytes; /* of it, where it is a mapping */
  void *peer;   /* the backend's; NULL: not reached */
  dti_board *board;
};

struct dti_node {
  dti_comm *comm;
  int size, rank;
  uint64_t next;     /* meeting */
  uint64_t left_all; /* as on its board */
  uint64_t *seen;    /* of every member what this rank last saw there */
  /* By place: bit i is a meeting that this rank has left before one that is further back there,
   * which is i + 2 rounds of the board after the last one that the others may know to be left. */
  uint64_t left_early[DTI_MEETINGS];
  dti_board *board;
  uint64_t copied[DTI_COPIES]; /* the last meeting that each copy on the board was made for */
  int next_copy;
  int shares_cpus;
  dti_member member[];
};

/* A node that shares memory, or NULL and the reason. Collective over comm. */
dtensor_status dti_node_create(dti_comm *comm, dti_node **node, dti_reason *reason);
void dti_node_destroy(dti_node **node);

/* By way of an integer: simulated ranks count from NULL. */
static inline void *dti_member_address(const dti_member *member, int64_t exported) {
  return (void *)((uintptr_t)member->memory + (uintptr_t)exported); /* NOLINT */
}

/* Say why not; the first reason stays. */
void dti_reason_set(dti_reason *reason, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
