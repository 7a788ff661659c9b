/* The steps of a way that is measured: what each costs at one of its places (way.h), and which
 * engine it is for. */
#ifndef DTENSOR_SPEC_STEP_ENGINE_H_
#define DTENSOR_SPEC_STEP_ENGINE_H_

#include "dtensor/spec/planner.h"
#include "dtensor/spec/way.h"

/* Of step i by the engine of `step`. */
dti_price dti_step_price(const dti_question *q, const dti_way_ends *ends, const dti_way *way,
                         int which, int i, const dti_step *step);

/* The bytes that it uses there beside source and target, where messages are no longer than `cut`
 * (0: whole): buffers, and the array that it leaves for the next one. */
int64_t dti_step_workspace(const dti_question *q, const dti_way_ends *ends, const dti_way *way,
                           int which, int i, const dti_step *step, int64_t cut);

/* The fastest for step i, of those that fit; direct messages may be chosen in any case. */
dti_engine dti_step_engine(const dti_question *q, const dti_way_ends *ends, const dti_way *way,
                           int i);

#endif
