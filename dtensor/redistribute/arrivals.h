/* Where the parcels lie that have come from other nodes: each carrier keeps an index of what it
 * receives, in memory that its neighbours share. */
#ifndef DTENSOR_REDISTRIBUTE_ARRIVALS_H_
#define DTENSOR_REDISTRIBUTE_ARRIVALS_H_

#include "dtensor/redistribute/hierarchy.h"

/* Allocate and fill hierarchy->index: the manifests and buffers of what is received are there.
 * Errors: DTENSOR_ENOMEM */
dtensor_status dti_arrivals_prepare(dti_leg *leg);

/* Tell the neighbours that all has arrived that this rank receives, or that it has failed. */
void dti_arrivals_tell(const dti_leg *leg);

/* A member of the node that has not told yet; else -1. */
int dti_arrivals_awaited(const dti_leg *leg);

/* When all members have told: DTENSOR_EMPI if one of them has failed. */
dtensor_status dti_arrivals_check(const dti_leg *leg);

/* The next region that `source`, on another node, has sent this rank for a part: it lies packed.
 * When all members have told. */
const void *dti_arrivals_take(const dti_leg *leg, int part, int source);

#endif
