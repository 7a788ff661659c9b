#include <stdlib.h>

#include "dtensor/base/fail.h"
#include "dtensor/redistribute/alike.h"
#include "dtensor/redistribute/end.h"
#include "dtensor/redistribute/redistribute.h"

struct dtensor_request {
  dtensor *x, *y;
  dti_transfer *transfer; /* NULL on ranks outside of the mesh */
};

static void destroy_request(dtensor_request *request) {
  if (!request) return;
  dtensor_destroy(&request->x);
  dtensor_destroy(&request->y);
  free(request);
}

dtensor_status dtensor_redistribute_begin(const dtensor *x, const dtensor_placement to[],
                                          const dtensor_redistribute_opts *opts,
                                          dtensor_request **request) {
  DTI_API();
  DTI_CHECK(request, DTENSOR_EINVAL, "request must not be NULL");
  *request = NULL;
  DTI_CHECK(x, DTENSOR_EINVAL, "x must not be NULL");
  dti_layout layout;
  int64_t max_bytes;
  dtensor *y = NULL;
  dtensor_status made = DTENSOR_OK;
  const dtensor_status verdict = dti_redistribute_check(x, x->mesh, to, opts, &layout, &max_bytes);
  if (verdict == DTENSOR_OK) made = dti_tensor_create(x->mesh, x->dtype, &layout, &y);
  if (verdict != DTENSOR_OK || made == DTENSOR_EDTYPE)
    return dti_alike_refuse(x->mesh, x->mesh, verdict != DTENSOR_OK ? verdict : made);

  dtensor_request *r = calloc(1, sizeof *r);
  dtensor_status mine = r ? made : DTI_FAIL(DTENSOR_ENOMEM, "no memory for a request");

  dti_transfer *transfer = NULL;
  dtensor_status status = mine;
  if (dti_mesh_is_member(x->mesh)) {
    const dti_transfer_end from = dti_tensor_end(x);
    const dti_transfer_end end =
        y ? dti_tensor_end(y) : (dti_transfer_end){.mesh = x->mesh, .layout = &layout};
    status = dti_transfer_begin(&from, &end, NULL, x->dtype, max_bytes, mine, &transfer);
    /* Without a handle the failure, which all ranks are about to learn, cannot wait. */
    if (status == DTENSOR_OK && mine != DTENSOR_OK) status = dti_transfer_wait(&transfer);
  }
  if (status != DTENSOR_OK) {
    dtensor_destroy(&y);
    destroy_request(r);
    return status;
  }
  r->x = dtensor_retain((dtensor *)x);
  r->y = y;
  r->transfer = transfer;
  *request = r;
  return DTENSOR_OK;
}

dtensor_status dtensor_request_test(dtensor_request *request, int *done) {
  DTI_API();
  DTI_CHECK(request && done, DTENSOR_EINVAL, "request and done must not be NULL");
  *done = 1;
  return request->transfer ? dti_transfer_test(request->transfer, done) : DTENSOR_OK;
}

dtensor_status dtensor_request_wait(dtensor_request **request, dtensor **out) {
  DTI_API();
  DTI_CHECK(out, DTENSOR_EINVAL, "out must not be NULL");
  *out = NULL;
  DTI_CHECK(request && *request, DTENSOR_EINVAL, "request must not be NULL");
  dtensor_request *r = *request;
  *request = NULL;
  dtensor_status status = DTENSOR_OK;
  if (r->transfer) status = dti_transfer_wait(&r->transfer);
  if (status == DTENSOR_OK) {
    *out = r->y;
    r->y = NULL;
  }
  destroy_request(r);
  return status;
}
