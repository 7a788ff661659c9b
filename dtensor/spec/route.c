#include "dtensor/spec/route.h"

#include <string.h>

static int same_placement(const dti_layout *a, const dti_layout *b, int m) {
  return dtensor_placement_equal(a->p[m], b->p[m]);
}

static int is_kept_partial(const dti_layout *from, const dti_layout *to, int m, int same_mesh) {
  return same_mesh && from->p[m].kind == DTENSOR_PARTIAL && to->p[m].kind == DTENSOR_PARTIAL &&
         from->p[m].op == to->p[m].op;
}

/* Whether the source must be reduced along a mesh dimension. */
static int is_reduced(const dti_layout *from, const dti_layout *to, int m, int same_mesh) {
  return from->p[m].kind == DTENSOR_PARTIAL && from->mesh[m] > 1 &&
         !is_kept_partial(from, to, m, same_mesh);
}

/* Whether the source must be reduced, or lies on one rank that cannot be read by all. */
static int needs_spreading(const dti_layout *from, const dti_layout *to, int same_mesh, int near) {
  for (int m = 0; m < from->mesh_ndim; m++) {
    if (from->p[m].kind == DTI_OWNED && from->mesh[m] > 1 && !near) return 1;
    if (is_reduced(from, to, m, same_mesh)) return 1;
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
  for (int turn = TARGET; turn < FRESH; turn++)
    for (int m = 0; m < to->mesh_ndim; m++)
      if ((int)split[m] == turn) spread->order[at++] = m;
  /* Gathers along one mesh dimension after the other begin with the last split: those along the
   * first, whose ranks are the farthest apart, are to bring the least. */
  for (int m = to->mesh_ndim - 1; m >= 0; m--)
    if (split[m] == FRESH) spread->order[at++] = m;
  return 1;
}

static int has_shards(const dti_layout *layout) {
  for (int m = 0; m < layout->mesh_ndim; m++)
    if (dti_placement_is_shard(layout->p[m])) return 1;
  return 0;
}

/* Whether every rank's share is one parcel of its sources, and goes whole to all that want it. */
static int can_share_out(const dti_layout *from, const dti_layout *shares, const dti_layout *to) {
  for (int m = 0; m < from->mesh_ndim; m++) {
    const int stays = dtensor_placement_equal(from->p[m], shares->p[m]);
    const int kept = stays && dtensor_placement_equal(from->p[m], to->p[m]);
    const int copied =
        to->p[m].kind == DTENSOR_REPLICATE && (stays || !dti_placement_is_shard(from->p[m]));
    if (from->p[m].kind == DTI_OWNED || !(kept || copied)) return 0;
  }
  /* What stays is split in the order of the source, before what is cut anew. */
  int last = -1, cut = 0;
  for (int i = 0; i < from->mesh_ndim; i++) {
    const int m = shares->order[i];
    if (!dti_placement_is_shard(shares->p[m])) continue;
    const int stays = dtensor_placement_equal(from->p[m], shares->p[m]);
    if (stays && (cut || m < last)) return 0;
    if (stays) last = m;
    if (!stays) cut = 1;
  }
  return 1;
}

/* A few bytes that only have to be reduced: one gather, or of too many ranks one per mesh
 * dimension. */
static int route_by_gathers(const dti_layout *from, const dti_layout *to, size_t element,
                            dti_route *route) {
  unsigned reduced = 0;
  int64_t bytes = dti_numel(to->ndim, to->shape) * (int64_t)element;
  for (int m = 0; m < from->mesh_ndim; m++) {
    if (same_placement(from, to, m)) continue;
    if (from->p[m].kind != DTENSOR_PARTIAL || to->p[m].kind != DTENSOR_REPLICATE) return 0;
    reduced |= 1u << m;
    bytes *= bytes <= DTI_GATHERED_BYTES ? from->mesh[m] : 1;
  }
  const int at_once = bytes <= DTI_GATHERED_BYTES;
  dti_layout now = *from;
  *route = (dti_route){0};
  for (int m = 0; m < from->mesh_ndim; m++) {
    if (!(reduced & (1u << m))) continue;
    now.p[m] = dtensor_replicate();
    if (at_once) route->steps = 0; /* the last one is all of them */
    route->step[route->steps++] =
        (dti_step){.kind = DTI_STEP_GATHER, .mesh_dims = at_once ? reduced : 1u << m, .to = now};
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
                    int near, size_t element, dti_route *route) {
  const int64_t few = (int64_t)(DTI_FEW_BYTES / element);
  const int is_small = dti_numel(to->ndim, box ? box->shape : to->shape) <= few;
  /* Each gather rounds bf16 and f16, the only dtypes of 2 bytes, but a sum is rounded once. */
  if (!near && !box && is_small && same_mesh && route_by_gathers(from, to, element, route) &&
      (route->steps == 1 || element != sizeof(uint16_t)))
    return;

  *route = (dti_route){.steps = 1};
  const dti_layout source = box ? boxed(from, box) : *from, target = box ? boxed(to, box) : *to;
  if (!is_small && needs_spreading(from, to, same_mesh, near) &&
      spread_layout(&source, &target, same_mesh, &route->step[0].to)) {
    /* The pieces of a box are not where a layout of the box's shape has them. */
    const int fits = !box || !(has_shards(from) || has_shards(to));
    if (near && same_mesh && fits && can_share_out(&source, &route->step[0].to, &target)) {
      route->shares = route->step[0].to;
      route->step[0].kind = DTI_STEP_SHARE_OUT;
    } else {
      route->steps = 2;
    }
  }
  route->step[route->steps - 1].to = *to;
}
