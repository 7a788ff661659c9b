#include "dtensor/spec/window.h"

#include "dtensor/spec/axis.h"

/* A mesh dimension of one coordinate changes nothing, whatever its placement. */
static int counts(const dti_layout *layout, int m) { return layout->mesh[m] > 1; }

static int is_on_node(unsigned node_dims, int m) { return node_dims >> m & 1u; }

static int is_in_runs(dtensor_placement p) {
  return p.kind == DTENSOR_SHARD || p.kind == DTENSOR_SHARD_BALANCED ||
         p.kind == DTENSOR_SHARD_SIZES;
}

int dti_window_fits(const dti_layout *layout, unsigned node_dims) {
  unsigned split = 0; /* tensor dimensions that a mesh dimension of the node has split */
  for (int i = 0; i < layout->mesh_ndim; i++) {
    const int m = layout->order[i];
    const dtensor_placement p = layout->p[m];
    if (!counts(layout, m) || p.kind == DTENSOR_REPLICATE) continue;
    if (is_on_node(node_dims, m)) {
      if (!is_in_runs(p)) return 0;
      split |= 1u << p.dim;
    } else if (dti_placement_is_shard(p) && (split >> p.dim & 1u)) {
      return 0;
    }
  }
  return 1;
}

int dti_window_is_replica(const dti_layout *layout, unsigned node_dims) {
  for (int m = 0; m < layout->mesh_ndim; m++)
    if (counts(layout, m) && is_on_node(node_dims, m) && layout->p[m].kind == DTENSOR_REPLICATE)
      return 1;
  return 0;
}

int dti_window_same_segment(const dti_layout *a, const dti_layout *b, unsigned node_dims) {
  for (int m = 0; m < a->mesh_ndim; m++)
    if (counts(a, m) && !is_on_node(node_dims, m) && !dtensor_placement_equal(a->p[m], b->p[m]))
      return 0;
  return 1;
}

static void segment_shape(const dti_layout *layout, unsigned node_dims, const int64_t coord[],
                          int64_t shape[]) {
  dti_layout whole = *layout;
  for (int m = 0; m < layout->mesh_ndim; m++)
    if (is_on_node(node_dims, m)) whole.p[m] = dtensor_replicate();
  dti_layout_local(&whole, coord, shape, NULL);
}

int64_t dti_window_segment_elements(const dti_layout *layout, unsigned node_dims,
                                    const int64_t coord[]) {
  int64_t shape[DTENSOR_MAX_NDIM];
  segment_shape(layout, node_dims, coord, shape);
  return dti_numel(layout->ndim, shape);
}

/* A tensor dimension of the segment, and the mesh dimensions of the node that split it. */
static dti_axis axis_in_segment(const dti_layout *layout, unsigned node_dims, int dim,
                                int64_t length) {
  const dti_axis all = dti_axis_of(layout, dim);
  dti_axis axis = {.size = length};
  for (int level = 0; level < all.levels; level++) {
    if (!is_on_node(node_dims, all.mesh_dim[level])) continue;
    axis.mesh_dim[axis.levels] = all.mesh_dim[level];
    axis.parts[axis.levels] = all.parts[level];
    axis.p[axis.levels++] = all.p[level];
  }
  return axis;
}

int64_t dti_window_of(const dti_layout *layout, unsigned node_dims, const int64_t coord[],
                      int64_t stride[]) {
  int64_t shape[DTENSOR_MAX_NDIM], first = 0;
  int is_empty = 0;
  uint64_t step = 1; /* may wrap where the segment is empty, and does not matter there */
  segment_shape(layout, node_dims, coord, shape);
  for (int d = layout->ndim - 1; d >= 0; d--) {
    const dti_axis axis = axis_in_segment(layout, node_dims, d, shape[d]);
    stride[d] = (int64_t)step;
    is_empty |= dti_axis_length(&axis, coord) == 0;
    first += (int64_t)((uint64_t)dti_axis_offset(&axis, coord) * step);
    step *= shape[d] > 0 ? (uint64_t)shape[d] : 1;
  }
  return is_empty ? 0 : first;
}
