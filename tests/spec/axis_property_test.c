/* Random layouts against the definition of each split, applied to one index at a time. */
#include <stdlib.h>
#include <string.h>

#include "dtensor/spec/axis.h"
#include "dtensor/spec/layout.h"
#include "tests/harness/dtest.h"

enum { MAX_SIZE = 64, MAX_PARTS = 7, LAYOUTS = 3000 };

static uint64_t random_state;

/* 0 <= result < n; splitmix64 */
static int64_t random_below(int64_t n) {
  uint64_t z = random_state += UINT64_C(0x9e3779b97f4a7c15);
  z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
  z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
  return (int64_t)((z ^ z >> 31) % (uint64_t)n);
}

#define PICK(...) \
  (((const int64_t[]){__VA_ARGS__})[random_below(sizeof(int64_t[]){__VA_ARGS__} / sizeof(int64_t))])

/* ---- the definitions */

static int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

static int64_t defined_owner(dtensor_placement p, int64_t n, int64_t parts, int64_t position) {
  int64_t piece, owner, seen;
  switch (p.kind) {
    case DTENSOR_SHARD:
      return position / ceil_div(n, parts);
    case DTENSOR_SHARD_CYCLIC:
      return position / p.param % parts;
    case DTENSOR_SHARD_STRIDED: /* torch.chunk of torch.chunk */
      piece = ceil_div(n, p.param);
      seen = position / piece * piece;
      return (position - seen) / ceil_div(n - seen < piece ? n - seen : piece, parts);
    default: /* balanced and explicit sizes */
      for (owner = 0, seen = 0;; owner++) {
        seen += p.kind == DTENSOR_SHARD_SIZES ? p.sizes[owner] : n / parts + (owner < n % parts);
        if (position < seen) return owner;
      }
  }
}

typedef struct index_list {
  int64_t n, at[MAX_SIZE];
} index_list;

/* The global indices that a coordinate has along a dimension. */
static index_list defined_indices(const dti_layout *layout, int dim, const int64_t coord[]) {
  index_list list = {.n = layout->shape[dim]};
  for (int64_t i = 0; i < list.n; i++) list.at[i] = i;
  for (int m = 0; m < layout->mesh_ndim; m++) {
    if (!dti_placement_is_shard(layout->p[m]) || layout->p[m].dim != dim) continue;
    index_list part = {0};
    for (int64_t i = 0; i < list.n; i++)
      if (defined_owner(layout->p[m], list.n, layout->mesh[m], i) == coord[m])
        part.at[part.n++] = list.at[i];
    list = part;
  }
  return list;
}

/* ---- random layouts */

/* The lengths that `layout` leaves along a dimension are all alike. */
static bool uniform(const dti_layout *layout, int dim, int64_t *length) {
  for (int64_t rank = 0; rank < dti_numel(layout->mesh_ndim, layout->mesh); rank++) {
    int64_t coord[DTENSOR_MAX_NDIM];
    dti_mesh_unravel(layout->mesh_ndim, layout->mesh, rank, coord);
    const int64_t n = defined_indices(layout, dim, coord).n;
    if (rank == 0) *length = n;
    if (n != *length) return false;
  }
  return true;
}

static void random_sizes(int64_t total, int64_t parts, int64_t sizes[]) {
  memset(sizes, 0, (size_t)parts * sizeof sizes[0]);
  for (int64_t i = 0; i < total; i++) sizes[random_below(parts)]++;
}

static dtensor_placement random_placement(int ndim) {
  const int dim = ndim ? (int)random_below(ndim) : 0;
  switch (ndim ? random_below(7) : random_below(2)) {
    case 0:
      return dtensor_replicate();
    case 1:
      return dtensor_partial(DTENSOR_SUM);
    case 2:
    case 3:
      return dtensor_shard(dim);
    case 4:
      return dtensor_shard_balanced(dim);
    case 5:
      return dtensor_shard_cyclic(dim, 1 + random_below(4));
    default:
      return dtensor_strided_shard(dim, 1 + random_below(5));
  }
}

/* Explicit sizes go where what they split is equally long everywhere; elsewhere they must be
 * refused. */
static dti_layout random_layout(int64_t sizes[DTENSOR_MAX_NDIM][MAX_PARTS]) {
  int64_t shape[3], mesh[4];
  const int ndim = (int)random_below(4), mesh_ndim = 1 + (int)random_below(4);
  for (int d = 0; d < ndim; d++) shape[d] = PICK(0, 1, 2, 3, 5, 7, 8, 12, 13, 24, 31, 64);
  for (int m = 0; m < mesh_ndim; m++) mesh[m] = PICK(1, 2, 2, 3, 4, 5, 7);

  dtensor_placement p[4] = {{0}};
  dti_layout layout;
  EXPECT_OK(dti_layout_init(&layout, ndim, shape, mesh_ndim, mesh, p));
  for (int m = 0; m < mesh_ndim; m++) {
    p[m] = random_placement(ndim);
    if (ndim > 0 && random_below(4) == 0) {
      const int dim = (int)random_below(ndim);
      int64_t length = 0;
      const bool fits = uniform(&layout, dim, &length);
      random_sizes(length, mesh[m], sizes[m]);
      const dtensor_placement explicit = dtensor_shard_sizes(dim, sizes[m]);
      p[m] = explicit;
      EXPECT_EQ(dti_layout_init(&layout, ndim, shape, mesh_ndim, mesh, p) == DTENSOR_OK, fits);
      if (!fits) p[m] = dtensor_shard(dim);
    }
    EXPECT_OK(dti_layout_init(&layout, ndim, shape, mesh_ndim, mesh, p));
  }
  return layout;
}

/* ---- what must hold */

static bool same_owner(const dti_axis *axis, const int64_t a[], const int64_t b[]) {
  for (int level = 0; level < axis->levels; level++)
    if (a[axis->mesh_dim[level]] != b[axis->mesh_dim[level]]) return false;
  return true;
}

/* Every index on its own: who has it, as which local index. */
typedef struct ownership {
  int64_t coord[MAX_SIZE][DTENSOR_MAX_NDIM], local[MAX_SIZE];
} ownership;

/* Fills `owned`, and holds each coordinate's list against length, offset, global and owner. */
static bool check_coordinates(const dti_layout *layout, int dim, ownership *owned) {
  const dti_axis axis = dti_axis_of(layout, dim);
  const int64_t ranks = dti_numel(layout->mesh_ndim, layout->mesh);
  int64_t found = 0;
  for (int64_t rank = 0; rank < ranks; rank++) {
    int64_t coord[DTENSOR_MAX_NDIM], shape[DTENSOR_MAX_NDIM], offset[DTENSOR_MAX_NDIM];
    dti_mesh_unravel(layout->mesh_ndim, layout->mesh, rank, coord);
    dti_layout_local(layout, coord, shape, offset);
    const index_list list = defined_indices(layout, dim, coord);
    found += list.n;
    if (!EXPECT_EQ(shape[dim], list.n) || !EXPECT_TRUE(offset[dim] >= 0) ||
        !EXPECT_LE(offset[dim], axis.size) || (list.n && !EXPECT_EQ(offset[dim], list.at[0])))
      return false;

    int64_t together = 0;
    for (int64_t l = list.n - 1; l >= 0; l--) {
      const int64_t index = list.at[l];
      together = l + 1 < list.n && list.at[l + 1] == index + 1 ? together + 1 : 1;
      int64_t owner[DTENSOR_MAX_NDIM] = {0}, run;
      if (!EXPECT_EQ(dti_axis_global(&axis, coord, l, &run), index) || !EXPECT_EQ(run, together) ||
          !EXPECT_EQ(dti_axis_owner(&axis, index, owner, &run), l) || !EXPECT_EQ(run, together) ||
          !EXPECT_TRUE(same_owner(&axis, owner, coord)))
        return false;
      owned->local[index] = l;
      memcpy(owned->coord[index], coord, sizeof coord);
    }
  }
  /* Replicas apart, every index is owned once: the owners above are distinct coordinates. */
  int64_t owners = 1;
  for (int level = 0; level < axis.levels; level++) owners *= axis.parts[level];
  return EXPECT_EQ(found, axis.size * (ranks / owners));
}

typedef struct visited {
  const dti_axis *axis;
  const ownership *owned;
  int64_t end; /* of the last piece */
  bool seen[MAX_SIZE], ok;
} visited;

static dtensor_status visit(const dti_piece *piece, void *ctx) {
  visited *v = ctx;
  v->ok = EXPECT_LE(v->end, piece->begin) && EXPECT_GT(piece->length, 0);
  v->end = piece->begin + piece->length;
  for (int64_t i = 0; v->ok && i < piece->length; i++) {
    const int64_t index = piece->begin + i;
    v->seen[index] = true;
    v->ok = EXPECT_EQ(v->owned->local[index], piece->local + i) &&
            EXPECT_TRUE(same_owner(v->axis, v->owned->coord[index], piece->coord));
  }
  return v->ok ? DTENSOR_OK : DTENSOR_EINVAL;
}

static bool check_walk(const dti_layout *layout, int dim, const ownership *owned) {
  const dti_axis axis = dti_axis_of(layout, dim);
  int64_t fixed[DTENSOR_MAX_NDIM];
  const int64_t begin = random_below(axis.size + 1);
  const int64_t end = begin + random_below(axis.size - begin + 1);
  for (int m = 0; m < layout->mesh_ndim; m++)
    fixed[m] = random_below(2) ? -1 : random_below(layout->mesh[m]);
  visited v = {.axis = &axis, .owned = owned, .end = begin, .ok = true};
  if (!EXPECT_OK(dti_axis_walk(&axis, begin, end, fixed, visit, &v)) || !EXPECT_LE(v.end, end))
    return false;
  for (int64_t i = 0; i < axis.size; i++) {
    bool wanted = i >= begin && i < end;
    for (int level = 0; level < axis.levels; level++) {
      const int m = axis.mesh_dim[level];
      if (fixed[m] >= 0 && fixed[m] != owned->coord[i][m]) wanted = false;
    }
    if (!EXPECT_EQ(v.seen[i], wanted)) return false;
  }
  return true;
}

static bool check_layout(const dti_layout *layout) {
  for (int d = 0; d < layout->ndim; d++) {
    ownership owned;
    if (!check_coordinates(layout, d, &owned)) return false;
    for (int i = 0; i < 8; i++)
      if (!check_walk(layout, d, &owned)) return false;
  }
  return true;
}

static void check_random_layouts(uint64_t seed) {
  for (int i = 0; i < LAYOUTS; i++) {
    int64_t sizes[DTENSOR_MAX_NDIM][MAX_PARTS];
    random_state = seed + (uint64_t)i;
    const dti_layout layout = random_layout(sizes);
    if (check_layout(&layout)) continue;
    char text[256];
    dtest_fail(__FILE__, __LINE__, "layout %d: %s", i, dti_layout_text(&layout, text, sizeof text));
    return;
  }
}

DTEST(AxisProperty, RandomLayoutsSeed1) { check_random_layouts(1000000); }
DTEST(AxisProperty, RandomLayoutsSeed2) { check_random_layouts(2000000); }

/* Intermediate layouts of a plan split in another order: as if the mesh dimensions were swapped. */
DTEST(AxisProperty, OrderOfSplitting) {
  const int64_t shape[] = {13}, mesh[] = {2, 3}, swapped_mesh[] = {3, 2};
  const dtensor_placement p[] = {dtensor_shard(0), dtensor_shard_cyclic(0, 2)};
  const dtensor_placement swapped_p[] = {p[1], p[0]};
  dti_layout layout, swapped;
  REQUIRE_OK(dti_layout_init(&layout, 1, shape, 2, mesh, p));
  REQUIRE_OK(dti_layout_init(&swapped, 1, shape, 2, swapped_mesh, swapped_p));
  layout.order[0] = 1;
  layout.order[1] = 0;
  const dti_axis a = dti_axis_of(&layout, 0), b = dti_axis_of(&swapped, 0);
  for (int64_t i = 0; i < 13; i++) {
    int64_t coord[2], other[2], run, other_run;
    EXPECT_EQ(dti_axis_owner(&a, i, coord, &run), dti_axis_owner(&b, i, other, &other_run));
    EXPECT_EQ(run, other_run);
    EXPECT_EQ(coord[0], other[1]);
    EXPECT_EQ(coord[1], other[0]);
  }
}
