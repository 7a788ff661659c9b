#include "dtensor/spec/layout.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "dtensor/spec/axis.h"
#include "dtensor/spec/placement_text.h"

int64_t dti_numel(int ndim, const int64_t shape[]) {
  int64_t n = 1;
  for (int d = 0; d < ndim; d++)
    if (shape[d] == 0) return 0; /* whatever the others are */
  for (int d = 0; d < ndim; d++) n *= shape[d];
  return n;
}

int64_t dti_mesh_linear(int ndim, const int64_t shape[], const int64_t coord[]) {
  int64_t linear = 0;
  for (int m = 0; m < ndim; m++) linear = linear * shape[m] + coord[m];
  return linear;
}

void dti_mesh_unravel(int ndim, const int64_t shape[], int64_t linear, int64_t coord[]) {
  for (int m = ndim - 1; m >= 0; m--) {
    coord[m] = linear % shape[m];
    linear /= shape[m];
  }
}

dtensor_status dti_layout_with(const dti_layout *base, const dtensor_placement p[],
                               dti_layout *layout) {
  /* Copies: `layout` may be `base`, and p may point into it. */
  const dti_layout from = *base;
  dtensor_placement placements[DTENSOR_MAX_NDIM];
  memcpy(placements, p, (size_t)from.mesh_ndim * sizeof p[0]);
  return dti_layout_init(layout, from.ndim, from.shape, from.mesh_ndim, from.mesh, placements);
}

static bool equal_sizes(int n, const int64_t a[], const int64_t b[]) {
  for (int i = 0; i < n; i++)
    if (a[i] != b[i]) return false;
  return true;
}

static bool same_tensor(const dti_layout *a, const dti_layout *b) {
  return a->ndim == b->ndim && a->mesh_ndim == b->mesh_ndim &&
         equal_sizes(a->ndim, a->shape, b->shape) && equal_sizes(a->mesh_ndim, a->mesh, b->mesh);
}

/* Most often all of it is the same. */
static bool same_placement(const dtensor_placement *a, const dtensor_placement *b) {
  return (a->kind == b->kind && a->dim == b->dim && a->op == b->op && a->param == b->param &&
          a->sizes == b->sizes && a->count == b->count) ||
         dtensor_placement_equal(*a, *b);
}

int dti_layout_equal(const dti_layout *a, const dti_layout *b) {
  if (!same_tensor(a, b)) return 0;
  for (int m = 0; m < a->mesh_ndim; m++)
    if (a->order[m] != b->order[m] || !same_placement(&a->p[m], &b->p[m])) return 0;
  return 1;
}

int dti_layout_is_with(const dti_layout *layout, const dti_layout *base,
                       const dtensor_placement p[]) {
  if (!same_tensor(layout, base)) return 0;
  for (int m = 0; m < layout->mesh_ndim; m++)
    if (layout->order[m] != m || !same_placement(&layout->p[m], &p[m])) return 0;
  return 1;
}

static int is_split(const dti_layout *layout, int dim) {
  for (int m = 0; m < layout->mesh_ndim; m++)
    if (dti_placement_is_shard(layout->p[m]) && layout->p[m].dim == dim) return 1;
  return 0;
}

void dti_layout_local(const dti_layout *layout, const int64_t coord[], int64_t shape[],
                      int64_t offset[]) {
  for (int d = 0; d < layout->ndim; d++) {
    if (!is_split(layout, d)) {
      if (shape) shape[d] = layout->shape[d];
      if (offset) offset[d] = 0;
      continue;
    }
    const dti_axis axis = dti_axis_of(layout, d);
    if (shape) shape[d] = dti_axis_length(&axis, coord);
    if (offset) offset[d] = dti_axis_offset(&axis, coord);
  }
}

dti_local dti_layout_local_part(const dti_layout *layout, const int64_t coord[]) {
  dti_local local = {.elements = 0};
  if (!coord) return local;
  dti_layout_local(layout, coord, local.shape, local.offset);
  local.elements = dti_numel(layout->ndim, local.shape);
  return local;
}

int64_t dti_layout_most_elements(const dti_layout *layout) {
  int64_t shape[DTENSOR_MAX_NDIM];
  for (int d = 0; d < layout->ndim; d++) {
    const dti_axis axis = dti_axis_of(layout, d);
    shape[d] = dti_axis_most(&axis);
  }
  return dti_numel(layout->ndim, shape);
}

/* The levels of an axis that split anything. */
static dti_axis splitting_levels(const dti_layout *layout, int dim) {
  dti_axis axis = dti_axis_of(layout, dim);
  int kept = 0;
  for (int level = 0; level < axis.levels; level++) {
    if (axis.parts[level] == 1) continue;
    axis.mesh_dim[kept] = axis.mesh_dim[level];
    axis.parts[kept] = axis.parts[level];
    axis.p[kept] = axis.p[level];
    kept++;
  }
  axis.levels = kept;
  return axis;
}

/* Whether each rank of the mesh dimension can contribute what it has of a sharded tensor. A new
 * average is made of equal values instead: every rank needs all. */
static bool takes_in_place(dtensor_placement to) {
  return to.kind == DTENSOR_PARTIAL && to.op != DTENSOR_AVG;
}

/* Along one tensor dimension a rank has what it needs if `to` splits on from where `from` ends. The
 * last splits of `from` may turn into Partial: each rank then contributes what it has. */
static bool axis_is_local(const dti_layout *from, const dti_layout *to, int dim) {
  const dti_axis a = splitting_levels(from, dim), b = splitting_levels(to, dim);
  int shared = 0;
  while (shared < a.levels && !takes_in_place(to->p[a.mesh_dim[shared]])) shared++;
  for (int level = shared; level < a.levels; level++)
    if (!takes_in_place(to->p[a.mesh_dim[level]])) return false;
  if (shared > b.levels) return false;
  for (int level = 0; level < shared; level++)
    if (a.mesh_dim[level] != b.mesh_dim[level] || !dtensor_placement_equal(a.p[level], b.p[level]))
      return false;
  return true;
}

int dti_layout_is_local(const dti_layout *from, const dti_layout *to) {
  if (!same_tensor(from, to)) return 0;
  for (int m = 0; m < from->mesh_ndim; m++) {
    if (from->mesh[m] == 1) continue;
    const dtensor_placement a = from->p[m], b = to->p[m];
    if (a.kind == DTENSOR_PARTIAL && !dtensor_placement_equal(a, b)) return 0;
    if (a.kind == DTI_OWNED) return 0;
  }
  for (int d = 0; d < from->ndim; d++)
    if (!axis_is_local(from, to, d)) return 0;
  return 1;
}

enum { SIZES_TEXT = 192 }; /* DTENSOR_MAX_NDIM numbers of 19 digits always fit */

static const char *sizes_text(const char *open, const char *close, int n, const int64_t sizes[],
                              char text[SIZES_TEXT]) {
  int length = snprintf(text, SIZES_TEXT, "%s", open);
  for (int i = 0; i < n; i++)
    length += snprintf(text + length, (size_t)(SIZES_TEXT - length), "%s%" PRId64, i ? "," : "",
                       sizes[i]);
  snprintf(text + length, (size_t)(SIZES_TEXT - length), "%s", close);
  return text;
}

const char *dti_layout_text(const dti_layout *layout, char *text, size_t size) {
  char shape[SIZES_TEXT], mesh[SIZES_TEXT], placements[512];
  dti_placements_write(layout->p, layout->mesh_ndim, placements, sizeof placements);
  snprintf(text, size, "%s %s on %s", sizes_text("[", "]", layout->ndim, layout->shape, shape),
           placements, sizes_text("(", ")", layout->mesh_ndim, layout->mesh, mesh));
  return text;
}
