#include "dtensor/redistribute/redistribute.h"

#include "dtensor/base/event.h"
#include "dtensor/base/fail.h"
#include "dtensor/comm/check.h"
#include "dtensor/comm/node.h"
#include "dtensor/kernels/combine.h"
#include "dtensor/redistribute/alike.h"
#include "dtensor/redistribute/at_once.h"
#include "dtensor/redistribute/end.h"
#include "dtensor/redistribute/plan.h"

/* Nobody is to be asked, and nothing to be agreed on: a transfer of which this is all that happens
 * would take longer than to copy some hundred elements. 0: there is more to do, as where ranks
 * compare what they were called with, and nothing was done. */
static int settle_locally(const dtensor *x, const dtensor *y, const dti_transfer_plan *plan) {
  const dti_exchange *exchange = plan->exchange;
  if (!plan->is_local || exchange->fill || dti_event_listening() || dti_check_enabled()) return 0;
  for (int64_t i = 0; i < exchange->parcels; i++) {
    const dti_parcel *parcel = &exchange->parcel[i];
    const dti_part in = {x->data, x->stride, &parcel->theirs},
                   out = {y->data, y->stride, &parcel->region};
    dti_combine(x->dtype, exchange->op, exchange->divisor, 1, &in, 1, &out, y->mesh->threads);
  }
  return 1;
}

/* A redistribution onto `mesh`; with a plan, one that was made before: what is known of it is not
 * found out again. */
static dtensor_status run(const dtensor *x, dtensor_mesh *mesh, const dti_layout *to,
                          dti_transfer_plan *plan, const dtensor_redistribute_opts *opts,
                          dtensor_status mine, dtensor **out) {
  dtensor *y = NULL;
  const dtensor_status made =
      plan ? dti_tensor_create_local(mesh, x->dtype, to, dti_transfer_plan_target(plan), &y)
           : dti_tensor_create(mesh, x->dtype, to, &y);
  if (made == DTENSOR_EDTYPE) return dti_alike_refuse(x->mesh, mesh, made);
  if (mine == DTENSOR_OK) mine = made;
  const int takes_part =
      dti_mesh_is_member(x->mesh) || dti_mesh_is_member(mesh) || !dti_mesh_same(x->mesh, mesh);
  dtensor_status status = mine;
  if (takes_part && !(plan && mine == DTENSOR_OK && settle_locally(x, y, plan))) {
    dti_transfer_item item = dti_transfer_item_of(x, mesh, to, y);
    item.plan = plan;
    if (plan && mine == DTENSOR_OK && dti_at_once_fits(&item, opts))
      status = dti_at_once(&item, x->storage);
    else
      status = dti_transfer_run(1, &item, opts, mine);
  }
  if (status != DTENSOR_OK) dtensor_destroy(&y);
  *out = y;
  return status;
}

dtensor_status dti_redistribute_to(const dtensor *x, dtensor_mesh *mesh, const dti_layout *to,
                                   const dtensor_redistribute_opts *opts, dtensor_status mine,
                                   dtensor **out) {
  return run(x, mesh, to, NULL, opts, mine, out);
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

/* The plan of good arguments that were seen before; NULL if there is none. */
static dti_transfer_plan *recall(const dtensor *x, const dtensor_placement to[],
                                 const dtensor_redistribute_opts *opts) {
  const dtensor_mesh *mesh = x->mesh;
  if (!mesh->comm || !to || (opts && (opts->max_bytes < 0 || opts->max_received < 0))) return NULL;
  dti_transfer_terms terms = {.max_bytes = opts ? opts->max_bytes : 0,
                              .is_near = dti_comm_is_near(mesh->comm)};
  dti_transfer_terms_of_source(&terms, 1, x->is_strided, x->is_foreign);
  return dti_transfer_plan_recall(mesh, &x->layout, to, x->dtype, &terms);
}

dtensor_status dtensor_redistribute(const dtensor *x, const dtensor_placement to[],
                                    const dtensor_redistribute_opts *opts, dtensor **out) {
  DTI_API();
  DTI_CHECK(out, DTENSOR_EINVAL, "out must not be NULL");
  *out = NULL;
  DTI_CHECK(x, DTENSOR_EINVAL, "x must not be NULL");
  dti_transfer_plan *plan = recall(x, to, opts);
  if (plan) {
    const dtensor_status status = run(x, x->mesh, &plan->to, plan, opts, DTENSOR_OK, out);
    dti_transfer_plan_release(&plan);
    return status;
  }
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
