/* Tensors of local arrays that the ranks bring: ownership, strides, uneven sizes, and errors that
 * every rank hears of. */
#include <dtensor/redistribute.h>
#include <stdlib.h>
#include <string.h>

#include "tests/harness/arange.h"
#include "tests/harness/world.h"

static void count_release(void *ctx) { ++*(int *)ctx; }

DTEST_WORLD(FromLocal, Ownership, 1, 3) {
  dtensor_mesh *mesh = NULL;
  REQUIRE_OK(world_line(world, &mesh));
  const dtensor_placement rows[] = {dtensor_shard(0)};
  double data[6] = {1, 2, 3, 4, 5, 6};
  int released = 0;
  dtensor *x = NULL;
  dtensor_local local = {.data = data, .ndim = 2, .shape = {2, 3}};

  REQUIRE_OK(dtensor_from_local(mesh, DTENSOR_F64, &local, rows, NULL, &x));
  EXPECT_NE(dtensor_local_data(x), data);
  data[0] = -1;
  EXPECT_EQ(*(double *)dtensor_local_data(x), 1.0);
  dtensor_destroy(&x);

  local.own = DTENSOR_BORROW;
  REQUIRE_OK(dtensor_from_local(mesh, DTENSOR_F64, &local, rows, NULL, &x));
  EXPECT_EQ(dtensor_local_data(x), (void *)data);
  dtensor_destroy(&x);

  local.own = DTENSOR_OWN;
  EXPECT_STATUS(DTENSOR_EINVAL, dtensor_from_local(mesh, DTENSOR_F64, &local, rows, NULL, &x));
  local.release = count_release;
  local.ctx = &released;
  REQUIRE_OK(dtensor_from_local(mesh, DTENSOR_F64, &local, rows, NULL, &x));
  EXPECT_EQ(dtensor_local_data(x), (void *)data);
  dtensor *again = dtensor_retain(x);
  dtensor_destroy(&x);
  EXPECT_NULL(x);
  EXPECT_EQ(released, 0);
  EXPECT_EQ(dtensor_size(again, 0), 2 * world->size);
  dtensor_destroy(&again);
  EXPECT_EQ(released, 1);

  /* On an error the array stays the caller's. */
  EXPECT_STATUS(DTENSOR_ESHAPE, dtensor_from_local(mesh, DTENSOR_F64, &local, rows,
                                                   (int64_t[]){2 * world->size + 1, 3}, &x));
  EXPECT_NULL(x);
  EXPECT_EQ(released, 1);
  dtensor_mesh_destroy(&mesh);
}

/* Columns first, gaps between rows, backwards: the values are those of the strides. */
DTEST_WORLD(FromLocal, Strides, 1, 2, 3) {
  dtensor_mesh *mesh = NULL;
  REQUIRE_OK(world_line(world, &mesh));
  static const struct {
    int64_t stride[2], first;
  } layouts[] = {{{0, 0}, 0},  {{3, 1}, 0},   {{1, 4}, 0},
                 {{10, 2}, 5}, {{-5, 1}, 20}, {{-1, -8}, 40}};
  const dtensor_placement columns[] = {dtensor_shard(1)}, rows[] = {dtensor_shard(0)};
  for (size_t i = 0; i < sizeof layouts / sizeof *layouts; i++) {
    for (int own = DTENSOR_COPY; own <= DTENSOR_BORROW; own++) {
      double memory[64] = {0};
      const bool packed = layouts[i].stride[0] == 0;
      const int64_t s0 = packed ? 3 : layouts[i].stride[0], s1 = packed ? 1 : layouts[i].stride[1];
      double *data = memory + layouts[i].first;
      for (int r = 0; r < 4; r++)
        for (int c = 0; c < 3; c++)
          data[r * s0 + c * s1] = (double)(r * 3 * world->size + world->rank * 3 + c);
      dtensor_local local = {.data = data,
                             .ndim = 2,
                             .shape = {4, 3},
                             .stride = {layouts[i].stride[0], layouts[i].stride[1]},
                             .own = (dtensor_ownership)own};
      dtensor *x = NULL, *y = NULL;
      REQUIRE_OK(dtensor_from_local(mesh, DTENSOR_F64, &local, columns, NULL, &x));
      EXPECT_TRUE(holds_arange(x));
      if (own == DTENSOR_BORROW) EXPECT_EQ(dtensor_local_stride(x, 0), s0);
      REQUIRE_OK(dtensor_redistribute(x, rows, NULL, &y));
      EXPECT_TRUE(holds_arange(y));
      double all[12 * 64];
      REQUIRE_OK(dtensor_full_tensor(x, all));
      for (int64_t k = 0; k < dtensor_size(x, -1); k++) EXPECT_EQ(all[k], (double)k);
      dtensor_destroy(&x);
      dtensor_destroy(&y);
    }
  }
  dtensor_mesh_destroy(&mesh);
}

/* A Partial source of any strides is added up right, too. */
DTEST_WORLD(FromLocal, StridedPartial, 1, 3, 4) {
  dtensor_mesh *mesh = NULL;
  REQUIRE_OK(world_line(world, &mesh));
  double data[90];
  for (int r = 0; r < 9; r++)
    for (int c = 0; c < 10; c++)
      data[c * 9 + r] = (r * 10 + c) * (world->rank == 0 ? 2.0 - world->size : 1.0);
  const dtensor_local local = {
      .data = data, .ndim = 2, .shape = {9, 10}, .stride = {1, 9}, .own = DTENSOR_BORROW};
  dtensor *x = NULL, *y = NULL;
  REQUIRE_OK(dtensor_from_local(mesh, DTENSOR_F64, &local,
                                (dtensor_placement[]){dtensor_partial(DTENSOR_SUM)}, NULL, &x));
  static const char *const targets[] = {"R", "S0", "S1", "SC(0,2)", "SC(1,1)"};
  for (size_t i = 0; i < sizeof targets / sizeof *targets; i++) {
    dtensor_placement p[1];
    EXPECT_OK(dtensor_placements_parse(targets[i], 1, p));
    REQUIRE_OK(dtensor_redistribute(x, p, NULL, &y));
    EXPECT_TRUE(holds_arange(y));
    dtensor_destroy(&y);
  }
  dtensor_destroy(&x);
  dtensor_mesh_destroy(&mesh);
}

/* PyTorch takes the sizes of rank 0 for those of all (from_local_uneven_noshape). Here they are
 * what they are. */
DTEST_WORLD(FromLocal, UnevenSizes, 1, 2, 4, 6) {
  dtensor_mesh *mesh = NULL;
  REQUIRE_OK(world_line(world, &mesh));
  const int64_t mine = world->rank % 3; /* not a chunk's: 0, 1, 2, 0, ... */
  int64_t first = 0, total = 0;
  for (int r = 0; r < world->size; r++) {
    if (r == world->rank) first = total;
    total += r % 3;
  }
  double data[6];
  for (int i = 0; i < 6; i++) data[i] = (double)(first * 3 + i);
  const dtensor_local local = {.data = data, .ndim = 2, .shape = {mine, 3}};
  const dtensor_placement rows[] = {dtensor_shard(0)};
  for (int given = 0; given < 2; given++) {
    dtensor *x = NULL, *y = NULL;
    REQUIRE_OK(dtensor_from_local(mesh, DTENSOR_F64, &local, rows,
                                  given ? (int64_t[]){total, 3} : NULL, &x));
    EXPECT_EQ(dtensor_size(x, 0), total);
    EXPECT_EQ(dtensor_local_size(x, 0), mine);
    EXPECT_EQ(dtensor_local_offset(x, 0), first);
    EXPECT_TRUE(holds_arange(x));
    if (world->size > 1) {
      const dtensor_placement p = dtensor_placement_of(x, 0);
      EXPECT_EQ(p.kind, DTENSOR_SHARD_SIZES);
      EXPECT_EQ(p.count, world->size);
      for (int r = 0; r < world->size; r++) EXPECT_EQ(p.sizes[r], r % 3);
    }
    REQUIRE_OK(
        dtensor_redistribute(x, (dtensor_placement[]){dtensor_shard_cyclic(0, 1)}, NULL, &y));
    EXPECT_TRUE(holds_arange(y));
    dtensor_destroy(&x);
    dtensor_destroy(&y);
  }
  dtensor_mesh_destroy(&mesh);
}

/* Chunks are recognised, and the placement stays what it was. */
DTEST_WORLD(FromLocal, FittingSizes, 1, 3, 4, 6) {
  dtensor_mesh *mesh = NULL;
  REQUIRE_OK(world_grid(world, &mesh));
  static const char *const pairs[] = {"S0,S1",      "S0,S0", "SB(0),SC(0,2)", "S1,R",
                                      "SS(0,2),S0", "P,S0",  "R,P(max)"};
  const int64_t shape[] = {11, 7};
  for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
    dtensor_placement p[2];
    dtensor *x = NULL, *y = NULL;
    dtensor_local local;
    EXPECT_OK(dtensor_placements_parse(pairs[i], 2, p));
    REQUIRE_OK(dtensor_arange(mesh, DTENSOR_F64, 2, shape, p, &x));
    REQUIRE_OK(dtensor_to_local(x, &local));
    local.own = DTENSOR_COPY;
    REQUIRE_OK(dtensor_from_local(mesh, DTENSOR_F64, &local, p, NULL, &y));
    for (int m = 0; m < 2; m++)
      EXPECT_TRUE(dtensor_placement_equal(p[m], dtensor_placement_of(y, m)));
    for (int d = 0; d < 2; d++) EXPECT_EQ(dtensor_size(y, d), shape[d]);
    EXPECT_MEMEQ(dtensor_local_data(x), dtensor_local_data(y),
                 8 * (size_t)dtensor_local_size(x, -1));
    dtensor_destroy(&x);
    dtensor_destroy(&y);
  }
  dtensor_mesh_destroy(&mesh);
}

/* Two mesh dimensions split one tensor dimension in a way of their own. */
DTEST_WORLD(FromLocal, NestedSizes, 4, 6) {
  if (world->size % 2 || world->size < 4) return;
  dtensor_mesh *mesh = NULL;
  REQUIRE_OK(world_grid(world, &mesh));
  const int64_t inner = dtensor_mesh_coordinate(mesh, 1), outer = dtensor_mesh_coordinate(mesh, 0);
  const int64_t mine = inner + 1, columns = dtensor_mesh_size(mesh, 1);
  const int64_t half = columns * (columns + 1) / 2, first = outer * half + inner * (inner + 1) / 2;
  double data[8];
  for (int i = 0; i < 8; i++) data[i] = (double)(first + i);
  dtensor_local local = {.data = data, .ndim = 1, .shape = {mine}};
  const dtensor_placement p[] = {dtensor_shard(0), dtensor_shard(0)};
  dtensor *x = NULL;
  REQUIRE_OK(dtensor_from_local(mesh, DTENSOR_F64, &local, p, NULL, &x));
  EXPECT_EQ(dtensor_size(x, 0), 2 * half);
  EXPECT_EQ(dtensor_local_offset(x, 0), first);
  EXPECT_TRUE(holds_arange(x));
  dtensor_destroy(&x);
  /* The inner sizes must not depend on the outer coordinate: a placement could not say so. */
  local.shape[0] = outer == 0 ? inner + 1 : columns - inner;
  EXPECT_STATUS(columns > 1 ? DTENSOR_EPLACEMENT : DTENSOR_OK,
                dtensor_from_local(mesh, DTENSOR_F64, &local, p, NULL, &x));
  EXPECT_NULL(x);
  dtensor_mesh_destroy(&mesh);
}

DTEST_WORLD(FromLocal, NoElementsNoDimensions, 1, 3) {
  dtensor_mesh *mesh = NULL;
  REQUIRE_OK(world_line(world, &mesh));
  dtensor *x = NULL;
  dtensor_local local = {.ndim = 2, .shape = {0, 5}};
  REQUIRE_OK(dtensor_from_local(mesh, DTENSOR_F32, &local, (dtensor_placement[]){dtensor_shard(0)},
                                NULL, &x));
  EXPECT_EQ(dtensor_size(x, 0), 0);
  EXPECT_EQ(dtensor_size(x, 1), 5);
  dtensor_destroy(&x);
  double value = 2.5, sum = 0;
  local = (dtensor_local){.data = &value, .own = DTENSOR_BORROW};
  REQUIRE_OK(dtensor_from_local(mesh, DTENSOR_F64, &local,
                                (dtensor_placement[]){dtensor_partial(DTENSOR_SUM)}, NULL, &x));
  EXPECT_EQ(dtensor_ndim(x), 0);
  EXPECT_EQ(dtensor_size(x, -1), 1);
  EXPECT_OK(dtensor_full_tensor(x, &sum));
  EXPECT_EQ(sum, 2.5 * world->size);
  dtensor_destroy(&x);
  /* More indices than can be counted, of no elements. */
  local = (dtensor_local){.ndim = 2, .shape = {0, INT64_MAX / 2 + 1}};
  const dtensor_status status = dtensor_from_local(
      mesh, DTENSOR_F64, &local, (dtensor_placement[]){dtensor_shard(1)}, NULL, &x);
  EXPECT_STATUS(world->size > 1 ? DTENSOR_ESHAPE : DTENSOR_OK, status);
  dtensor_destroy(&x);
  dtensor_mesh_destroy(&mesh);
}

/* What is wrong on the last rank only is an error on all of them. */
DTEST_WORLD(FromLocal, ErrorsOnOneRank, 1, 2, 4) {
  dtensor_mesh *mesh = NULL;
  REQUIRE_OK(world_line(world, &mesh));
  const bool odd = world->rank == world->size - 1, alone = world->size == 1;
  const dtensor_placement rows[] = {dtensor_shard(0)}, whole[] = {dtensor_replicate()};
  double data[12] = {0};
  const dtensor_local good = {.data = data, .ndim = 2, .shape = {2, 3}};
  dtensor *x = (dtensor *)&x;
#define BAD(...)            \
  dtensor_local bad = good; \
  if (odd) {                \
    __VA_ARGS__;            \
  }
  {
    BAD(bad.data = NULL)
    EXPECT_STATUS(DTENSOR_EINVAL, dtensor_from_local(mesh, DTENSOR_F64, &bad, rows, NULL, &x));
    EXPECT_NULL(x);
  }
  {
    BAD(bad.shape[0] = -1)
    EXPECT_STATUS(DTENSOR_EINVAL, dtensor_from_local(mesh, DTENSOR_F64, &bad, rows, NULL, &x));
  }
  {
    BAD(bad.shape[0] = INT64_C(1) << 61)
    EXPECT_STATUS(DTENSOR_EINVAL, dtensor_from_local(mesh, DTENSOR_F64, &bad, rows, NULL, &x));
  }
  {
    BAD(bad.ndim = 9)
    EXPECT_STATUS(DTENSOR_EINVAL, dtensor_from_local(mesh, DTENSOR_F64, &bad, rows, NULL, &x));
  }
  {
    BAD(bad.own = (dtensor_ownership)17)
    EXPECT_STATUS(DTENSOR_EINVAL, dtensor_from_local(mesh, DTENSOR_F64, &bad, rows, NULL, &x));
  }
  {
    BAD(bad.ndim = 1)
    EXPECT_STATUS(alone ? DTENSOR_OK : DTENSOR_ESHAPE,
                  dtensor_from_local(mesh, DTENSOR_F64, &bad, rows, NULL, &x));
    dtensor_destroy(&x);
  }
  {
    BAD(bad.shape[1] = 2)
    EXPECT_STATUS(alone ? DTENSOR_OK : DTENSOR_ESHAPE,
                  dtensor_from_local(mesh, DTENSOR_F64, &bad, rows, NULL, &x));
    dtensor_destroy(&x);
  }
  {
    BAD(bad.shape[0] = 1)
    EXPECT_STATUS(alone ? DTENSOR_OK : DTENSOR_ESHAPE,
                  dtensor_from_local(mesh, DTENSOR_F64, &bad, whole, NULL, &x));
    dtensor_destroy(&x);
  }
#undef BAD
  EXPECT_STATUS(DTENSOR_EINVAL,
                dtensor_from_local(mesh, DTENSOR_F64, odd ? NULL : &good, rows, NULL, &x));
  EXPECT_STATUS(DTENSOR_EINVAL,
                dtensor_from_local(mesh, DTENSOR_F64, &good, odd ? NULL : rows, NULL, &x));
  EXPECT_NULL(x);
  dtensor_mesh_destroy(&mesh);
}

DTEST_WORLD(FromLocal, BadArguments, 1, 3) {
  dtensor_mesh *mesh = NULL;
  REQUIRE_OK(world_line(world, &mesh));
  double data[6] = {0};
  const dtensor_local local = {.data = data, .ndim = 2, .shape = {2, 3}};
  dtensor *x = (dtensor *)&x;
  const dtensor_placement rows[] = {dtensor_shard(0)}, deep[] = {dtensor_shard(2)},
                          bits[] = {dtensor_partial(DTENSOR_BAND)},
                          cyclic[] = {dtensor_shard_cyclic(0, 5)};
  EXPECT_STATUS(DTENSOR_EPLACEMENT, dtensor_from_local(mesh, DTENSOR_F64, &local, deep, NULL, &x));
  EXPECT_NULL(x);
  EXPECT_STATUS(DTENSOR_EDTYPE, dtensor_from_local(mesh, DTENSOR_F64, &local, bits, NULL, &x));
  EXPECT_STATUS(DTENSOR_EDTYPE, dtensor_from_local(mesh, (dtensor_dtype)0, &local, rows, NULL, &x));
  EXPECT_STATUS(DTENSOR_EINVAL, dtensor_from_local(NULL, DTENSOR_F64, &local, rows, NULL, &x));
  EXPECT_STATUS(DTENSOR_EINVAL, dtensor_from_local(mesh, DTENSOR_F64, &local, rows, NULL, NULL));
  EXPECT_STATUS(DTENSOR_ESHAPE, dtensor_from_local(mesh, DTENSOR_F64, &local, rows,
                                                   (int64_t[]){2 * world->size, 4}, &x));
  /* Blocks of 5 are not what these ranks have. */
  EXPECT_STATUS(world->size > 1 ? DTENSOR_ESHAPE : DTENSOR_OK,
                dtensor_from_local(mesh, DTENSOR_F64, &local, cyclic, NULL, &x));
  dtensor_destroy(&x);
  dtensor_mesh_destroy(&mesh);
}
