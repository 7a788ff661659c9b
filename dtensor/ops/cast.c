/* Elements of another dtype. */
#include "dtensor/base/dtype.h"
#include "dtensor/base/fail.h"
#include "dtensor/kernels/elementwise.h"
#include "dtensor/ops.h"
#include "dtensor/ops/dispatch.h"
#include "dtensor/ops/op_list.h"
#include "dtensor/ops/same_shape.h"

static dtensor_status infer(dti_call *call) {
  DTI_TRY(dti_dtype_check(call->params.dtype));
  call->dtype = call->params.dtype;
  dti_same_shape_infer(call);
  return DTENSOR_OK;
}

static const unsigned fractions = DTI_CLASS_FLOAT | DTI_CLASS_COMPLEX | DTI_CLASS_HALF;

/* Sums pass where no conversion rounds; those of integers don't, as they may wrap in one dtype and
 * not in the other. */
static int is_linear(dtensor_dtype from, dtensor_dtype to) {
  return from == to || ((dti_dtype_class_of(from) & fractions) && dti_dtype_widens(from, to) &&
                        dti_dtype_reduces(to, DTENSOR_SUM));
}

/* Whether a larger value never becomes a smaller one. A NaN wins every max but becomes 0 as an
 * integer, and "is not zero" is 1 for what is below zero. */
static int does_not_decrease(dtensor_dtype from, dtensor_dtype to) {
  const unsigned from_class = dti_dtype_class_of(from), to_class = dti_dtype_class_of(to);
  if (!dti_dtype_reduces(from, DTENSOR_MAX) || !dti_dtype_reduces(to, DTENSOR_MAX)) return 0;
  if (from == to) return 1;
  if (to_class == DTI_CLASS_BOOL) return 0;
  return !(from_class & fractions) || (to_class & fractions);
}

static void make_rules(const dti_call *call, dti_rules *rules) {
  const dtensor_dtype from = call->in[0]->dtype, to = call->dtype;
  dti_same_shape_rules(call, rules);
  if (is_linear(from, to)) dti_rules_add(rules, (dti_rule){{DTI_P_LINEAR}, DTI_P_LINEAR, 0});
  if (does_not_decrease(from, to)) {
    dti_rules_add(rules, (dti_rule){{DTI_P_MAX}, DTI_P_MAX, 0});
    dti_rules_add(rules, (dti_rule){{DTI_P_MIN}, DTI_P_MIN, 0});
  }
}

static dtensor_status local(const dti_call *call, const dtensor *const in[], dtensor *out) {
  const dti_array y = dti_tensor_array(out), x = dti_tensor_array(in[0]);
  dti_cast_apply(&y, call->dtype, &x, in[0]->dtype, out->mesh->threads);
  return DTENSOR_OK;
}

static const dti_sample samples[] = {
    {.in = {{2, {7, 5}}}, .params = {.dtype = DTENSOR_F64}},
    {.in = {{2, {7, 5}}}, .params = {.dtype = DTENSOR_F32}},
    {.in = {{2, {4, 3}}}, .params = {.dtype = DTENSOR_C128}},
    {.in = {{2, {4, 3}}}, .params = {.dtype = DTENSOR_I32}},
    {.in = {{1, {6}}}, .params = {.dtype = DTENSOR_I64}},
    {.in = {{1, {6}}}, .params = {.dtype = DTENSOR_BOOL}},
    {.in = {{1, {6}}}, .params = {.dtype = DTENSOR_BF16}},
    {.in = {{0, {0}}}, .params = {.dtype = DTENSOR_F64}},
};

const dti_op dti_op_cast = {.name = "cast",
                            .n_in = 1,
                            .infer = infer,
                            .make_rules = make_rules,
                            .local = local,
                            DTI_TABLE(samples, samples)};

dtensor_status dtensor_cast(const dtensor *x, dtensor_dtype dtype, dtensor **y) {
  DTI_API();
  return dti_dispatch(&dti_op_cast, &x, &(dti_params){.dtype = dtype}, y);
}
