#include "dtensor/spec/route.h"

#include <string.h>

static int same_placement(const dti_layout *a, const dti_layout *b, int m) {
  return dtensor_placement_equal(a->p[m], b->p[m]);
}

static int is_kept_partial(const dti_layout *from, const dti_layout *to, int m, int same_mesh) {
  return same_mesh && from->p[m].kind == DTENSOR_PARTIAL && to->p[m].kind == DTENSOR_PARTIAL &&
         from->p[m].op == to->p[m].op;
}

/* Whether the source must be reduced, or lies on one rank. */
static int needs_spreading(const dti_layout *from, const dti_layout *to, int same_mesh) {
  for (int m = 0; m < from->mesh_ndim; m++) {
    const dtensor_placement_kind kind = from->p[m].kind;
    if (kind == DTI_OWNED && from->mesh[m] > 1) return 1;
    if (kind == DTENSOR_PARTIAL && from->mesh[m] > 1 && !is_kept_partial(from, to, m, same_mesh))
      return 1;
  }
  return 0;
}

/* Whether target mesh dimension m becomes Partial with the value on one coordinate. */
static int wants_one_share(const dti_layout *from, const dti_layout *to, int m, int same_mesh) {
  const dtensor_placement p = to->p[m];
  return p.kind == DTENSOR_PARTIAL && p.op != DTENSOR_AVG &&
         !is_kept_partial(from, to, m, same_mesh);
}

/* Whether every coordinate of target mesh dimension m gets the whole value. */
static int wants_copies(const dti_layout *from, const dti_layout *to, int m, int same_mesh) {
  const dtensor_placement p = to->p[m];
  return p.kind == DTENSOR_REPLICATE || (p.kind == DTENSOR_PARTIAL && p.op == DTENSOR_AVG &&
                                         !is_kept_partial(from, to, m, same_mesh));
}

static int axis_is_split(const dti_layout *layout, int dim) {
  for (int m = 0; m < layout->mesh_ndim; m++)
    if (dti_placement_is_shard(layout->p[m]) && layout->p[m].dim == dim) return 1;
  return 0;
}

/* The tensor dimension with the longest pieces. */
static int longest_axis(const dti_layout *layout) {
  int best = 0;
  int64_t best_length = -1;
  for (int d = 0; d < layout->ndim; d++) {
    int64_t length = layout->shape[d];
    for (int m = 0; m < layout->mesh_ndim; m++)
      if (dti_placement_is_shard(layout->p[m]) && layout->p[m].dim == d) length /= layout->mesh[m];
    if (length > best_length) {
      best = d;
      best_length = length;
    }
  }
  return best;
}

typedef enum origin { TARGET, SOURCE, FRESH } origin; /* of a placement in between */

/* Whether the pieces that the source's mesh dimension m makes can be kept in between: nothing may
 * split their tensor dimension before, other than what did in the source. */
static int keeps_pieces(const dti_layout *from, const dti_layout *to, int m, const origin split[]) {
  const dtensor_placement p = from->p[m];
  if (!dti_placement_is_shard(p) || axis_is_split(to, p.dim)) return 0;
  for (int before = 0; before < m; before++)
    if (dti_placement_is_shard(from->p[before]) && from->p[before].dim == p.dim &&
        split[before] != SOURCE)
      return 0;
  return 1;
}

/* The target with its replicas split up; 0 if it has none. A value that becomes Partial stays where
 * it is, or lies on one coordinate, until the last step: as identities it would travel too. */
static int spread_layout(const dti_layout *from, const dti_layout *to, int same_mesh,
                         dti_layout *spread) {
  origin split[DTENSOR_MAX_NDIM];
  int64_t copies = 1;
  *spread = *to;
  for (int m = 0; m < to->mesh_ndim; m++) {
    const int one_share = wants_one_share(from, to, m, same_mesh);
    split[m] = TARGET;
    if (!one_share && !wants_copies(from, to, m, same_mesh)) continue;
    if (!one_share) copies *= to->mesh[m];
    spread->p[m] = dtensor_replicate();
    if (same_mesh && keeps_pieces(from, to, m, split)) {
      split[m] = SOURCE;
      spread->p[m] = from->p[m];
    } else if (one_share) {
      spread->p[m].kind = DTI_OWNED; /* by coordinate 0 */
    } else {
      split[m] = FRESH;
    }
  }
  if (copies == 1 || to->ndim == 0) return 0;
  const int axis = longest_axis(spread);
  for (int m = 0; m < to->mesh_ndim; m++)
    if (split[m] == FRESH) spread->p[m] = dtensor_shard_balanced(axis);
  int at = 0;
  for (int turn = TARGET; turn <= FRESH; turn++)
    for (int m = 0; m < to->mesh_ndim; m++)
      if ((int)split[m] == turn) spread->order[at++] = m;
  return 1;
}

/* A few bytes that only have to be reduced: one gather per mesh dimension. */
static int route_by_gathers(const dti_layout *from, const dti_layout *to, dti_route *route) {
  for (int m = 0; m < from->mesh_ndim; m++)
    if (!same_placement(from, to, m) &&
        !(from->p[m].kind == DTENSOR_PARTIAL && to->p[m].kind == DTENSOR_REPLICATE))
      return 0;
  dti_layout now = *from;
  route->steps = 0;
  for (int m = 0; m < from->mesh_ndim; m++) {
    if (same_placement(from, to, m)) continue;
    now.p[m] = dtensor_replicate();
    route->step[route->steps++] = (dti_step){DTI_STEP_GATHER, m, now};
  }
  return route->steps > 0;
}

/* A layout of the shape of a box alone. Explicit sizes fit the global array that they were made for
 * and no other. */
static dti_layout boxed(const dti_layout *layout, const dti_box *box) {
  dti_layout of_box = *layout;
  for (int d = 0; d < layout->ndim; d++) of_box.shape[d] = box->shape[d];
  for (int m = 0; m < layout->mesh_ndim; m++)
    if (layout->p[m].kind == DTENSOR_SHARD_SIZES)
      of_box.p[m] = dtensor_shard_balanced(layout->p[m].dim);
  return of_box;
}

void dti_route_make(const dti_layout *from, const dti_layout *to, const dti_box *box, int same_mesh,
                    size_t element, dti_route *route) {
  const int64_t few = (int64_t)(DTI_FEW_BYTES / element);
  const int is_small = dti_numel(to->ndim, box ? box->shape : to->shape) <= few;
  /* Each gather rounds bf16 and f16, the only dtypes of 2 bytes, but a sum is rounded once. */
  if (!box && is_small && same_mesh && route_by_gathers(from, to, route) &&
      (route->steps == 1 || element != sizeof(uint16_t)))
    return;

  route->steps = 1;
  route->step[0].kind = DTI_STEP_EXCHANGE;
  const dti_layout source = box ? boxed(from, box) : *from, target = box ? boxed(to, box) : *to;
  if (!is_small && needs_spreading(from, to, same_mesh) &&
      spread_layout(&source, &target, same_mesh, &route->step[0].to)) {
    route->steps = 2;
    route->step[1].kind = DTI_STEP_EXCHANGE;
  }
  route->step[route->steps - 1].to = *to;
}
