/* Redistribution that gives up its source: in a segment of the node nothing moves. */
#include "dtensor/base/fail.h"
#include "dtensor/comm/node.h"
#include "dtensor/node_shared.h"
#include "dtensor/redistribute/alike.h"
#include "dtensor/redistribute/end.h"
#include "dtensor/redistribute/meet.h"
#include "dtensor/redistribute/redistribute.h"
#include "dtensor/spec/window.h"

/* 1 if x and the result are windows of the same segments; every rank finds the same. */
static int stays_in_segment(const dtensor *x, const dti_layout *to) {
  return x->node_dims && dti_window_fits(to, x->node_dims) &&
         dti_window_same_segment(&x->layout, to, x->node_dims);
}

/* Nobody on this rank can see what becomes of x's memory, and it is in the segment still. */
static int is_only_user(dtensor *x) {
  return dti_refcount_is_one(&x->refs) && !x->left && x->storage->segment &&
         dti_refcount_is_one(&x->storage->refs);
}

/* What a rank brings to the meeting; of all of them the least counts. */
typedef struct note {
  int64_t verdict; /* of dti_agree_value() */
  int64_t may_stay;
} note;

static void take_least(note *least, const note *other) {
  if (other->verdict < least->verdict) least->verdict = other->verdict;
  if (other->may_stay < least->may_stay) least->may_stay = other->may_stay;
}

/* Of all ranks of the mesh. What they wrote before is there. */
static dtensor_status find_least(dti_comm *comm, note *least) {
  dti_node *node;
  uint64_t meeting;
  DTI_TRY(dti_comm_node(comm, &node));
  DTI_TRY(dti_meet(node, least, sizeof *least, &meeting));
  for (int member = 0; member < dti_node_size(node); member++)
    take_least(least, dti_node_brought(node, meeting, member));
  dti_node_leave(node, meeting);
  if (dti_node_size(node) == dti_comm_size(comm)) return DTENSOR_OK;
  int64_t values[] = {least->verdict, least->may_stay};
  DTI_TRY(dti_comm_allreduce(comm, values, 2, DTI_COMM_MIN));
  *least = (note){values[0], values[1]};
  return DTENSOR_OK;
}

/* The new handle on x's storage; *out is NULL if the ranks have agreed that x must be copied. */
static dtensor_status stay(dtensor *x, const dti_layout *to, dtensor **out) {
  dti_comm *comm;
  dtensor *y = NULL;
  DTI_TRY(dti_mesh_comm(x->mesh, &comm));
  note least = {.may_stay = is_only_user(x)};
  const dtensor_status mine =
      dti_tensor_wrap(x->mesh, x->dtype, to, x->storage, NULL, x->stride, &y);
  least.verdict = dti_agree_value(mine, dti_comm_rank(comm));
  dtensor_status status = find_least(comm, &least);
  if (status == DTENSOR_OK) status = dti_agree_verdict(mine, least.verdict);
  if (status != DTENSOR_OK || !least.may_stay) {
    dtensor_destroy(&y);
    return status;
  }
  y->is_foreign = 0;
  y->node_dims = x->node_dims;
  dti_tensor_take_window(y);
  *out = y;
  return DTENSOR_OK;
}

dtensor_status dtensor_redistribute_consume(dtensor **x_, const dtensor_placement to[],
                                            const dtensor_redistribute_opts *opts, dtensor **out) {
  DTI_API();
  DTI_CHECK(out, DTENSOR_EINVAL, "out must not be NULL");
  DTI_CHECK(out != x_, DTENSOR_EINVAL, "x and out must not be the same place");
  *out = NULL;
  DTI_CHECK(x_ && *x_, DTENSOR_EINVAL, "x must not be NULL");
  dtensor *x = *x_;
  dti_layout layout;
  const dtensor_status verdict = dti_redistribute_check(x, x->mesh, to, opts, &layout);
  if (verdict != DTENSOR_OK) return dti_alike_refuse(x->mesh, x->mesh, verdict);
  if (stays_in_segment(x, &layout)) {
    dti_comm *comm;
    const dti_transfer_item item = dti_transfer_item_of(x, x->mesh, &layout, NULL);
    DTI_TRY(dti_mesh_comm(x->mesh, &comm));
    DTI_TRY(dti_alike_check(comm, &item, opts));
    DTI_TRY(stay(x, &layout, out));
  }
  if (!*out) DTI_TRY(dti_redistribute_to(x, x->mesh, &layout, opts, DTENSOR_OK, out));
  dtensor_destroy(x_);
  return DTENSOR_OK;
}
