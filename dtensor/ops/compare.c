/* Are two tensors the same? */
#include "dtensor/base/fail.h"
#include "dtensor/kernels/reduce.h"
#include "dtensor/ops.h"
#include "dtensor/ops/dispatch.h"

static dtensor_status infer(dti_call *call) {
  call->ndim = 0;
  return DTENSOR_OK;
}

static int same_shape(const dti_layout *a, const dti_layout *b) {
  int same = a->ndim == b->ndim;
  for (int d = 0; same && d < a->ndim; d++) same = a->shape[d] == b->shape[d];
  return same;
}

/* Local parts can be compared where both are split alike; a Partial is reduced first. The verdict
 * is of all ranks, so that the output's token means nothing. */
static void make_rules(const dti_call *call, dti_rules *rules) {
  for (int d = 0; d < call->in[0]->layout.ndim; d++)
    dti_rules_add(rules, (dti_rule){{DTI_S(d), DTI_S(d)}, DTI_R, 0});
}

static const dti_op compare = {
    .name = "compare", .n_in = 2, .infer = infer, .make_rules = make_rules};

typedef struct tolerance {
  double relative, absolute;
} tolerance;

/* Exactly if there is no tolerance. */
static int compare_local(const dtensor *a, const dtensor *b, const tolerance *within) {
  const dti_array x = dti_tensor_array(a), y = dti_tensor_array(b);
  const int threads = a->mesh->threads;
  return within ? dti_all_close(a->dtype, &x, &y, within->relative, within->absolute, threads)
                : dti_all_equal(a->dtype, &x, &y, threads);
}

static dtensor_status compare_tensors(const dtensor *a, const dtensor *b, const tolerance *within,
                                      int *same) {
  dti_call call;
  dti_plan plan;
  dti_comm *comm;
  DTI_TRY(dti_call_make(&compare, (const dtensor *const[]){a, b}, NULL, &call));
  DTI_CHECK(dti_mesh_is_member(a->mesh), DTENSOR_EMESH, "this rank is not in the mesh");
  if (!same_shape(&a->layout, &b->layout)) return DTENSOR_OK;
  DTI_TRY(dti_mesh_comm(a->mesh, &comm));
  dti_plan_make(&call, &plan);

  dtensor *moved[DTI_OP_INPUTS];
  dtensor_status status = dti_inputs_move(&call, &plan, DTENSOR_OK, moved);
  int local = 0;
  if (status == DTENSOR_OK)
    local = compare_local(plan.moves[0] ? moved[0] : a, plan.moves[1] ? moved[1] : b, within);
  dti_inputs_release(&call, moved);

  /* The verdict and what a rank failed at, in one all-reduce. */
  int64_t values[] = {dti_agree_value(status, dti_comm_rank(comm)), local};
  DTI_TRY(dti_comm_allreduce(comm, values, 2, DTI_COMM_MIN));
  DTI_TRY(dti_agree_verdict(status, values[0]));
  *same = (int)values[1];
  return DTENSOR_OK;
}

dtensor_status dtensor_equal(const dtensor *a, const dtensor *b, int *equal) {
  DTI_API();
  DTI_CHECK(equal, DTENSOR_EINVAL, "the place for the result is NULL");
  *equal = 0;
  /* Different dtypes are an answer here, not an error. */
  if (a && b && a->dtype != b->dtype && dti_mesh_same(a->mesh, b->mesh)) {
    DTI_CHECK(dti_mesh_is_member(a->mesh), DTENSOR_EMESH, "this rank is not in the mesh");
    return DTENSOR_OK;
  }
  return compare_tensors(a, b, NULL, equal);
}

dtensor_status dtensor_allclose(const dtensor *a, const dtensor *b, double rtol, double atol,
                                int *close) {
  DTI_API();
  DTI_CHECK(close, DTENSOR_EINVAL, "the place for the result is NULL");
  *close = 0;
  DTI_CHECK(rtol >= 0 && atol >= 0, DTENSOR_EINVAL, "tolerances must not be negative: %g and %g",
            rtol, atol);
  return compare_tensors(a, b, &(tolerance){rtol, atol}, close);
}
