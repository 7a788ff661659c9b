/* Which legs of a transfer are collectives, and the communicators that they run on. */
#ifndef DTENSOR_REDISTRIBUTE_LANES_H_
#define DTENSOR_REDISTRIBUTE_LANES_H_

#include "dtensor/redistribute/steps.h"

/* Make leg l a collective if all of its items ask for the same one, and what it moves for any rank
 * is within the limits of collectives and of the caller; else it goes by messages. The same on all
 * ranks. Errors: DTENSOR_ENOMEM */
dtensor_status dti_lanes_choose(const dti_steps_request *request, const dti_steps *steps, int l);

/* Whether a leg needs a lane that was not made yet: the same on all ranks. Else all of them know
 * theirs from now on. */
int dti_lanes_are_missing(const dti_steps_request *request, dti_steps *steps);

/* Make those. Collective over the transfer's communicator: an error on one rank is one on all. */
dtensor_status dti_lanes_make(dti_comm *comm, dti_steps *steps);

#endif
