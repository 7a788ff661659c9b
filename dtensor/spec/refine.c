#include "dtensor/spec/refine.h"

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

int dti_layout_refine(const dti_layout *layout, const int64_t run[], dti_layout *fine) {
  *fine = *layout;
  fine->mesh_ndim = dti_mesh_refine(layout->mesh_ndim, layout->mesh, run, fine->mesh);
  int n = 0;
  for (int m = 0; m < layout->mesh_ndim && fine->mesh_ndim > 0; m++) {
    const dtensor_placement p = layout->p[m];
    const int cut = is_cut(layout->mesh[m], run[m]);
    if (cut && dti_placement_is_shard(p) && !splits_evenly(layout, p.dim)) return 0;
    for (int i = 0; i <= cut; i++) {
      fine->p[n] = p;
      fine->order[n] = n;
      n++;
    }
  }
  return fine->mesh_ndim > 0;
}
