/* The legs of a transfer: planned alike on every rank, then laid end to end. */
#ifndef DTENSOR_REDISTRIBUTE_STEPS_H_
#define DTENSOR_REDISTRIBUTE_STEPS_H_

#include "dtensor/redistribute/leg.h"
#include "dtensor/redistribute/plan.h"
#include "dtensor/redistribute/transfer.h"

/* What is asked for, and what every rank finds out about it without talking to the others. */
typedef struct dti_steps_request {
  int n;
  const dti_transfer_item *items;
  const dtensor_redistribute_opts *opts; /* may be NULL */
  dti_comm *comm;
  int is_bundled; /* one of several transfers that are begun together: a box, one exchange */

  /* written by dti_steps_begin() */
  dti_node *node; /* NULL: shares memory with nobody */
  int is_local;   /* no rank has anything to send to another */
  int is_near;    /* all ranks share memory */
  int tag[DTENSOR_MAX_NDIM];
  int meetings;
  uint64_t meeting[DTENSOR_MAX_NDIM];
} dti_steps_request;

typedef struct dti_steps {
  int legs, n;
  dti_transfer_plan **plan; /* of each item */
  dti_transfer_plan *only_plan;
  dti_leg *leg;
  dti_leg_part *part; /* of all legs */
  void **between;     /* legs x n: the array that a leg writes for an item and the next one reads */
  int64_t bytes_between;
} dti_steps;

/* Take the numbers that all ranks take in the same order: as many as a transfer can need, before
 * anything that one rank alone may fail at. Collective on the first use of comm, then local. */
dtensor_status dti_steps_begin(dti_steps_request *request);

/* The ways of all items, and room for their legs. What fails here is this rank's alone: also then
 * the result must be freed; it has no legs, and no meeting was left. */
dtensor_status dti_steps_plan(const dti_steps_request *request, dti_steps *steps);

/* Then lay this rank's part and allocate. What fails here is this rank's alone: also then the
 * result must be freed, and can take part in an agreement. `mine`: what has failed before. */
dtensor_status dti_steps_prepare(const dti_steps_request *request, dtensor_status mine,
                                 dti_steps *steps);
void dti_steps_free(dti_steps *steps);

/* This rank's part of the only step of a request for one item, in a zeroed leg and part. It is not
 * prepared yet. */
void dti_steps_lay_only(const dti_steps_request *request, dti_transfer_plan *plan, dti_leg *leg,
                        dti_leg_part *part);

#endif
