/* Transfers from the inside: what transfer.c, which runs each of them, and bundle.c, which begins
 * several together, know of one. */
#ifndef DTENSOR_REDISTRIBUTE_ON_THEIR_WAY_H_
#define DTENSOR_REDISTRIBUTE_ON_THEIR_WAY_H_

#include "dtensor/redistribute/leg.h"
#include "dtensor/redistribute/steps.h"
#include "dtensor/redistribute/transfer.h"

typedef enum dti_transfer_state {
  DTI_TRANSFER_AGREEING,
  DTI_TRANSFER_MOVING,   /* also after a failure (dti_leg) */
  DTI_TRANSFER_FORSAKEN, /* this rank does not know whether the others have begun it */
  DTI_TRANSFER_COMPLETE
} dti_transfer_state;

struct dti_transfer {
  dti_comm *comm;
  dti_transfer_state state;
  dtensor_status outcome; /* this rank's own, or the first failure that it was told */
  dti_batch *agreement;   /* NULL: all ranks meet on one node and agree there */
  int64_t verdict;
  int is_lost; /* it has no messages any more */
  dti_steps steps;
  int leg;            /* the one that moves */
  int64_t bytes;      /* sent and received */
  dti_transfer *next; /* of this thread's transfers on their way */

  /* bundle.c */
  uint64_t bundle;           /* 0: it was begun by itself */
  int number;                /* in its bundle */
  int at_once, most_at_once; /* so many of it have a turn; more when that is too few, up to most */
  dti_hold hold;             /* what its source is not ready for */
  int has_turn;              /* it may send */
};

static inline dti_leg *dti_transfer_leg(dti_transfer *t) { return &t->steps.leg[t->leg]; }

/* ---- transfer.c */

/* COMPLETE, not on its way. Errors: DTENSOR_ENOMEM */
dtensor_status dti_transfer_new(dti_comm *comm, dti_transfer **transfer);
void dti_transfer_destroy(dti_transfer *t);

/* The first one of this thread's; the others are behind `next`. */
dti_transfer *dti_transfers_on_their_way(void);
void dti_transfer_join(dti_transfer *t);

/* MOVING: its messages are lost. The leg at hand goes on without them, so that neighbours find this
 * rank; of those behind it they are told. */
void dti_transfer_lose(dti_transfer *t, dtensor_status failure);

/* Not MOVING: this rank cannot agree with the others, who may wait for it. Tell the neighbours, and
 * return the failure. */
dtensor_status dti_transfer_forsake(dti_transfer *t, dtensor_status failure);

/* dti_steps_begin(), once there is room for another transfer: there may be hundreds on their way.
 */
dtensor_status dti_transfer_take_numbers(dti_steps_request *request);

/* ---- bundle.c */

/* A transfer is complete: one that was begun with it may have a turn. */
void dti_bundle_tell(const dti_transfer *t);

/* 1 if it has no turn yet: it cannot end before it has. */
static inline int dti_bundle_keeps_back(const dti_transfer *t) {
  return t->bundle != 0 && !t->has_turn;
}

#endif
