/* A mesh of a million ranks costs what the answer is long, and no memory. */
#include <stdlib.h>

#include "dtensor/spec/axis.h"
#include "dtensor/spec/layout.h"
#include "tests/harness/dtest.h"

/* The linker leads every call of malloc() and its kin here. */
static long allocations;

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *old, size_t size);
int __real_posix_memalign(void **out, size_t alignment, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *old, size_t size);
int __wrap_posix_memalign(void **out, size_t alignment, size_t size);

void *__wrap_malloc(size_t size) {
  allocations++;
  return __real_malloc(size);
}
void *__wrap_calloc(size_t n, size_t size) {
  allocations++;
  return __real_calloc(n, size);
}
void *__wrap_realloc(void *old, size_t size) {
  allocations++;
  return __real_realloc(old, size);
}
int __wrap_posix_memalign(void **out, size_t alignment, size_t size) {
  allocations++;
  return __real_posix_memalign(out, alignment, size);
}

enum { PARTS = 1024 };
static const int64_t MESH[] = {PARTS, PARTS};
#define ROWS (INT64_C(1000003) * 1021) /* of two primes: uneven everywhere */

static dti_axis axis_of(dtensor_placement outer, dtensor_placement inner) {
  const int64_t shape[] = {ROWS};
  const dtensor_placement p[] = {outer, inner};
  dti_layout layout = {0};
  EXPECT_OK(dti_layout_init(&layout, 1, shape, 2, MESH, p));
  return dti_axis_of(&layout, 0);
}

typedef struct tally {
  int64_t pieces, elements;
} tally;

static dtensor_status count(const dti_piece *piece, void *ctx) {
  tally *t = ctx;
  t->pieces++;
  t->elements += piece->length;
  return DTENSOR_OK;
}

static tally walk(const dti_axis *axis, const int64_t fixed[]) {
  tally t = {0, 0};
  EXPECT_OK(dti_axis_walk(axis, 0, axis->size, fixed, count, &t));
  return t;
}

DTEST(AxisCost, OneCoordinateOfAMillion) {
  const struct {
    dtensor_placement outer, inner;
    int64_t pieces; /* of one coordinate */
  } rows[] = {
      {dtensor_shard(0), dtensor_shard(0), 1},
      {dtensor_shard_balanced(0), dtensor_shard(0), 1},
      {dtensor_shard(0), dtensor_shard_balanced(0), 1},
      {dtensor_shard(0), dtensor_strided_shard(0, 4), 4},
      {dtensor_strided_shard(0, 4), dtensor_shard(0), 1},
      {dtensor_shard(0), dtensor_shard_cyclic(0, 128), 8},
      {dtensor_replicate(), dtensor_shard_cyclic(0, INT64_C(1) << 18), 4},
      {dtensor_replicate(), dtensor_strided_shard(0, 16), 16},
  };
  const int64_t coord[] = {517, 300};
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    const dti_axis axis = axis_of(rows[i].outer, rows[i].inner);
    const long before = allocations;
    const int64_t length = dti_axis_length(&axis, coord);
    const tally all = walk(&axis, coord);

    int64_t pieces = 0, owner[2] = {-1, -1};
    bool owned = true;
    for (int64_t local = 0, run; local < length; local += run, pieces++) {
      const int64_t index = dti_axis_global(&axis, coord, local, &run);
      owned = owned && dti_axis_owner(&axis, index, owner, NULL) == local && owner[1] == coord[1];
    }
    const long made = allocations - before;
    EXPECT_EQ(made, 0);
    EXPECT_TRUE(owned);
    EXPECT_EQ(all.elements, length);
    EXPECT_EQ(all.pieces, rows[i].pieces);
    EXPECT_EQ(pieces, rows[i].pieces);
  }
}

/* A line of the mesh is its coordinates, not the mesh. */
DTEST(AxisCost, OneFixedCoordinate) {
  const dti_axis axis = axis_of(dtensor_shard(0), dtensor_shard(0));
  const int64_t outer_fixed[] = {3, -1}, inner_fixed[] = {-1, 3};
  EXPECT_EQ(walk(&axis, outer_fixed).pieces, PARTS);
  EXPECT_EQ(walk(&axis, inner_fixed).pieces, PARTS);
}

static dtensor_status stop_at_ten(const dti_piece *piece, void *ctx) {
  (void)piece;
  return ++*(int *)ctx == 10 ? DTENSOR_EBUDGET : DTENSOR_OK;
}

DTEST(AxisCost, StopsWhenTold) {
  const dti_axis axis = axis_of(dtensor_shard(0), dtensor_shard_cyclic(0, 1));
  int visits = 0;
  EXPECT_STATUS(DTENSOR_EBUDGET, dti_axis_walk(&axis, 0, axis.size, NULL, stop_at_ten, &visits));
  EXPECT_EQ(visits, 10);
}

DTEST(AxisCost, ExplicitSizesAreWalkedOnce) {
  static int64_t sizes[PARTS];
  int64_t left = ROWS;
  for (int i = 0; i < PARTS; i++) left -= sizes[i] = i % 3 ? ROWS / PARTS : ROWS / PARTS / 2;
  sizes[PARTS / 2] += left;
  const dti_axis axis = axis_of(dtensor_shard_sizes(0, sizes), dtensor_replicate());
  const tally t = walk(&axis, NULL);
  EXPECT_EQ(t.pieces, PARTS);
  EXPECT_EQ(t.elements, ROWS);
  const int64_t fixed[] = {700, 0};
  EXPECT_EQ(walk(&axis, fixed).pieces, 1);
  EXPECT_EQ(walk(&axis, fixed).elements, sizes[700]);
}
