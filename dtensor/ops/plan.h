/* How the inputs of a call must lie, and how its output lies then. */
#ifndef DTENSOR_OPS_PLAN_H_
#define DTENSOR_OPS_PLAN_H_

#include "dtensor/ops/op.h"
#include "dtensor/spec/layout.h"

typedef struct dti_plan {
  int moves[DTI_OP_INPUTS];     /* 0: the input is used as it lies */
  dti_layout to[DTI_OP_INPUTS]; /* where it moves; written for inputs that move only */
  dti_layout out;
} dti_plan;

/* Choose the layouts for a call whose inference is done. Local, and the same on every rank.
 *
 * A mesh dimension whose inputs match a row stays as it is. The others take, together, the rows
 * that are reached with the fewest bytes, where a Partial that a row makes counts what scattering
 * it will cost; of equals, what moves fewer inputs, then the earlier rows. */
void dti_plan_make(const dti_call *call, dti_plan *plan);

/* The rows of a call, all replicated last. */
void dti_rules_collect(const dti_call *call, dti_rules *rules);

#endif
