/* Matrix multiplication. */
#include "dtensor/matmul.h"

#include <inttypes.h>

#include "dtensor/base/dtype.h"
#include "dtensor/base/fail.h"
#include "dtensor/kernels/gemm.h"
#include "dtensor/kernels/strided.h"
#include "dtensor/ops.h"
#include "dtensor/ops/dispatch.h"
#include "dtensor/ops/matmul_ask.h"
#include "dtensor/ops/matmul_job.h"
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

/* ---- the public functions */

/* Into opts->out, or a new tensor. On failure *c is NULL. */
static dtensor_status run(const dti_matmul_asked *asked, const dtensor_matmul_opts *opts,
                          dtensor **c) {
  const dtensor *a = asked->a, *b = asked->b;
  dtensor_status status;
  dtensor *out = NULL;
  if (opts && opts->out) {
    status = dti_tensor_own(opts->out);
    dti_storage_await_readers(opts->out->storage);
    out = dtensor_retain(opts->out);
  } else {
    status = dti_tensor_create(a->mesh, asked->dtype, &asked->plan.out, &out);
    /* A Partial that the dtype has not: the same verdict on every rank. */
    if (status == DTENSOR_EDTYPE) return status;
  }
  if (dti_mesh_is_member(a->mesh)) {
    dti_matmul_job job;
    status =
        dti_matmul_job_open(&job, &asked->plan, a, b, out, &asked->terms, asked->max_bytes, status);
    if (status == DTENSOR_OK) status = dti_matmul_run(&job);
    const dtensor_status closed = dti_matmul_job_close(&job, status);
    if (status == DTENSOR_OK) status = closed;
  }
  if (status != DTENSOR_OK) dtensor_destroy(&out);
  *c = out;
  return status;
}

dtensor_status dtensor_matmul_ex(const dtensor *a, const dtensor *b,
                                 const dtensor_matmul_opts *opts, dtensor **c) {
  DTI_API();
  DTI_CHECK(c || (opts && opts->out), DTENSOR_EINVAL, "the place for the result is NULL");
  if (c) *c = NULL;
  dti_matmul_asked asked;
  DTI_TRY(dti_matmul_ask(a, b, opts, &asked, NULL, NULL));
  dtensor *out = NULL;
  const dtensor_status status = run(&asked, opts, &out);
  dti_matmul_asked_free(&asked);
  if (c)
    *c = out;
  else
    dtensor_destroy(&out);
  return status;
}

dtensor_status dtensor_matmul(const dtensor *a, const dtensor *b, dtensor **c) {
  DTI_API();
  DTI_CHECK(c, DTENSOR_EINVAL, "the place for the result is NULL");
  return dtensor_matmul_ex(a, b, NULL, c);
}
