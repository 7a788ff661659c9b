/* Matrix multiplication. */
#include <inttypes.h>

#include "dtensor/base/dtype.h"
#include "dtensor/base/fail.h"
#include "dtensor/kernels/gemm.h"
#include "dtensor/kernels/strided.h"
#include "dtensor/ops.h"
#include "dtensor/ops/dispatch.h"
#include "dtensor/ops/op_list.h"

static dtensor_status infer(dti_call *call) {
  const dti_layout *a = &call->in[0]->layout, *b = &call->in[1]->layout;
  char a_text[DTI_TEXT_SIZE], b_text[DTI_TEXT_SIZE];
  DTI_CHECK(dti_dtype_class_of(call->dtype) & (DTI_CLASS_FLOAT | DTI_CLASS_COMPLEX), DTENSOR_EDTYPE,
            "matmul has no %s", dtensor_dtype_name(call->dtype));
  DTI_CHECK(a->ndim == 2 && b->ndim == 2, DTENSOR_ESHAPE, "need two matrices: a is %s, b is %s",
            dti_tensor_text(call->in[0], a_text, sizeof a_text),
            dti_tensor_text(call->in[1], b_text, sizeof b_text));
  DTI_CHECK(a->shape[1] == b->shape[0], DTENSOR_ESHAPE, "inner sizes differ: a is %s, b is %s",
            dti_tensor_text(call->in[0], a_text, sizeof a_text),
            dti_tensor_text(call->in[1], b_text, sizeof b_text));
  call->ndim = 2;
  call->shape[0] = a->shape[0];
  call->shape[1] = b->shape[1];
  return DTENSOR_OK;
}

static const dti_rule rules[] = {
    /* a            b             c                  */
    {{DTI_S(0), DTI_R}, DTI_S(0), 0},         /* split m         */
    {{DTI_R, DTI_S(1)}, DTI_S(1), 0},         /* split n         */
    {{DTI_S(1), DTI_S(0)}, DTI_P_SUM, 0},     /* split k         */
    {{DTI_P_LINEAR, DTI_R}, DTI_P_LINEAR, 0}, /* linear in a     */
    {{DTI_R, DTI_P_LINEAR}, DTI_P_LINEAR, 0}, /* linear in b     */
};

static dtensor_status local(const dti_call *call, const dtensor *const in[], dtensor *out) {
  const dti_array c = dti_tensor_array(out);
  const dti_array a = dti_tensor_array(in[0]), b = dti_tensor_array(in[1]);
  return dti_gemm(call->dtype, &c, &a, &b, NULL, out->mesh->threads);
}

static const dti_sample samples[] = {
    {.in = {{2, {7, 5}}, {2, {5, 3}}}}, {.in = {{2, {6, 4}}, {2, {4, 8}}}},
    {.in = {{2, {1, 7}}, {2, {7, 2}}}}, {.in = {{2, {3, 0}}, {2, {0, 4}}}},
    {.in = {{2, {0, 3}}, {2, {3, 4}}}},
};

const dti_op dti_op_matmul = {.name = "matmul",
                              .n_in = 2,
                              .infer = infer,
                              DTI_TABLE(rules, rules),
                              .local = local,
                              .traced = 1,
                              DTI_TABLE(samples, samples)};

/* Whether BLAS takes the local part as it lies: rows or columns without gaps. */
static int is_for_blas(const dtensor *x) {
  const int64_t *n = x->local_shape, *stride = x->stride;
  const int rows = stride[1] == 1 && (stride[0] >= n[1] || n[0] == 1);
  const int columns = stride[0] == 1 && (stride[1] >= n[0] || n[1] == 1);
  return rows || columns || x->local_numel <= 1;
}

static dtensor_status pack(const dtensor *x, dtensor **packed) {
  DTI_TRY(dti_tensor_create(x->mesh, x->dtype, &x->layout, packed));
  const dti_array to = dti_tensor_array(*packed), from = dti_tensor_array(x);
  dti_copy(&to, &from, dtensor_dtype_size(x->dtype), x->mesh->threads);
  return DTENSOR_OK;
}

dtensor_status dtensor_matmul(const dtensor *a, const dtensor *b, dtensor **c) {
  DTI_API();
  DTI_CHECK(c, DTENSOR_EINVAL, "the place for the result is NULL");
  *c = NULL;
  dti_call call;
  dti_plan plan;
  DTI_TRY(dti_call_make(&dti_op_matmul, (const dtensor *const[]){a, b}, NULL, &call));
  dti_plan_make(&call, &plan);

  /* An operand that the kernel would have to copy is copied here if the other one moves: a lack of
   * memory can still be agreed on now. */
  dtensor *packed[2] = {NULL, NULL};
  dtensor_status status = DTENSOR_OK;
  for (int i = 0; i < 2; i++) {
    if (plan.moves[i] || !plan.moves[1 - i] || is_for_blas(call.in[i])) continue;
    status = pack(call.in[i], &packed[i]);
    if (status == DTENSOR_OK) call.in[i] = packed[i];
  }
  status = dti_execute(&call, &plan, status, c);
  for (int i = 0; i < 2; i++) dtensor_destroy(&packed[i]);
  return status;
}
