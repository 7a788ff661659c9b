/* The sum of the products of all elements. */
#include "dtensor/base/fail.h"
#include "dtensor/kernels/reduce.h"
#include "dtensor/ops.h"
#include "dtensor/ops/dispatch.h"
#include "dtensor/ops/op_list.h"

static dtensor_status infer(dti_call *call) {
  const dti_layout *a = &call->in[0]->layout, *b = &call->in[1]->layout;
  char a_text[DTI_TEXT_SIZE], b_text[DTI_TEXT_SIZE];
  DTI_CHECK(dti_reduction_has(DTI_REDUCE_SUM, call->dtype), DTENSOR_EDTYPE, "dot has no %s",
            dtensor_dtype_name(call->dtype));
  int same = a->ndim == b->ndim;
  for (int d = 0; same && d < a->ndim; d++) same = a->shape[d] == b->shape[d];
  DTI_CHECK(same, DTENSOR_ESHAPE, "shapes differ: a is %s, b is %s",
            dti_tensor_text(call->in[0], a_text, sizeof a_text),
            dti_tensor_text(call->in[1], b_text, sizeof b_text));
  call->ndim = 0;
  return DTENSOR_OK;
}

static void make_rules(const dti_call *call, dti_rules *rules) {
  for (int d = 0; d < call->in[0]->layout.ndim; d++)
    dti_rules_add(rules, (dti_rule){{DTI_S(d), DTI_S(d)}, DTI_P_SUM, 0});
}

static const dti_rule rules[] = {
    {{DTI_P_LINEAR, DTI_R}, DTI_P_LINEAR, 0},
    {{DTI_R, DTI_P_LINEAR}, DTI_P_LINEAR, 0},
};

static dtensor_status local(const dti_call *call, const dtensor *const in[], dtensor *out) {
  const dti_array a = dti_tensor_array(in[0]), b = dti_tensor_array(in[1]);
  dti_dot_apply(call->dtype, &a, &b, out->data, out->mesh->threads);
  return DTENSOR_OK;
}

static const dti_sample samples[] = {
    {.in = {{1, {7}}, {1, {7}}}},
    {.in = {{2, {4, 5}}, {2, {4, 5}}}},
    {.in = {{0, {0}}, {0, {0}}}},
    {.in = {{1, {0}}, {1, {0}}}},
};

const dti_op dti_op_dot = {.name = "dot",
                           .n_in = 2,
                           .infer = infer,
                           .make_rules = make_rules,
                           DTI_TABLE(rules, rules),
                           .local = local,
                           DTI_TABLE(samples, samples)};

dtensor_status dtensor_dot(const dtensor *a, const dtensor *b, dtensor **c) {
  DTI_API();
  return dti_dispatch(&dti_op_dot, (const dtensor *const[]){a, b}, NULL, c);
}
