/* The steps of a way that is measured: what each costs at one of its places (way.h), and which
 * engine it is for. */
#ifndef DTENSOR_SPEC_STEP_ENGINE_H_
#define DTENSOR_SPEC_STEP_ENGINE_H_

#include "dtensor/spec/planner.h"
#include "dtensor/spec/way.h"

/* Of step i by the engine of `step`. */
dti_price dti_step_price(const dti_question *q, const dti_way_ends *ends, const dti_way *way,
                         int which, int i, const dti_step *step);

/* Arrays in between that live while step i runs. */
int64_t dti_step_between(const dti_question *q, const dti_way *way, int which, int i);

/* In how many rounds a step must go to fit; 0 if it cannot. */
int64_t dti_rounds_to_fit(const dti_price *price, int64_t between, int64_t max_bytes);

/* The fastest for step i, of those that fit; direct messages may be chosen in any case. */
dti_engine dti_step_engine(const dti_question *q, const dti_way_ends *ends, const dti_way *way,
                           int i);

#endif
