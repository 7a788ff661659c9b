/* Global arrays in and out. */
#include "dtensor/base/dtype.h"
#include "dtensor/base/fail.h"
#include "dtensor/redistribute/alike.h"
#include "dtensor/redistribute/end.h"
#include "dtensor/redistribute/redistribute.h"

/* The layout of an array that lies whole on one rank, or, for src -1, on every one. */
static dti_layout layout_at(const dti_layout *like, int64_t src) {
  dti_layout layout = *like;
  int64_t coord[DTENSOR_MAX_NDIM];
  if (src >= 0) dti_mesh_unravel(layout.mesh_ndim, layout.mesh, src, coord);
  for (int m = 0; m < layout.mesh_ndim; m++) {
    layout.p[m] = dtensor_replicate();
    if (src < 0) continue;
    layout.p[m].kind = DTI_OWNED;
    layout.p[m].param = coord[m];
  }
  return layout;
}

static dtensor_status check_arguments(const dtensor_mesh *mesh, dtensor_dtype dtype, int ndim,
                                      const int64_t shape[], int src, const dtensor_placement p[],
                                      dti_layout *to) {
  DTI_CHECK(p, DTENSOR_EINVAL, "placements must not be NULL");
  DTI_CHECK(shape || ndim == 0, DTENSOR_EINVAL, "shape must not be NULL with %d dimensions", ndim);
  DTI_CHECK(src >= -1 && src < mesh->size, DTENSOR_EINVAL,
            "source rank %d, the mesh has ranks 0 to %lld (or -1: every rank)", src,
            (long long)mesh->size - 1);
  DTI_TRY(dti_dtype_check(dtype));
  return dti_layout_init(to, ndim, shape, mesh->ndim, mesh->shape, p);
}

dtensor_status dtensor_distribute_tensor(dtensor_mesh *mesh, dtensor_dtype dtype, int ndim,
                                         const int64_t shape[], const void *global, int src,
                                         const dtensor_placement p[], dtensor **out) {
  DTI_API();
  DTI_CHECK(out, DTENSOR_EINVAL, "out must not be NULL");
  *out = NULL;
  DTI_CHECK(mesh, DTENSOR_EINVAL, "mesh must not be NULL");
  dti_layout to;
  dtensor *y = NULL;
  dtensor_status mine = DTENSOR_OK;
  const dtensor_status verdict = check_arguments(mesh, dtype, ndim, shape, src, p, &to);
  if (verdict == DTENSOR_OK) mine = dti_tensor_create(mesh, dtype, &to, &y);
  if (verdict != DTENSOR_OK || mine == DTENSOR_EDTYPE)
    return dti_alike_refuse(mesh, mesh, verdict != DTENSOR_OK ? verdict : mine);

  /* From here on a failure may be one rank's alone. */
  const int reads = src == -1 || mesh->rank == src;
  if (mine == DTENSOR_OK && dti_mesh_is_member(mesh) && reads && !global &&
      dti_numel(ndim, shape) > 0)
    mine = DTI_FAIL(DTENSOR_EINVAL, "the global array must not be NULL on a rank that reads it");
  dtensor_status status = mine;
  if (dti_mesh_is_member(mesh)) {
    const dti_layout from = layout_at(&to, src);
    int64_t stride[DTENSOR_MAX_NDIM];
    dti_packed_strides(ndim, to.shape, stride);
    const dti_transfer_item item = {
        .from = {mesh, &from, (void *)global, stride},
        .to = y ? dti_tensor_end(y) : (dti_transfer_end){.mesh = mesh, .layout = &to},
        .dtype = dtype};
    status = dti_transfer_run(1, &item, NULL, mine);
  }
  if (status != DTENSOR_OK) dtensor_destroy(&y);
  *out = y;
  return status;
}

dtensor_status dtensor_full_tensor(const dtensor *x, void *global) {
  DTI_API();
  DTI_CHECK(x, DTENSOR_EINVAL, "x must not be NULL");
  DTI_CHECK(dti_mesh_is_member(x->mesh), DTENSOR_EMESH, "this rank is not a member of the mesh");
  dtensor_status mine = DTENSOR_OK;
  if (!global && dtensor_size(x, -1) > 0)
    mine = DTI_FAIL(DTENSOR_EINVAL, "global must not be NULL");
  dti_layout whole = layout_at(&x->layout, -1);
  int64_t stride[DTENSOR_MAX_NDIM];
  dti_packed_strides(whole.ndim, whole.shape, stride);
  const dti_transfer_item item = {.from = dti_tensor_end(x),
                                  .to = {x->mesh, &whole, global, stride},
                                  .dtype = x->dtype,
                                  .is_private = 1};
  return dti_transfer_run(1, &item, NULL, mine);
}
