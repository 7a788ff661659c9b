#include "dtensor/spec/matmul_carry.h"

#include "dtensor/spec/move_cost.h"
#include "dtensor/spec/refine.h"

static int shards(dtensor_placement p, int dim) {
  return dti_placement_is_shard(p) && p.dim == dim;
}

/* 1 if all parts of a dimension are equally long, without gaps. */
static int is_even(const dti_layout *x, int dim) {
  int64_t parts = 1;
  for (int m = 0; m < x->mesh_ndim; m++) {
    if (!shards(x->p[m], dim)) continue;
    if (x->p[m].kind != DTENSOR_SHARD && x->p[m].kind != DTENSOR_SHARD_BALANCED) return 0;
    parts *= x->mesh[m];
  }
  return x->shape[dim] % parts == 0;
}

/* Into how many parts the mesh dimensions left of m cut a dimension of the source that is whole in
 * `work`: a rank that carries what the source's ranks of its own coordinate m have gets a piece of
 * each. */
static int64_t cuts_before(const dti_layout *source, const dti_layout *work, int m, int dim) {
  int64_t cuts = 1;
  for (int left = 0; left < m; left++)
    if (shards(source->p[left], dim) && !shards(work->p[left], dim)) cuts *= source->mesh[left];
  return cuts;
}

/* The parts that the source has along m. */
static dtensor_placement as_source(const dti_layout *source, const dti_layout *work, unsigned dealt,
                                   int m) {
  const int dim = source->p[m].dim;
  /* Dimensions that are dealt out cut within all others. */
  dti_layout others = *work;
  for (int left = 0; left < m; left++)
    if (dealt >> left & 1u) others.p[left] = source->p[left];
  const int64_t cuts = cuts_before(source, &others, m, dim);
  if (cuts > 1 && is_even(source, dim)) return dtensor_strided_shard(dim, cuts);
  /* Explicit sizes fit the length that they were made for. */
  return source->p[m].kind == DTENSOR_SHARD_SIZES ? dtensor_shard(dim) : source->p[m];
}

/* 1 if ranks along m need the same, or what others of them have. */
static int is_dealt(const dti_layout *source, const dti_layout *work, int m) {
  if (source->mesh[m] == 1) return 0;
  if (work->p[m].kind == DTENSOR_REPLICATE) return 1;
  return dti_placement_is_shard(work->p[m]) && dti_placement_is_shard(source->p[m]) &&
         work->p[m].dim != source->p[m].dim;
}

unsigned dti_matmul_carry(const dti_layout *source, const dti_layout *work, unsigned near,
                          int k_dim, dti_layout *carried) {
  unsigned dealt = 0;
  *carried = *work;
  for (int m = 0; m < work->mesh_ndim; m++) {
    if (!(near >> m & 1u) || !is_dealt(source, work, m)) continue;
    /* Along k the parts of a panel would be on few ranks. */
    carried->p[m] = dti_placement_is_shard(source->p[m]) ? as_source(source, work, dealt, m)
                                                         : dtensor_shard(1 - k_dim);
    dealt |= 1u << m;
  }
  /* Together the ranks along the dealt dimensions have what each needs: these cut last. */
  int n = 0;
  for (int last = 0; last < 2; last++)
    for (int i = 0; i < work->mesh_ndim; i++)
      if ((dealt >> work->order[i] & 1u) == (unsigned)last) carried->order[n++] = work->order[i];
  return dealt;
}

/* What one rank in a line along the dealt dimensions has. */
static dti_layout without(const dti_layout *x, unsigned dealt) {
  dti_layout rest = *x;
  for (int m = 0; m < x->mesh_ndim; m++) {
    if (!(dealt >> m & 1u)) continue;
    rest.mesh[m] = 1;
    rest.p[m] = dtensor_replicate();
  }
  return rest;
}

double dti_matmul_carry_bytes(const dti_layout *source, const dti_layout *carried, unsigned dealt,
                              size_t element) {
  const dti_layout from = without(source, dealt), to = without(carried, dealt);
  double ranks = 1;
  for (int m = 0; m < source->mesh_ndim; m++) ranks *= (double)source->mesh[m];
  return dti_move_cost(&from, &to, element) / ranks;
}

static int64_t divisor(int64_t a, int64_t b) { return b == 0 ? a : divisor(b, a % b); }

double dti_matmul_carried_bytes(const dti_layout *source, const dti_layout *work, int k_dim,
                                int64_t ranks_per_node, size_t element, double *ranks) {
  int64_t run[DTENSOR_MAX_NDIM], inner = 1;
  *ranks = 1;
  for (int m = work->mesh_ndim - 1; m >= 0; inner *= work->mesh[m--])
    run[m] = ranks_per_node % inner == 0 ? divisor(work->mesh[m], ranks_per_node / inner) : 1;
  dti_layout from, to, carried;
  if (!dti_layout_refine(source, run, &from) || !dti_layout_refine(work, run, &to)) return 0;
  unsigned near = 0;
  inner = 1;
  for (int m = to.mesh_ndim - 1; m >= 0 && ranks_per_node % (inner *= to.mesh[m]) == 0; m--)
    near |= 1u << m;
  const unsigned dealt = dti_matmul_carry(&from, &to, near, k_dim, &carried);
  for (int m = 0; m < to.mesh_ndim; m++)
    if (dealt >> m & 1u) *ranks *= (double)to.mesh[m];
  return dealt ? dti_matmul_carry_bytes(&from, &carried, dealt, element) : 0;
}
