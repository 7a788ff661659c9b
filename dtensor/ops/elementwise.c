/* Everything that works element by element: an operator is one row of the tables below. */
#include "dtensor/kernels/elementwise.h"

#include <inttypes.h>
#include <math.h>

#include "dtensor/base/dtype.h"
#include "dtensor/base/fail.h"
#include "dtensor/ops.h"
#include "dtensor/ops/dispatch.h"
#include "dtensor/ops/op_list.h"

/* ---- shapes: broadcasting from the right */

/* The dimension of an input that meets dimension d of the output; negative: none. */
static int input_dim(const dtensor *x, int out_ndim, int d) {
  return d - out_ndim + x->layout.ndim;
}

static int is_broadcast(const dtensor *x, int dim, int64_t out_size) {
  return dim < 0 || (x->layout.shape[dim] == 1 && out_size != 1);
}

static dtensor_status infer_shape(dti_call *call) {
  call->ndim = 0;
  for (int i = 0; i < call->op->n_in; i++)
    if (call->in[i]->layout.ndim > call->ndim) call->ndim = call->in[i]->layout.ndim;
  for (int d = 0; d < call->ndim; d++) {
    int64_t size = 1;
    for (int i = 0; i < call->op->n_in; i++) {
      const int dim = input_dim(call->in[i], call->ndim, d);
      const int64_t n = dim < 0 ? 1 : call->in[i]->layout.shape[dim];
      char a[DTI_TEXT_SIZE], b[DTI_TEXT_SIZE];
      DTI_CHECK(n == size || n == 1 || size == 1, DTENSOR_ESHAPE,
                "sizes %" PRId64 " and %" PRId64 " do not broadcast: a is %s, b is %s", size, n,
                dti_tensor_text(call->in[0], a, sizeof a),
                dti_tensor_text(call->in[1], b, sizeof b));
      if (n != 1) size = n;
    }
    call->shape[d] = size;
  }
  return DTENSOR_OK;
}

static dtensor_status infer_binary(dti_call *call) {
  DTI_CHECK(dti_binary_has((dti_binary)call->op->function, call->dtype), DTENSOR_EDTYPE,
            "%s has no %s", call->op->name, dtensor_dtype_name(call->dtype));
  return infer_shape(call);
}

static dtensor_status infer_unary(dti_call *call) {
  DTI_CHECK(dti_unary_has((dti_unary)call->op->function, call->dtype), DTENSOR_EDTYPE,
            "%s has no %s", call->op->name, dtensor_dtype_name(call->dtype));
  return infer_shape(call);
}

static dtensor_status infer_binary_scalar(dti_call *call) {
  DTI_TRY(infer_binary(call));
  return dti_scalar_store(call->params.scalar, call->dtype, call->scalar);
}

static dtensor_status infer_unary_scalar(dti_call *call) {
  DTI_TRY(infer_unary(call));
  return dti_scalar_store(call->params.scalar, call->dtype, call->scalar);
}

/* ---- rules */

/* S(i) -> S(i), and R for what is broadcast along i. */
static void shards(const dti_call *call, dti_rules *rules) {
  for (int d = 0; d < call->ndim; d++) {
    dti_rule row = {.out = DTI_S(d)};
    for (int i = 0; i < call->op->n_in; i++) {
      const int dim = input_dim(call->in[i], call->ndim, d);
      row.in[i] = is_broadcast(call->in[i], dim, call->shape[d]) ? DTI_R : DTI_S(dim);
    }
    dti_rules_add(rules, row);
  }
}

/* Coordinates without a value hold the identity of the reduction: an infinity, or the smallest
 * integer. Adding to it must leave it what it is, which integers don't and opposite infinities
 * don't. */
static void shards_or_shift(const dti_call *call, dti_rules *rules) {
  static const dti_rule max = {{DTI_P_MAX}, DTI_P_MAX, DTI_CLASS_FLOAT};
  static const dti_rule min = {{DTI_P_MIN}, DTI_P_MIN, DTI_CLASS_FLOAT};
  shards(call, rules);
  if (call->params.scalar.kind != DTENSOR_SCALAR_INT && !isfinite(call->params.scalar.re)) return;
  dti_rules_add(rules, max);
  dti_rules_add(rules, min);
}

static const dti_rule both_linear[] = {
    {{DTI_P_LINEAR, DTI_P_LINEAR}, DTI_P_LINEAR, 0},
};
static const dti_rule each_linear[] = {
    {{DTI_P_LINEAR, DTI_R}, DTI_P_LINEAR, 0},
    {{DTI_R, DTI_P_LINEAR}, DTI_P_LINEAR, 0},
};
static const dti_rule first_linear[] = {
    /* not for integers: a quotient is cut */
    {{DTI_P_LINEAR, DTI_R}, DTI_P_LINEAR, DTI_CLASS_FLOAT | DTI_CLASS_COMPLEX},
};
static const dti_rule of_max[] = {
    {{DTI_P_MAX, DTI_P_MAX}, DTI_P_MAX, 0}, {{DTI_P_MAX, DTI_R}, DTI_P_MAX, 0},
    {{DTI_R, DTI_P_MAX}, DTI_P_MAX, 0},     {{DTI_P_MIN, DTI_R}, DTI_P_MIN, 0},
    {{DTI_R, DTI_P_MIN}, DTI_P_MIN, 0},
};
static const dti_rule of_min[] = {
    {{DTI_P_MIN, DTI_P_MIN}, DTI_P_MIN, 0}, {{DTI_P_MIN, DTI_R}, DTI_P_MIN, 0},
    {{DTI_R, DTI_P_MIN}, DTI_P_MIN, 0},     {{DTI_P_MAX, DTI_R}, DTI_P_MAX, 0},
    {{DTI_R, DTI_P_MAX}, DTI_P_MAX, 0},
};
static const dti_rule linear[] = {
    {{DTI_P_LINEAR}, DTI_P_LINEAR, 0},
};
static const dti_rule odd_linear[] = {
    {{DTI_P_LINEAR}, DTI_P_LINEAR, 0},
    /* not for integers: the smallest one has no negative */
    {{DTI_P_MAX}, DTI_P_MIN, DTI_CLASS_FLOAT},
    {{DTI_P_MIN}, DTI_P_MAX, DTI_CLASS_FLOAT},
};
static const dti_rule not_decreasing[] = {
    {{DTI_P_MAX}, DTI_P_MAX, 0},
    {{DTI_P_MIN}, DTI_P_MIN, 0},
};

/* ---- kernels */

/* x's local array, stretched to the output's shape. */
static dti_array stretched(const dtensor *x, const dtensor *out) {
  dti_array array = dti_tensor_array(out);
  array.data = x->data;
  for (int d = 0; d < array.ndim; d++) {
    const int dim = input_dim(x, array.ndim, d);
    array.stride[d] = is_broadcast(x, dim, out->layout.shape[d]) ? 0 : x->stride[dim];
  }
  return array;
}

static dtensor_status local_binary(const dti_call *call, const dtensor *const in[], dtensor *out) {
  const dti_array c = dti_tensor_array(out);
  const dti_array a = stretched(in[0], out), b = stretched(in[1], out);
  dti_binary_apply((dti_binary)call->op->function, call->dtype, &c, &a, &b, call->scalar,
                   out->mesh->threads);
  return DTENSOR_OK;
}

static dtensor_status local_unary(const dti_call *call, const dtensor *const in[], dtensor *out) {
  const dti_array y = dti_tensor_array(out), x = dti_tensor_array(in[0]);
  dti_unary_apply((dti_unary)call->op->function, call->dtype, &y, &x, call->scalar,
                  out->mesh->threads);
  return DTENSOR_OK;
}

/* Of a sum over ranks, one adds the scalar; of an average, all do. */
static dtensor_status local_shift(const dti_call *call, const dtensor *const in[], dtensor *out) {
  static const _Alignas(16) unsigned char zero[16];
  const dti_array y = dti_tensor_array(out), x = dti_tensor_array(in[0]);
  const void *scalar = call->scalar;
  for (int m = 0; m < out->mesh->ndim; m++) {
    const dtensor_placement p = out->layout.p[m];
    if (p.kind == DTENSOR_PARTIAL && p.op == DTENSOR_SUM && out->mesh->coord[m] > 0) scalar = zero;
  }
  dti_unary_apply(DTI_ADD_SCALAR, call->dtype, &y, &x, scalar, out->mesh->threads);
  return DTENSOR_OK;
}

/* ---- the operators */

#define SCALAR(value) .params = {.scalar = {DTENSOR_SCALAR_INT, value, 0, value}}

static const dti_sample binary_samples[] = {
    {.in = {{2, {7, 5}}, {2, {7, 5}}}, SCALAR(3)},    {.in = {{2, {4, 6}}, {1, {6}}}, SCALAR(2)},
    {.in = {{2, {5, 1}}, {2, {1, 3}}}, SCALAR(3)},    {.in = {{0, {0}}, {1, {7}}}, SCALAR(2)},
    {.in = {{3, {2, 1, 4}}, {2, {3, 1}}}, SCALAR(3)}, {.in = {{2, {0, 3}}, {2, {1, 3}}}, SCALAR(3)},
    {.in = {{0, {0}}, {0, {0}}}, SCALAR(2)},
};
static const dti_sample unary_samples[] = {
    {.in = {{2, {7, 5}}}, SCALAR(3)},    {.in = {{1, {6}}}, SCALAR(2)},
    {.in = {{0, {0}}}, SCALAR(3)},       {.in = {{2, {0, 3}}}, SCALAR(2)},
    {.in = {{3, {3, 1, 4}}}, SCALAR(3)},
};

#define RULES(array) DTI_TABLE(rules, array)
#define NO_RULES .n_rules = 0

#define BINARY(name_, function_, infer_, rules_)          \
  const dti_op dti_op_##name_ = {.name = #name_,          \
                                 .n_in = 2,               \
                                 .function = (function_), \
                                 .infer = (infer_),       \
                                 .make_rules = shards,    \
                                 rules_,                  \
                                 .local = local_binary,   \
                                 DTI_TABLE(samples, binary_samples)};

BINARY(add, DTI_ADD, infer_binary, RULES(both_linear))
BINARY(sub, DTI_SUB, infer_binary, RULES(both_linear))
BINARY(mul, DTI_MUL, infer_binary, RULES(each_linear))
BINARY(div, DTI_DIV, infer_binary, RULES(first_linear))
BINARY(pow, DTI_POW, infer_binary, NO_RULES)
BINARY(maximum, DTI_MAXIMUM, infer_binary, RULES(of_max))
BINARY(minimum, DTI_MINIMUM, infer_binary, RULES(of_min))
BINARY(axpy, DTI_AXPY, infer_binary_scalar, RULES(both_linear))

#define UNARY(name_, function_, infer_, make_rules_, rules_, local_) \
  const dti_op dti_op_##name_ = {.name = #name_,                     \
                                 .n_in = 1,                          \
                                 .function = (function_),            \
                                 .infer = (infer_),                  \
                                 .make_rules = (make_rules_),        \
                                 rules_,                             \
                                 .local = (local_),                  \
                                 DTI_TABLE(samples, unary_samples)};

UNARY(neg, DTI_NEG, infer_unary, shards, RULES(odd_linear), local_unary)
UNARY(abs, DTI_ABS, infer_unary, shards, NO_RULES, local_unary)
UNARY(exp, DTI_EXP, infer_unary, shards, RULES(not_decreasing), local_unary)
UNARY(log, DTI_LOG, infer_unary, shards, NO_RULES, local_unary)
UNARY(sqrt, DTI_SQRT, infer_unary, shards, NO_RULES, local_unary)
UNARY(tanh, DTI_TANH, infer_unary, shards, RULES(not_decreasing), local_unary)
UNARY(relu, DTI_RELU, infer_unary, shards, RULES(not_decreasing), local_unary)
UNARY(scale, DTI_SCALE, infer_unary_scalar, shards, RULES(linear), local_unary)
UNARY(add_scalar, DTI_ADD_SCALAR, infer_unary_scalar, shards_or_shift, RULES(linear), local_shift)
UNARY(pow_scalar, DTI_POW_SCALAR, infer_unary_scalar, shards, NO_RULES, local_unary)

/* ---- the public functions */

static dtensor_status binary(const dti_op *op, const dtensor *a, const dtensor *b, dtensor **c) {
  return dti_dispatch(op, (const dtensor *const[]){a, b}, NULL, c);
}

static dtensor_status unary(const dti_op *op, const dtensor *x, dtensor **y) {
  return dti_dispatch(op, &x, NULL, y);
}

static dtensor_status with_scalar(const dti_op *op, const dtensor *x, dtensor_scalar s,
                                  dtensor **y) {
  return dti_dispatch(op, &x, &(dti_params){.scalar = s}, y);
}

dtensor_status dtensor_add(const dtensor *a, const dtensor *b, dtensor **c) {
  DTI_API();
  return binary(&dti_op_add, a, b, c);
}

dtensor_status dtensor_sub(const dtensor *a, const dtensor *b, dtensor **c) {
  DTI_API();
  return binary(&dti_op_sub, a, b, c);
}

dtensor_status dtensor_mul(const dtensor *a, const dtensor *b, dtensor **c) {
  DTI_API();
  return binary(&dti_op_mul, a, b, c);
}

dtensor_status dtensor_div(const dtensor *a, const dtensor *b, dtensor **c) {
  DTI_API();
  return binary(&dti_op_div, a, b, c);
}

dtensor_status dtensor_pow(const dtensor *a, const dtensor *b, dtensor **c) {
  DTI_API();
  return binary(&dti_op_pow, a, b, c);
}

dtensor_status dtensor_maximum(const dtensor *a, const dtensor *b, dtensor **c) {
  DTI_API();
  return binary(&dti_op_maximum, a, b, c);
}

dtensor_status dtensor_minimum(const dtensor *a, const dtensor *b, dtensor **c) {
  DTI_API();
  return binary(&dti_op_minimum, a, b, c);
}

dtensor_status dtensor_axpy(dtensor_scalar alpha, const dtensor *x, const dtensor *y, dtensor **z) {
  DTI_API();
  return dti_dispatch(&dti_op_axpy, (const dtensor *const[]){x, y}, &(dti_params){.scalar = alpha},
                      z);
}

dtensor_status dtensor_neg(const dtensor *x, dtensor **y) {
  DTI_API();
  return unary(&dti_op_neg, x, y);
}

dtensor_status dtensor_abs(const dtensor *x, dtensor **y) {
  DTI_API();
  return unary(&dti_op_abs, x, y);
}

dtensor_status dtensor_exp(const dtensor *x, dtensor **y) {
  DTI_API();
  return unary(&dti_op_exp, x, y);
}

dtensor_status dtensor_log(const dtensor *x, dtensor **y) {
  DTI_API();
  return unary(&dti_op_log, x, y);
}

dtensor_status dtensor_sqrt(const dtensor *x, dtensor **y) {
  DTI_API();
  return unary(&dti_op_sqrt, x, y);
}

dtensor_status dtensor_tanh(const dtensor *x, dtensor **y) {
  DTI_API();
  return unary(&dti_op_tanh, x, y);
}

dtensor_status dtensor_relu(const dtensor *x, dtensor **y) {
  DTI_API();
  return unary(&dti_op_relu, x, y);
}

dtensor_status dtensor_scale(const dtensor *x, dtensor_scalar s, dtensor **y) {
  DTI_API();
  return with_scalar(&dti_op_scale, x, s, y);
}

dtensor_status dtensor_add_scalar(const dtensor *x, dtensor_scalar s, dtensor **y) {
  DTI_API();
  return with_scalar(&dti_op_add_scalar, x, s, y);
}

dtensor_status dtensor_pow_scalar(const dtensor *x, dtensor_scalar s, dtensor **y) {
  DTI_API();
  return with_scalar(&dti_op_pow_scalar, x, s, y);
}
