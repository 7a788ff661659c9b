#include "dtensor/spec/refine.h"

#include "dtensor/spec/split_kind.h"

static int is_cut(int64_t size, int64_t run) { return run > 1 && run < size; }

int dti_mesh_refine(int ndim, const int64_t mesh[], const int64_t run[], int64_t fine[]) {
  int n = 0;
  for (int m = 0; m < ndim; m++) {
    const int cut = is_cut(mesh[m], run[m]);
    if (n + 1 + cut > DTENSOR_MAX_NDIM) return 0;
    if (cut) fine[n++] = mesh[m] / run[m];
    fine[n++] = cut ? run[m] : mesh[m];
  }
  return n;
}

/* 1 if all that splits a dimension makes equally long runs. */
static int splits_evenly(const dti_layout *x, int dim) {
  int64_t parts = 1;
  for (int m = 0; m < x->mesh_ndim; m++) {
    if (!dti_placement_is_shard(x->p[m]) || x->p[m].dim != dim) continue;
    if (x->p[m].kind != DTENSOR_SHARD && x->p[m].kind != DTENSOR_SHARD_BALANCED) return 0;
    parts *= x->mesh[m];
  }
  return x->shape[dim] % parts == 0;
}

static int is_split_alone(const dti_layout *x, int m) {
  for (int other = 0; other < x->mesh_ndim; other++)
    if (other != m && dti_placement_is_shard(x->p[other]) && x->p[other].dim == x->p[m].dim)
      return 0;
  return 1;
}

/* The two placements of a mesh dimension that is cut; 0: there are none. */
static int cut_placement(const dti_layout *x, int m, int64_t run, dtensor_placement pair[2]) {
  const dtensor_placement p = x->p[m];
  pair[0] = pair[1] = p;
  if (!dti_placement_is_shard(p) || splits_evenly(x, p.dim)) return 1;
  if (p.kind != DTENSOR_SHARD || !is_split_alone(x, m)) return 0;
  /* Chunks of a chunk would be shorter at the end. Blocks are as long as before, and each is the
   * only one of its coordinate. */
  const int64_t length = dti_ceil_div(x->shape[p.dim], x->mesh[m]);
  pair[0] = dtensor_shard_cyclic(p.dim, run * length);
  pair[1] = dtensor_shard_cyclic(p.dim, length);
  return 1;
}

int dti_layout_refine(const dti_layout *layout, const int64_t run[], dti_layout *fine) {
  *fine = *layout;
  fine->mesh_ndim = dti_mesh_refine(layout->mesh_ndim, layout->mesh, run, fine->mesh);
  int n = 0;
  for (int m = 0; m < layout->mesh_ndim && fine->mesh_ndim > 0; m++) {
    const int cut = is_cut(layout->mesh[m], run[m]);
    dtensor_placement pair[2] = {layout->p[m], layout->p[m]};
    if (cut && !cut_placement(layout, m, run[m], pair)) return 0;
    for (int i = 0; i <= cut; i++) {
      fine->p[n] = pair[i];
      fine->order[n] = n;
      n++;
    }
  }
  return fine->mesh_ndim > 0;
}
