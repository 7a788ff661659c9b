#include "dtensor/spec/confine.h"

#include "dtensor/spec/axis.h"

/* The next level that splits anything; `levels` after the last. */
static int next_level(const dti_axis *axis, int level) {
  while (level < axis->levels && axis->parts[level] == 1) level++;
  return level;
}

/* Each coordinate of a shard that becomes Partial contributes what it has. A new average is made of
 * equal values instead: every rank needs all. */
static int stays_in_place(dtensor_placement to) {
  return to.kind == DTENSOR_PARTIAL && to.op != DTENSOR_AVG;
}

static unsigned axis_mesh_dims(const dti_layout *from, const dti_layout *to, int dim) {
  const dti_axis a = dti_axis_of(from, dim), b = dti_axis_of(to, dim);
  int i = next_level(&a, 0), j = next_level(&b, 0);
  while (i < a.levels && j < b.levels && a.mesh_dim[i] == b.mesh_dim[j] &&
         dtensor_placement_equal(a.p[i], b.p[j])) {
    i = next_level(&a, i + 1);
    j = next_level(&b, j + 1);
  }
  unsigned dims = 0;
  for (; i < a.levels; i = next_level(&a, i + 1))
    if (!stays_in_place(to->p[a.mesh_dim[i]])) dims |= 1u << a.mesh_dim[i];
  return dims;
}

unsigned dti_exchange_mesh_dims(const dti_layout *from, const dti_layout *to) {
  unsigned dims = 0;
  for (int m = 0; m < from->mesh_ndim; m++) {
    const dtensor_placement p = from->p[m];
    const int kept = to->p[m].kind == DTENSOR_PARTIAL && to->p[m].op == p.op;
    if (from->mesh[m] == 1) continue;
    if (p.kind == DTI_OWNED || (p.kind == DTENSOR_PARTIAL && !kept)) dims |= 1u << m;
  }
  for (int d = 0; d < from->ndim; d++) dims |= axis_mesh_dims(from, to, d);
  return dims;
}

int64_t dti_group_size(const dti_layout *layout, unsigned mesh_dims) {
  int64_t size = 1;
  for (int m = 0; m < layout->mesh_ndim; m++)
    if (mesh_dims & (1u << m)) size *= layout->mesh[m];
  return size;
}

int dti_is_all_gather(const dti_layout *from, const dti_layout *to, unsigned mesh_dims) {
  for (int m = 0; m < from->mesh_ndim; m++) {
    if (from->mesh[m] == 1) continue;
    const int gathered = dti_placement_is_shard(from->p[m]) && to->p[m].kind == DTENSOR_REPLICATE;
    if (mesh_dims & (1u << m) ? !gathered : !dtensor_placement_equal(from->p[m], to->p[m]))
      return 0;
  }
  return mesh_dims != 0;
}
