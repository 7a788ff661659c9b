/* Running operators. */
#ifndef DTENSOR_OPS_DISPATCH_H_
#define DTENSOR_OPS_DISPATCH_H_

#include "dtensor/ops/op.h"
#include "dtensor/ops/plan.h"

/* Everything from the inputs to the result: check, infer, choose a row for every mesh dimension,
 * move the inputs that must be moved, run the kernel. in: op->n_in tensors; params may be NULL. On
 * an error *out is NULL. Collective over the mesh. */
dtensor_status dti_dispatch(const dti_op *op, const dtensor *const in[], const dti_params *params,
                            dtensor **out);

/* Its parts, for operators that are made of several or that give no tensor. */

/* Check the inputs, with DTENSOR_CHECK=1 that all ranks call alike, and infer. */
dtensor_status dti_call_make(const dti_op *op, const dtensor *const in[], const dti_params *params,
                             dti_call *call);

/* The inputs as the plan wants them; `mine` is what this rank has failed at before. All of ready[]
 * are written: give them to dti_inputs_release(), on an error too. Collective over the mesh. */
dtensor_status dti_inputs_move(const dti_call *call, const dti_plan *plan, dtensor_status mine,
                               dtensor *ready[]);
void dti_inputs_release(const dti_call *call, dtensor *ready[]);

/* From a plan to the result. Collective over the mesh. */
dtensor_status dti_execute(const dti_call *call, const dti_plan *plan, dtensor_status mine,
                           dtensor **out);

#endif
