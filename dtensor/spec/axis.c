#include "dtensor/spec/axis.h"

#include "dtensor/spec/split_kind.h"

dti_axis dti_axis_of(const dti_layout *layout, int dim) {
  dti_axis axis; /* entries beyond its levels are not written: axes are made often */
  axis.size = layout->shape[dim];
  axis.levels = 0;
  for (int i = 0; i < layout->mesh_ndim; i++) {
    const int m = layout->order[i];
    if (!dti_placement_is_shard(layout->p[m]) || layout->p[m].dim != dim) continue;
    axis.mesh_dim[axis.levels] = m;
    axis.parts[axis.levels] = layout->mesh[m];
    axis.p[axis.levels] = layout->p[m];
    axis.levels++;
  }
  return axis;
}

static dti_split split_at(const dti_axis *axis, int level, int64_t n) {
  return dti_split_of(axis->p[level], n, axis->parts[level]);
}

int dti_axis_is_periodic(const dti_axis *axis) {
  for (int level = 0; level < axis->levels; level++)
    if (axis->p[level].kind == DTENSOR_SHARD_CYCLIC || axis->p[level].kind == DTENSOR_SHARD_STRIDED)
      return 1;
  return 0;
}

int64_t dti_axis_length(const dti_axis *axis, const int64_t coord[]) {
  int64_t n = axis->size;
  for (int level = 0; level < axis->levels; level++) {
    const dti_split split = split_at(axis, level, n);
    n = dti_split_length(&split, coord[axis->mesh_dim[level]]);
  }
  return n;
}

/* Of no more than n positions nobody gets more. A chunk of each piece is longer than its share by
 * less than one, and the pieces are no more than the factor; but what a coordinate gets may become
 * less where n grows. */
static int64_t most_of_strided(const dti_split *split) {
  const int64_t pieces = dti_min(split->param, split->n);
  return dti_min(split->n, dti_ceil_div(split->n, split->parts) + pieces);
}

int64_t dti_axis_most(const dti_axis *axis) {
  int64_t n = axis->size;
  int is_even = 1; /* all parts so far are equally long */
  for (int level = 0; level < axis->levels; level++) {
    const dti_split split = split_at(axis, level, n);
    int64_t least = n, most = 0;
    for (int64_t coord = 0; coord < split.parts; coord = dti_split_next_length(&split, coord)) {
      const int64_t length = dti_split_length(&split, coord);
      if (length > most) most = length;
      if (length < least) least = length;
    }
    n = axis->p[level].kind == DTENSOR_SHARD_STRIDED && !is_even ? most_of_strided(&split) : most;
    is_even = is_even && least == most;
  }
  return n;
}

int64_t dti_axis_global(const dti_axis *axis, const int64_t coord[], int64_t local, int64_t *run) {
  dti_split splits[DTENSOR_MAX_NDIM];
  int64_t n = axis->size;
  for (int level = 0; level < axis->levels; level++) {
    splits[level] = split_at(axis, level, n);
    n = dti_split_length(&splits[level], coord[axis->mesh_dim[level]]);
  }
  int64_t index = local, together = n - local;
  for (int level = axis->levels - 1; level >= 0; level--) {
    int64_t here;
    index = dti_split_position(&splits[level], coord[axis->mesh_dim[level]], index, &here);
    if (here < together) together = here;
  }
  if (run) *run = together;
  return index;
}

int64_t dti_axis_offset(const dti_axis *axis, const int64_t coord[]) {
  return dti_axis_global(axis, coord, 0, NULL);
}

int64_t dti_axis_below(const dti_axis *axis, const int64_t coord[], int64_t index) {
  int64_t low = 0, high = dti_axis_length(axis, coord);
  if (index >= axis->size) return high;
  while (low < high) {
    const int64_t middle = low + (high - low) / 2;
    if (dti_axis_global(axis, coord, middle, NULL) < index)
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

int64_t dti_axis_owner(const dti_axis *axis, int64_t index, int64_t coord[], int64_t *run) {
  int64_t n = axis->size, position = index, together = n - index;
  for (int level = 0; level < axis->levels; level++) {
    dti_split split = split_at(axis, level, n);
    int64_t *owner = &coord[axis->mesh_dim[level]], here;
    position = dti_split_owner(&split, position, owner, &here);
    n = dti_split_length(&split, *owner);
    if (here < together) together = here;
  }
  if (run) *run = together;
  return position;
}

typedef struct walk {
  const dti_axis *axis;
  const int64_t *fixed;
  dti_piece_visitor visit;
  void *ctx;
  int64_t coord[DTENSOR_MAX_NDIM];
} walk;

/* Walks the positions [begin, end) of the n that the levels above left to walk->coord; they are the
 * global indices from `global` on. */
static dtensor_status walk_level(walk *w, int level, int64_t n, int64_t begin, int64_t end,
                                 int64_t global) {
  if (level == w->axis->levels) {
    const dti_piece piece = {
        .begin = global, .length = end - begin, .local = begin, .coord = w->coord};
    return w->visit(&piece, w->ctx);
  }
  const int m = w->axis->mesh_dim[level];
  const int64_t only = w->fixed ? w->fixed[m] : -1;
  dti_split split = split_at(w->axis, level, n);
  for (int64_t at = begin, run; at < end; at += run) {
    if (only >= 0) at = dti_split_next(&split, only, at);
    if (at >= end) break;
    const int64_t local = dti_split_owner(&split, at, &w->coord[m], &run);
    if (run > end - at) run = end - at;
    const dtensor_status status = walk_level(w, level + 1, dti_split_length(&split, w->coord[m]),
                                             local, local + run, global + (at - begin));
    if (status != DTENSOR_OK) return status;
  }
  return DTENSOR_OK;
}

dtensor_status dti_axis_walk(const dti_axis *axis, int64_t begin, int64_t end,
                             const int64_t fixed[], dti_piece_visitor visit, void *ctx) {
  if (begin >= end) return DTENSOR_OK;
  walk w = {.axis = axis, .fixed = fixed, .visit = visit, .ctx = ctx};
  for (int m = 0; m < DTENSOR_MAX_NDIM; m++) w.coord[m] = -1;
  return walk_level(&w, 0, axis->size, begin, end, begin);
}
