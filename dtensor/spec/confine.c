#include "dtensor/spec/confine.h"

#include "dtensor/spec/axis.h"
#include "dtensor/spec/digits.h"

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
  if (i >= a.levels) return 0;
  dti_digits before, after;
  const int is_even = dti_digits_of(&a, &before) && dti_digits_of(&b, &after);
  unsigned dims = 0;
  for (; i < a.levels; i = next_level(&a, i + 1)) {
    const int m = a.mesh_dim[i];
    if (stays_in_place(to->p[m])) continue;
    if (is_even && dti_digits_unit(&before, m) == dti_digits_unit(&after, m)) continue;
    dims |= 1u << m;
  }
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

static int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }
static int64_t larger(int64_t a, int64_t b) { return a > b ? a : b; }

static int divides(int64_t a, int64_t b) {
  return smaller(a, b) > 0 && larger(a, b) % smaller(a, b) == 0;
}

/* How many coordinates of one digit share elements with a rank that has one coordinate of each of
 * the others: what they have in common does not vary, where they begin and end together. */
static double spread_of(const dti_digits *one, int i, const dti_digits *others) {
  const int64_t unit = one->unit[i], end = unit * one->parts[i];
  double spread = (double)one->parts[i];
  for (int k = 0; k < others->n; k++) {
    const int64_t its_unit = others->unit[k], its_end = its_unit * others->parts[k];
    const int64_t begin = larger(unit, its_unit), common = smaller(end, its_end);
    if (common > begin && divides(unit, its_unit) && divides(end, its_end) && common % begin == 0)
      spread *= (double)begin / (double)common;
  }
  return spread;
}

static int even_spread(const dti_layout *from, const dti_layout *to, int dim, double *spread) {
  const dti_axis a = dti_axis_of(from, dim), b = dti_axis_of(to, dim);
  dti_digits before, after;
  if (!dti_digits_of(&a, &before) || !dti_digits_of(&b, &after)) return 0;
  for (int i = 0; i < before.n; i++) *spread *= spread_of(&before, i, &after);
  return 1;
}

int64_t dti_peers_at_most(const dti_layout *from, const dti_layout *to, unsigned mesh_dims) {
  const int64_t group = dti_group_size(to, mesh_dims);
  double spread = 1;
  for (int m = 0; m < from->mesh_ndim; m++)
    if ((mesh_dims & (1u << m)) && !dti_placement_is_shard(from->p[m]))
      spread *= (double)from->mesh[m];
  for (int d = 0; d < from->ndim; d++)
    if (!even_spread(from, to, d, &spread)) return group - 1;
  return spread < (double)group ? (int64_t)(spread + 0.5) : group - 1;
}

/* The shortest stretch of indices that stay together. */
static int64_t shortest(const dti_digits *digits, int64_t unit) {
  for (int i = 0; i < digits->n; i++) unit = smaller(unit, digits->unit[i]);
  return unit;
}

int64_t dti_pieces_at_most(const dti_layout *from, const dti_layout *to, unsigned mesh_dims) {
  int64_t pieces = 0;
  for (int d = 0; d < from->ndim; d++) {
    const dti_axis a = dti_axis_of(from, d), b = dti_axis_of(to, d);
    dti_digits before, after;
    int64_t first[DTENSOR_MAX_NDIM] = {0};
    if (axis_mesh_dims(from, to, d) == 0 && axis_mesh_dims(to, from, d) == 0) continue;
    if (!dti_digits_of(&a, &before) || !dti_digits_of(&b, &after))
      return dti_group_size(to, mesh_dims);
    const int64_t unit = shortest(&after, shortest(&before, a.size));
    const int64_t length = larger(dti_axis_length(&a, first), dti_axis_length(&b, first));
    if (unit > 0) pieces += length / unit;
  }
  return pieces;
}

int dti_is_all_gather(const dti_layout *from, const dti_layout *to, unsigned mesh_dims) {
  for (int m = 0; m < from->mesh_ndim; m++) {
    if (from->mesh[m] == 1) continue;
    const int was_shard = dti_placement_is_shard(from->p[m]);
    const int gathered = was_shard && to->p[m].kind == DTENSOR_REPLICATE;
    /* Where nobody talks, two shards of one tensor dimension are the same, however written. */
    const int same =
        dtensor_placement_equal(from->p[m], to->p[m]) ||
        (was_shard && dti_placement_is_shard(to->p[m]) && from->p[m].dim == to->p[m].dim);
    if (mesh_dims & (1u << m) ? !gathered : !same) return 0;
  }
  return mesh_dims != 0;
}
