#include "dtensor/ops/move_cost.h"

static int shards(dtensor_placement p, int dim) {
  return dti_placement_is_shard(p) && p.dim == dim;
}

/* Which part of what it needs along a dimension a rank holds already, on average. Mesh dimensions
 * that split it alike from the left on leave the same index set to both layouts; within it, what is
 * held and what is needed are as good as independent. */
static double held_part(const dti_layout *from, const dti_layout *to, int dim) {
  double part = 1;
  int alike = 1;
  for (int m = 0; m < from->mesh_ndim; m++) {
    const int before = shards(from->p[m], dim), after = shards(to->p[m], dim);
    if (!before && !after) continue;
    alike = alike && before && after && dtensor_placement_equal(from->p[m], to->p[m]);
    if (!alike && before) part /= (double)from->mesh[m];
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
