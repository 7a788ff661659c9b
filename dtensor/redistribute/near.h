/* Arrays of the ranks that share this rank's node: where they are, read and written in place. */
#ifndef DTENSOR_REDISTRIBUTE_NEAR_H_
#define DTENSOR_REDISTRIBUTE_NEAR_H_

#include "dtensor/redistribute/leg.h"

/* An array in this process' address space. */
typedef struct dti_near_array {
  void *data;
  const int64_t *stride;
} dti_near_array;

/* Whether this rank and `rank` of leg->comm read each other's memory; 0 for this rank itself. */
int dti_is_near(const dti_leg *leg, int rank);

/* Find out about arrays that neighbours need and cannot reach, as those of the user: a source that
 * is neither reduced nor carried is delivered, everything else is lent a copy. And make room for
 * what a desk cannot hold. */
dtensor_status dti_near_prepare(dti_leg *leg);

/* See dti_leg_post(). */
int dti_near_post(dti_leg *leg, int64_t verdict);

/* When all have posted: the least of their verdicts. */
int64_t dti_near_verdict(const dti_leg *leg);

/* This rank has posted, and will do nothing more. */
void dti_near_retract(const dti_leg *leg);

/* Whether neighbours use this rank's arrays in place, so that it must wait until they have. */
int dti_near_is_awaited(const dti_leg *leg);

/* Whether they read its sources, or copies that were lent, until they leave. */
int dti_near_lends_source(const dti_leg *leg);

/* What a neighbour has posted: the source or the target array of a part. A source of NULL: it
 * delivers itself. */
dti_near_array dti_near_source(const dti_leg *leg, int part, int rank);
dti_near_array dti_near_target(const dti_leg *leg, int part, int rank);

/* Write this rank's source, which neighbours cannot reach, into their targets. */
void dti_near_deliver(const dti_leg *leg, int part);

/* Legs in which messages arrive for the whole node (arrivals.h): after the post each rank tells
 * once how its own came out: an exported address of what has arrived, or one of these. */
enum { DTI_ARRIVAL_FAILED = -3, DTI_ARRIVAL_PENDING = -2, DTI_ARRIVAL_OF_NOTHING = -1 };
void dti_near_arrive(const dti_leg *leg, int64_t arrival);
int64_t dti_near_arrival(const dti_leg *leg, int member);

/* Bring back what neighbours wrote into a lent target. */
void dti_near_take_back(const dti_leg *leg);

#endif
