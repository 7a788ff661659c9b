/* Dimensions in another order, on the same storage. */
#include "dtensor/base/fail.h"
#include "dtensor/ops.h"
#include "dtensor/ops/dispatch.h"
#include "dtensor/ops/op_list.h"

static dtensor_status check_dim(int dim, int ndim, int *out) {
  *out = dim < 0 ? dim + ndim : dim;
  DTI_CHECK(*out >= 0 && *out < ndim, DTENSOR_EINVAL, "dim %d of a tensor that has %d", dim, ndim);
  return DTENSOR_OK;
}

static void infer_shape(dti_call *call) {
  const dti_layout *x = &call->in[0]->layout;
  call->ndim = x->ndim;
  for (int d = 0; d < x->ndim; d++) call->shape[d] = x->shape[call->axis[d]];
}

static dtensor_status infer_transpose(dti_call *call) {
  const int ndim = call->in[0]->layout.ndim;
  int dim0, dim1;
  DTI_TRY(check_dim(call->params.dims[0], ndim, &dim0));
  DTI_TRY(check_dim(call->params.dims[1], ndim, &dim1));
  for (int d = 0; d < ndim; d++) call->axis[d] = d;
  call->axis[dim0] = dim1;
  call->axis[dim1] = dim0;
  infer_shape(call);
  return DTENSOR_OK;
}

static dtensor_status infer_permute(dti_call *call) {
  const int ndim = call->in[0]->layout.ndim;
  unsigned seen = 0;
  DTI_CHECK(call->params.dims || ndim == 0, DTENSOR_EINVAL, "dims is NULL");
  for (int d = 0; d < ndim; d++) {
    DTI_TRY(check_dim(call->params.dims[d], ndim, &call->axis[d]));
    DTI_CHECK(!(seen & 1u << call->axis[d]), DTENSOR_EINVAL, "dim %d is given twice",
              call->params.dims[d]);
    seen |= 1u << call->axis[d];
  }
  infer_shape(call);
  return DTENSOR_OK;
}

static void make_rules(const dti_call *call, dti_rules *rules) {
  for (int d = 0; d < call->ndim; d++)
    dti_rules_add(rules, (dti_rule){{DTI_S(call->axis[d])}, DTI_S(d), 0});
}

static const dti_rule rules[] = {{{DTI_P_ANY}, DTI_P_ANY, 0}};

static dtensor_status view(const dti_call *call, const dti_layout *layout, const dtensor *x,
                           dtensor **out) {
  int64_t stride[DTENSOR_MAX_NDIM];
  dti_local local = {.elements = x->local_numel}; /* each dimension is split as it was */
  for (int d = 0; d < call->ndim; d++) {
    const int from = call->axis[d];
    stride[d] = x->stride[from];
    local.shape[d] = x->local_shape[from];
    local.offset[d] = x->local_offset[from];
  }
  DTI_TRY(
      dti_tensor_wrap_local(x->mesh, x->dtype, layout, &local, x->storage, x->data, stride, out));
  (*out)->is_foreign = x->is_foreign;
  return DTENSOR_OK;
}

static const dti_sample transpose_samples[] = {
    {.in = {{2, {7, 5}}}, .params = {.ndims = 2, .dims = (const int[]){0, 1}}},
    {.in = {{3, {2, 3, 5}}}, .params = {.ndims = 2, .dims = (const int[]){-1, 0}}},
    {.in = {{2, {0, 3}}}, .params = {.ndims = 2, .dims = (const int[]){1, 0}}},
    {.in = {{1, {4}}}, .params = {.ndims = 2, .dims = (const int[]){0, 0}}},
};
static const dti_sample permute_samples[] = {
    {.in = {{3, {2, 3, 5}}}, .params = {.ndims = 3, .dims = (const int[]){2, 0, 1}}},
    {.in = {{4, {2, 1, 3, 2}}}, .params = {.ndims = 4, .dims = (const int[]){3, 0, -3, -2}}},
    {.in = {{0, {0}}}, .params = {.dims = NULL}},
};

const dti_op dti_op_transpose = {.name = "transpose",
                                 .n_in = 1,
                                 .infer = infer_transpose,
                                 .make_rules = make_rules,
                                 DTI_TABLE(rules, rules),
                                 .view = view,
                                 DTI_TABLE(samples, transpose_samples)};

const dti_op dti_op_permute = {.name = "permute",
                               .n_in = 1,
                               .infer = infer_permute,
                               .make_rules = make_rules,
                               DTI_TABLE(rules, rules),
                               .view = view,
                               DTI_TABLE(samples, permute_samples)};

dtensor_status dtensor_transpose(const dtensor *x, int dim0, int dim1, dtensor **y) {
  DTI_API();
  return dti_dispatch(&dti_op_transpose, &x,
                      &(dti_params){.ndims = 2, .dims = (const int[]){dim0, dim1}}, y);
}

dtensor_status dtensor_permute(const dtensor *x, const int dims[], dtensor **y) {
  DTI_API();
  return dti_dispatch(&dti_op_permute, &x,
                      &(dti_params){.ndims = x ? x->layout.ndim : 0, .dims = dims}, y);
}
