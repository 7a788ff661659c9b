/* Lanes: communicators that carry data collectives, and verdicts on the data.
 *
 * Collectives of one communicator must start in the same order on all of its ranks. Control
 * collectives start when a call is made; the data of a transfer move when its agreement happens to
 * arrive. So data collectives have communicators of their own, and on each of them turns, taken
 * when the calls are made: one waits until all turns before it were left. */
#ifndef DTENSOR_COMM_LANE_H_
#define DTENSOR_COMM_LANE_H_

#include "dtensor/comm/comm.h"

/* The lane of these ranks of parent, which this rank is one of, or NULL if it was not made yet.
 * Local. Borrowed: it lives as long as parent. */
dti_comm *dti_comm_lane(const dti_comm *parent, int n, const int ranks[]);

/* Make it. Collective over parent, each rank with the lane that it is in: all of these are made, or
 * none is and every rank returns an error. */
dtensor_status dti_comm_make_lane(dti_comm *parent, int n, const int ranks[]);

/* A place in a lane's queue. All zero: none. It stays where it is in memory until it is left. */
typedef struct dti_turn {
  dti_comm *lane;
  struct dti_turn *next;
} dti_turn;

/* All ranks of the lane take their turns in the same order. */
void dti_turn_take(dti_comm *lane, dti_turn *turn);
int dti_turn_has_come(const dti_turn *turn);

/* After the collective was started, or when it never will be: on all ranks alike. */
void dti_turn_leave(dti_turn *turn);

#endif
