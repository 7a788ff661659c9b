#include "dtensor/spec/move_cost.h"

static int shards(dtensor_placement p, int dim) {
  return dti_placement_is_shard(p) && p.dim == dim;
}

/* The mesh dimensions that split a tensor dimension, from the outermost cut to the innermost. A
 * strided shard whose factor is the number of parts that plain ones make to its right cuts within
 * them. */
static int splitting_order(const dti_layout *layout, int dim, int order[]) {
  int n = 0, strided[DTENSOR_MAX_NDIM], n_strided = 0;
  int64_t parts = 1;
  for (int m = layout->mesh_ndim - 1; m >= 0; m--) {
    if (!shards(layout->p[m], dim)) continue;
    if (layout->p[m].kind == DTENSOR_SHARD_STRIDED && layout->p[m].param == parts)
      strided[n_strided++] = m;
    else
      parts *= layout->mesh[m];
  }
  for (int m = 0; m < layout->mesh_ndim; m++) {
    int within = 0;
    for (int i = 0; i < n_strided; i++) within |= strided[i] == m;
    if (shards(layout->p[m], dim) && !within) order[n++] = m;
  }
  while (n_strided > 0) order[n++] = strided[--n_strided];
  return n;
}

/* Which part of what it needs along a dimension a rank holds already, on average. Mesh dimensions
 * that split it alike from the outermost cut on leave the same index set to both layouts; within
 * it, what is held and what is needed are as good as independent. */
static double held_part(const dti_layout *from, const dti_layout *to, int dim) {
  int before[DTENSOR_MAX_NDIM], after[DTENSOR_MAX_NDIM];
  const int n = splitting_order(from, dim, before), n_after = splitting_order(to, dim, after);
  double part = 1;
  int alike = 1;
  for (int i = 0; i < n; i++) {
    alike = alike && i < n_after && before[i] == after[i] &&
            dtensor_placement_equal(from->p[before[i]], to->p[after[i]]);
    if (!alike) part /= (double)from->mesh[before[i]];
  }
  return part;
}

double dti_move_cost(const dti_layout *from, const dti_layout *to, size_t element) {
  double ranks = 1, held = 1;
  double needed = (double)element;         /* bytes that one rank must have in the end */
  double summands = 1, reduced_to_all = 1; /* ranks that hold parts of a value; of an all-reduce */
  for (int d = 0; d < from->ndim; d++) {
    needed *= (double)from->shape[d];
    held *= held_part(from, to, d);
  }
  for (int m = 0; m < from->mesh_ndim; m++) {
    const double parts = (double)from->mesh[m];
    const int was_partial = from->p[m].kind == DTENSOR_PARTIAL;
    const int is_partial = to->p[m].kind == DTENSOR_PARTIAL;
    ranks *= parts;
    if (dti_placement_is_shard(to->p[m])) needed /= parts;
    if (was_partial && !is_partial) summands *= parts;
    if (was_partial && to->p[m].kind == DTENSOR_REPLICATE) reduced_to_all *= parts;
    if (is_partial && !was_partial) ranks /= parts; /* one of them keeps the value */
  }
  /* An all-reduce scatters the sums and gathers them. */
  const double scatter = needed / reduced_to_all * (summands - held);
  const double gather = needed * (1 - 1 / reduced_to_all);
  return ranks * (scatter + gather);
}
