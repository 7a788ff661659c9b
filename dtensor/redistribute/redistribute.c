#include "dtensor/redistribute/redistribute.h"

#include "dtensor/base/fail.h"
#include "dtensor/redistribute/alike.h"
#include "dtensor/redistribute/end.h"

dtensor_status dti_redistribute_to(const dtensor *x, dtensor_mesh *mesh, const dti_layout *to,
                                   const dtensor_redistribute_opts *opts, dtensor_status mine,
                                   dtensor **out) {
  dtensor *y = NULL;
  const dtensor_status made = dti_tensor_create(mesh, x->dtype, to, &y);
  if (made == DTENSOR_EDTYPE) return dti_alike_refuse(x->mesh, mesh, made);
  if (mine == DTENSOR_OK) mine = made;
  const int takes_part =
      dti_mesh_is_member(x->mesh) || dti_mesh_is_member(mesh) || !dti_mesh_same(x->mesh, mesh);
  dtensor_status status = mine;
  if (takes_part) {
    const dti_transfer_item item = dti_transfer_item_of(x, mesh, to, y);
    status = dti_transfer_run(1, &item, opts, mine);
  }
  if (status != DTENSOR_OK) dtensor_destroy(&y);
  *out = y;
  return status;
}

dtensor_status dti_redistribute(const dtensor *x, const dti_layout *to, dtensor_status mine,
                                dtensor **out) {
  *out = NULL;
  if (!dti_layout_equal(&x->layout, to))
    return dti_redistribute_to(x, x->mesh, to, NULL, mine, out);
  if (mine != DTENSOR_OK) return mine;
  *out = dtensor_retain((dtensor *)x); /* const is about its elements */
  return DTENSOR_OK;
}

dtensor_status dti_redistribute_check(const dtensor *x, const dtensor_mesh *mesh,
                                      const dtensor_placement to[],
                                      const dtensor_redistribute_opts *opts, dti_layout *layout) {
  DTI_CHECK(to, DTENSOR_EINVAL, "placements must not be NULL");
  DTI_CHECK(!opts || opts->max_bytes >= 0, DTENSOR_EINVAL, "max_bytes is %lld",
            (long long)opts->max_bytes);
  DTI_CHECK(!opts || opts->max_received >= 0, DTENSOR_EINVAL, "max_received is %lld",
            (long long)opts->max_received);
  return dti_layout_init(layout, x->layout.ndim, x->layout.shape, mesh->ndim, mesh->shape, to);
}

dtensor_status dtensor_redistribute(const dtensor *x, const dtensor_placement to[],
                                    const dtensor_redistribute_opts *opts, dtensor **out) {
  DTI_API();
  DTI_CHECK(out, DTENSOR_EINVAL, "out must not be NULL");
  *out = NULL;
  DTI_CHECK(x, DTENSOR_EINVAL, "x must not be NULL");
  dti_layout layout;
  const dtensor_status verdict = dti_redistribute_check(x, x->mesh, to, opts, &layout);
  if (verdict != DTENSOR_OK) return dti_alike_refuse(x->mesh, x->mesh, verdict);
  return dti_redistribute_to(x, x->mesh, &layout, opts, DTENSOR_OK, out);
}

dtensor_status dtensor_redistribute_to(const dtensor *x, dtensor_mesh *mesh,
                                       const dtensor_placement to[],
                                       const dtensor_redistribute_opts *opts, dtensor **out) {
  DTI_API();
  DTI_CHECK(out, DTENSOR_EINVAL, "out must not be NULL");
  *out = NULL;
  DTI_CHECK(x && mesh, DTENSOR_EINVAL, "x and mesh must not be NULL");
  dti_layout layout;
  const dtensor_status verdict = dti_redistribute_check(x, mesh, to, opts, &layout);
  if (verdict != DTENSOR_OK) return dti_alike_refuse(x->mesh, mesh, verdict);
  return dti_redistribute_to(x, mesh, &layout, opts, DTENSOR_OK, out);
}
