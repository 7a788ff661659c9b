/* The point halfway between two: (a + b) / 2. */
#include "dtensor/base/dtype.h"
#include "dtensor/base/fail.h"
#include "dtensor/kernels/elementwise.h"
#include "dtensor/ops/dispatch.h"

static dtensor_status infer(dti_call *call) {
  const dti_layout *a = &call->in[0]->layout, *b = &call->in[1]->layout;
  char a_text[DTI_TEXT_SIZE], b_text[DTI_TEXT_SIZE];
  int same = a->ndim == b->ndim;
  for (int d = 0; same && d < a->ndim; d++) same = a->shape[d] == b->shape[d];
  DTI_CHECK(same, DTENSOR_ESHAPE, "shapes differ: a is %s, b is %s",
            dti_tensor_text(call->in[0], a_text, sizeof a_text),
            dti_tensor_text(call->in[1], b_text, sizeof b_text));
  DTI_CHECK(dti_dtype_class_of(call->dtype) & (DTI_CLASS_FLOAT | DTI_CLASS_COMPLEX), DTENSOR_EDTYPE,
            "midpoint has no %s", dtensor_dtype_name(call->dtype));
  call->ndim = a->ndim;
  for (int d = 0; d < a->ndim; d++) call->shape[d] = a->shape[d];
  return dti_scalar_store(dtensor_real(0.5), call->dtype, call->scalar);
}

/* Split alike, every rank has the points that belong together: one row per dimension. */
static void make_rules(const dti_call *call, dti_rules *rules) {
  for (int d = 0; d < call->ndim; d++)
    dti_rules_add(rules, (dti_rule){{DTI_S(d), DTI_S(d)}, DTI_S(d), 0});
}

/* (sum a + sum b) / 2 = sum (a + b) / 2 */
static const dti_rule rules[] = {
    {{DTI_P_LINEAR, DTI_P_LINEAR}, DTI_P_LINEAR, 0},
};

static dtensor_status local(const dti_call *call, const dtensor *const in[], dtensor *out) {
  const dti_array a = dti_tensor_array(in[0]), b = dti_tensor_array(in[1]);
  const dti_array c = dti_tensor_array(out);
  const int threads = out->mesh->threads;
  dti_binary_apply(DTI_ADD, call->dtype, &c, &a, &b, NULL, threads);
  dti_unary_apply(DTI_SCALE, call->dtype, &c, &c, call->scalar, threads);
  return DTENSOR_OK;
}

/* Sizes that do not divide evenly, of which some ranks get nothing, and none at all. */
static const dti_sample samples[] = {
    {.in = {{2, {7, 5}}, {2, {7, 5}}}},
    {.in = {{3, {2, 1, 4}}, {3, {2, 1, 4}}}},
    {.in = {{1, {0}}, {1, {0}}}},
    {.in = {{0, {0}}, {0, {0}}}},
};

const dti_op dti_op_midpoint = {.name = "midpoint",
                                .n_in = 2,
                                .infer = infer,
                                .make_rules = make_rules,
                                DTI_TABLE(rules, rules),
                                .local = local,
                                DTI_TABLE(samples, samples)};

dtensor_status dtensor_midpoint(const dtensor *a, const dtensor *b, dtensor **c) {
  DTI_API();
  return dti_dispatch(&dti_op_midpoint, (const dtensor *const[]){a, b}, NULL, c);
}
