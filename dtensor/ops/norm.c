/* The 2-norm: a square root of a sum of squares, where the sum must be complete before the root. */
#include "dtensor/base/fail.h"
#include "dtensor/ops.h"
#include "dtensor/ops/dispatch.h"
#include "dtensor/ops/op_list.h"

static int is_partial(const dti_layout *layout) {
  for (int m = 0; m < layout->mesh_ndim; m++)
    if (layout->p[m].kind == DTENSOR_PARTIAL) return 1;
  return 0;
}

dtensor_status dtensor_norm(const dtensor *x, int ndims, const int dims[], int keepdim,
                            dtensor **y) {
  DTI_API();
  DTI_CHECK(y, DTENSOR_EINVAL, "the place for the result is NULL");
  *y = NULL;
  dti_call call;
  dti_plan plan;
  const dti_params params = {.ndims = dims ? ndims : 0, .dims = dims, .keepdim = keepdim};
  DTI_TRY(dti_call_make(&dti_op_sum_squares, &x, &params, &call));
  dti_plan_make(&call, &plan);

  dtensor *squares = NULL;
  dtensor_status status = dti_execute(&call, &plan, DTENSOR_OK, &squares);
  if (is_partial(&plan.out) && dti_mesh_is_member(x->mesh)) {
    /* The other ranks are about to reduce the sums: all of them go on, or none. */
    dti_comm *comm;
    const dtensor_status met = dti_mesh_comm(x->mesh, &comm);
    status = met == DTENSOR_OK ? dti_comm_agree(comm, status) : met;
  }
  if (status == DTENSOR_OK)
    status = dti_dispatch(&dti_op_sqrt, &(const dtensor *){squares}, NULL, y);
  dtensor_destroy(&squares);
  return status;
}
