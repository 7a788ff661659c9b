/* An independent copy, packed. */
#include "dtensor/base/fail.h"
#include "dtensor/kernels/strided.h"
#include "dtensor/ops.h"
#include "dtensor/ops/dispatch.h"
#include "dtensor/ops/op_list.h"
#include "dtensor/ops/same_shape.h"

static dtensor_status infer(dti_call *call) {
  dti_same_shape_infer(call);
  return DTENSOR_OK;
}

static const dti_rule rules[] = {{{DTI_P_ANY}, DTI_P_ANY, 0}};

static dtensor_status local(const dti_call *call, const dtensor *const in[], dtensor *out) {
  const dti_array y = dti_tensor_array(out), x = dti_tensor_array(in[0]);
  dti_copy(&y, &x, dtensor_dtype_size(call->dtype), out->mesh->threads);
  return DTENSOR_OK;
}

static const dti_sample samples[] = {
    {.in = {{2, {7, 5}}}}, {.in = {{3, {2, 1, 3}}}}, {.in = {{0, {0}}}}, {.in = {{2, {3, 0}}}}};

const dti_op dti_op_copy = {.name = "copy",
                            .n_in = 1,
                            .infer = infer,
                            .make_rules = dti_same_shape_rules,
                            DTI_TABLE(rules, rules),
                            .local = local,
                            DTI_TABLE(samples, samples)};

dtensor_status dtensor_copy(const dtensor *x, dtensor **y) {
  DTI_API();
  return dti_dispatch(&dti_op_copy, &x, NULL, y);
}
