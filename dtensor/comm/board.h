/* The boards that ranks of a node meet on: each member has one, which only it writes. */
#ifndef DTENSOR_COMM_BOARD_H_
#define DTENSOR_COMM_BOARD_H_

#include <stdalign.h>
#include <stdatomic.h>
#include <stdint.h>

#include "dtensor/comm/node.h"

/* A place for every meeting whose number has the same rest. Numbers only grow, so one that a member
 * waits for never goes back behind it, even if the board has a new user by then. */
typedef struct dti_board {
  struct dti_place {
    alignas(64) _Atomic uint64_t posted; /* the last meeting that its owner posted here */
    _Atomic uint64_t left_before;        /* left_all at that time */
    alignas(16) char desk[DTI_MEETING_BYTES];
    alignas(64) _Atomic uint64_t left; /* and that it left */
  } place[DTI_MEETINGS];
  alignas(64) _Atomic uint64_t left_all;             /* it has left all meetings up to this one */
  alignas(64) char copy[DTI_COPIES][DTI_COPY_BYTES]; /* of what its owner brings */
} dti_board;

/* One that nobody uses, in memory of this rank that others can reach; NULL if there is no memory.
 * Every number on it is at most *last. */
dti_board *dti_board_take(uint64_t *last);

/* Post and leave all meetings up to `last`. */
void dti_board_start(dti_board *board, uint64_t last);

/* For the next user. Only when no member reads a desk or waits for a post any more; a board with
 * readers is left to them, for good. */
void dti_board_put(dti_board *board);

#endif
