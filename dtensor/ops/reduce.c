/* Reductions over dimensions. */
#include "dtensor/kernels/reduce.h"

#include "dtensor/base/dtype.h"
#include "dtensor/base/fail.h"
#include "dtensor/kernels/elementwise.h"
#include "dtensor/kernels/strided.h"
#include "dtensor/ops.h"
#include "dtensor/ops/dispatch.h"
#include "dtensor/ops/op_list.h"

/* call->axis[d] becomes 1 for the dimensions that are reduced. */
static dtensor_status mark_dims(dti_call *call) {
  const dti_params *params = &call->params;
  const int ndim = call->in[0]->layout.ndim;
  for (int d = 0; d < ndim; d++) call->axis[d] = params->dims == NULL;
  if (!params->dims) return DTENSOR_OK;
  DTI_CHECK(params->ndims >= 0 && params->ndims <= ndim, DTENSOR_EINVAL,
            "%d dims of a tensor that has %d", params->ndims, ndim);
  for (int i = 0; i < params->ndims; i++) {
    const int dim = params->dims[i] < 0 ? params->dims[i] + ndim : params->dims[i];
    DTI_CHECK(dim >= 0 && dim < ndim, DTENSOR_EINVAL, "dim %d of a tensor that has %d",
              params->dims[i], ndim);
    DTI_CHECK(!call->axis[dim], DTENSOR_EINVAL, "dim %d is given twice", params->dims[i]);
    call->axis[dim] = 1;
  }
  return DTENSOR_OK;
}

static int reduces_nothing(const dti_call *call) {
  for (int d = 0; d < call->in[0]->layout.ndim; d++)
    if (call->axis[d] && call->in[0]->layout.shape[d] == 0) return 1;
  return 0;
}

static dtensor_status infer(dti_call *call) {
  DTI_CHECK(dti_reduction_has((dti_reduction)call->op->function, call->dtype), DTENSOR_EDTYPE,
            "%s has no %s", call->op->name, dtensor_dtype_name(call->dtype));
  DTI_TRY(mark_dims(call));
  const dti_layout *x = &call->in[0]->layout;
  call->ndim = 0;
  for (int d = 0; d < x->ndim; d++)
    if (!call->axis[d] || call->params.keepdim)
      call->shape[call->ndim++] = call->axis[d] ? 1 : x->shape[d];
  return DTENSOR_OK;
}

static dtensor_status infer_of_some(dti_call *call) {
  DTI_TRY(infer(call));
  char text[DTI_TEXT_SIZE];
  DTI_CHECK(!reduces_nothing(call), DTENSOR_ESHAPE, "the %s of no elements: x is %s",
            call->op->name, dti_tensor_text(call->in[0], text, sizeof text));
  return DTENSOR_OK;
}

static dtensor_status check_has_fractions(const dti_call *call) {
  DTI_CHECK(dti_unary_has(DTI_SQRT, call->dtype), DTENSOR_EDTYPE,
            "needs a floating-point or complex dtype, not %s", dtensor_dtype_name(call->dtype));
  return DTENSOR_OK;
}

static dtensor_status infer_mean(dti_call *call) {
  DTI_TRY(check_has_fractions(call));
  return infer_of_some(call);
}

static dtensor_status infer_sum_squares(dti_call *call) {
  DTI_TRY(check_has_fractions(call));
  return infer(call);
}

/* S(i) -> P if i is reduced, else S(its new number). */
static void make_rules(const dti_call *call, dti_rules *rules) {
  const dti_reduction function = (dti_reduction)call->op->function;
  const int partial = function == DTI_REDUCE_MIN   ? DTI_P_MIN
                      : function == DTI_REDUCE_MAX ? DTI_P_MAX
                                                   : DTI_P_SUM;
  int number = 0;
  for (int d = 0; d < call->in[0]->layout.ndim; d++) {
    dti_rules_add(rules, (dti_rule){{DTI_S(d)}, call->axis[d] ? partial : DTI_S(number), 0});
    if (!call->axis[d] || call->params.keepdim) number++;
  }
}

static dtensor_status local(const dti_call *call, const dtensor *const in[], dtensor *out) {
  const dti_array x = dti_tensor_array(in[0]);
  dti_array y = x; /* x's dimensions, of which the reduced ones have one element */
  y.data = out->data;
  int number = 0;
  for (int d = 0; d < x.ndim; d++) {
    if (call->axis[d]) y.shape[d] = 1;
    y.stride[d] = call->axis[d] ? 0 : out->stride[number];
    if (!call->axis[d] || call->params.keepdim) number++;
  }
  dti_reduce_apply((dti_reduction)call->op->function, call->dtype, &y, &x, call->axis,
                   out->mesh->threads);
  return DTENSOR_OK;
}

/* A sum divided by the global count: uneven and empty shards count for what they are. */
static dtensor_status local_mean(const dti_call *call, const dtensor *const in[], dtensor *out) {
  DTI_TRY(local(call, in, out));
  if (out->local_numel == 0) return DTENSOR_OK;
  int64_t count = 1;
  for (int d = 0; d < in[0]->layout.ndim; d++)
    if (call->axis[d]) count *= in[0]->layout.shape[d];
  dti_divide(out->data, out->local_numel, count, call->dtype, out->mesh->threads);
  return DTENSOR_OK;
}

static const dti_rule linear[] = {{{DTI_P_LINEAR}, DTI_P_LINEAR, 0}};
static const dti_rule of_min[] = {{{DTI_P_MIN}, DTI_P_MIN, 0}};
static const dti_rule of_max[] = {{{DTI_P_MAX}, DTI_P_MAX, 0}};

static const dti_sample samples[] = {
    {.in = {{2, {7, 5}}}, .params = {.dims = NULL}},
    {.in = {{2, {7, 5}}}, .params = {.ndims = 1, .dims = (const int[]){0}}},
    {.in = {{2, {4, 6}}}, .params = {.ndims = 1, .dims = (const int[]){-1}, .keepdim = 1}},
    {.in = {{3, {3, 2, 5}}}, .params = {.ndims = 2, .dims = (const int[]){2, 0}}},
    {.in = {{2, {0, 3}}}, .params = {.ndims = 1, .dims = (const int[]){0}}},
    {.in = {{2, {3, 0}}}, .params = {.ndims = 1, .dims = (const int[]){0}}},
    {.in = {{1, {1}}}, .params = {.dims = NULL, .keepdim = 1}},
    {.in = {{0, {0}}}, .params = {.dims = NULL}},
};

#define REDUCTION(name_, function_, infer_, rules_, local_) \
  const dti_op dti_op_##name_ = {.name = #name_,            \
                                 .n_in = 1,                 \
                                 .function = (function_),   \
                                 .infer = (infer_),         \
                                 .make_rules = make_rules,  \
                                 rules_,                    \
                                 .local = (local_),         \
                                 DTI_TABLE(samples, samples)};

REDUCTION(sum, DTI_REDUCE_SUM, infer, DTI_TABLE(rules, linear), local)
REDUCTION(mean, DTI_REDUCE_SUM, infer_mean, DTI_TABLE(rules, linear), local_mean)
REDUCTION(min, DTI_REDUCE_MIN, infer_of_some, DTI_TABLE(rules, of_min), local)
REDUCTION(max, DTI_REDUCE_MAX, infer_of_some, DTI_TABLE(rules, of_max), local)
REDUCTION(sum_squares, DTI_REDUCE_SUM_SQUARES, infer_sum_squares, .n_rules = 0, local)

static dtensor_status reduce(const dti_op *op, const dtensor *x, int ndims, const int dims[],
                             int keepdim, dtensor **y) {
  return dti_dispatch(
      op, &x, &(dti_params){.ndims = dims ? ndims : 0, .dims = dims, .keepdim = keepdim}, y);
}

dtensor_status dtensor_sum(const dtensor *x, int ndims, const int dims[], int keepdim,
                           dtensor **y) {
  DTI_API();
  return reduce(&dti_op_sum, x, ndims, dims, keepdim, y);
}

dtensor_status dtensor_mean(const dtensor *x, int ndims, const int dims[], int keepdim,
                            dtensor **y) {
  DTI_API();
  return reduce(&dti_op_mean, x, ndims, dims, keepdim, y);
}

dtensor_status dtensor_min(const dtensor *x, int ndims, const int dims[], int keepdim,
                           dtensor **y) {
  DTI_API();
  return reduce(&dti_op_min, x, ndims, dims, keepdim, y);
}

dtensor_status dtensor_max(const dtensor *x, int ndims, const int dims[], int keepdim,
                           dtensor **y) {
  DTI_API();
  return reduce(&dti_op_max, x, ndims, dims, keepdim, y);
}
