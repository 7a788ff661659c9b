/* The slices that a product leaves in, and what of it stays. */
#include "dtensor/dtensor.h"
#include "dtensor/ops/matmul_job.h"
#include "tests/harness/world.h"

DTEST(Slices, GrowFromOneGrain) {
  for (int64_t owners = 2; owners <= 40; owners++)
    for (int64_t grains = 1; grains <= 40; grains++) {
      dti_matmul_job job = {.slices = 0};
      dti_matmul_cut_slices(&job, owners, grains);
      REQUIRE_TRUE(job.slices >= 1 && job.slices <= DTI_MATMUL_SLICES);
      EXPECT_TRUE(job.slice_grains <= grains);
      EXPECT_EQ(job.slice_end[0], 1);
      EXPECT_EQ(job.slice_end[job.slices - 1], job.slice_grains);
      int64_t begin = 0, before = 1;
      for (int64_t i = 0; i < job.slices; begin = job.slice_end[i++]) {
        const int64_t length = job.slice_end[i] - begin;
        EXPECT_TRUE(length >= (i + 1 < job.slices ? before : 1));
        before = length;
      }
    }
}

DTEST(Slices, AreAlikeWithoutOwners) {
  dti_matmul_job job = {.slices = 0};
  dti_matmul_cut_slices(&job, 0, 40);
  EXPECT_EQ(job.slices, DTI_MATMUL_SLICES);
  for (int64_t i = 0; i < job.slices; i++) EXPECT_EQ(job.slice_end[i], i + 1);
}

/* Each element of a part is in one of those it is split into, and in `staying` if it is kept. */
static void expect_split(const dti_run kept[2], dti_matmul_part part) {
  dti_matmul_job job = {.kept = {kept[0], kept[1]}};
  dti_matmul_part pieces[5];
  const int n = dti_matmul_split_part(&job, &part, pieces, &pieces[4]);
  for (int64_t i = 0; i < 12; i++)
    for (int64_t j = 0; j < 12; j++) {
      const int64_t at[2] = {i, j};
      int in_part = 1, is_kept = 1, leaves = 0, stays = 1;
      for (int d = 0; d < 2; d++) {
        in_part &= at[d] >= part.begin[d] && at[d] < part.begin[d] + part.length[d];
        is_kept &= at[d] >= kept[d].begin && at[d] < kept[d].begin + kept[d].length;
        stays &= at[d] >= pieces[4].begin[d] && at[d] < pieces[4].begin[d] + pieces[4].length[d];
      }
      for (int k = 0; k < n; k++) {
        int in = 1;
        for (int d = 0; d < 2; d++)
          in &= at[d] >= pieces[k].begin[d] && at[d] < pieces[k].begin[d] + pieces[k].length[d];
        leaves += in;
      }
      EXPECT_EQ(stays, in_part && is_kept);
      EXPECT_EQ(leaves, in_part && !is_kept);
    }
}

DTEST(Slices, AreSplitIntoWhatLeavesAndWhatStays) {
  static const dti_run runs[] = {{0, 0}, {0, 4}, {3, 5}, {8, 4}, {0, 12}, {6, 0}};
  enum { RUNS = sizeof runs / sizeof *runs };
  for (int a = 0; a < RUNS; a++)
    for (int b = 0; b < RUNS; b++)
      for (int c = 0; c < RUNS; c++)
        for (int d = 0; d < RUNS; d++)
          expect_split(
              (const dti_run[]){runs[a], runs[b]},
              (dti_matmul_part){{runs[c].begin, runs[d].begin}, {runs[c].length, runs[d].length}});
}

static dtensor *filled(dtensor_mesh *mesh, int64_t rows, int64_t columns, const char *layout) {
  dtensor_placement p[DTENSOR_MAX_NDIM];
  dtensor *x = NULL;
  EXPECT_OK(dtensor_placements_parse(layout, dtensor_mesh_ndim(mesh), p));
  EXPECT_OK(dtensor_empty(mesh, DTENSOR_F64, 2, (int64_t[]){rows, columns}, p, &x));
  double *data = dtensor_local_data(x);
  for (int64_t i = 0; i < dtensor_local_size(x, 0); i++)
    for (int64_t j = 0; j < dtensor_local_size(x, 1); j++)
      *data++ =
          (double)((dtensor_local_offset(x, 0) + i) % 7 + (dtensor_local_offset(x, 1) + j) % 5);
  return x;
}

/* a(i, k) = i % 7 + k % 5, and b(k, j) alike. */
static double expected(int64_t i, int64_t j, int64_t n) {
  double sum = 0;
  for (int64_t k = 0; k < n; k++) sum += (double)((i % 7 + k % 5) * (k % 7 + j % 5));
  return sum;
}

/* Large enough for slices of several lengths, where ranks are on several nodes. */
static void expect_product(dtensor_mesh *mesh, const char *a_at, const char *b_at, const char *to) {
  enum { M = 66, N = 1100, K = 24 };
  dtensor_placement p[DTENSOR_MAX_NDIM];
  dtensor *a = filled(mesh, M, K, a_at), *b = filled(mesh, K, N, b_at), *c = NULL;
  REQUIRE_OK(dtensor_placements_parse(to, dtensor_mesh_ndim(mesh), p));
  REQUIRE_OK(dtensor_matmul_ex(a, b, &(dtensor_matmul_opts){.placements = p}, &c));
  dtensor *rows = NULL; /* whatever c's layout is */
  for (int m = 0; m < dtensor_mesh_ndim(mesh); m++) p[m] = dtensor_shard(0);
  REQUIRE_OK(dtensor_redistribute(c, p, NULL, &rows));
  const double *data = dtensor_local_data(rows);
  bool right = true;
  for (int64_t i = 0; i < dtensor_local_size(rows, 0); i++)
    for (int64_t j = 0; j < dtensor_local_size(rows, 1); j++)
      right &= *data++ ==
               expected(dtensor_local_offset(rows, 0) + i, dtensor_local_offset(rows, 1) + j, K);
  EXPECT_TRUE(right);
  dtensor_destroy(&rows);
  dtensor_destroy(&c);
  dtensor_destroy(&b);
  dtensor_destroy(&a);
}

DTEST_NODES(Slices, LeaveBeforeTheRestIsThere, {1, 1}, {2, 1}, {3, 1}, {4, 1}, {4, 2}, {6, 3}) {
  dtensor_mesh *line = NULL, *grid = NULL;
  REQUIRE_OK(world_line(world, &line));
  static const char *const targets[] = {"S(0)", "S(1)", "R", "SC(0,5)"};
  for (int t = 0; t < 4; t++) expect_product(line, "S(1)", "S(0)", targets[t]);
  if (world->size % 2 == 0) {
    REQUIRE_OK(world_grid(world, &grid));
    expect_product(grid, "S(1), S(1)", "S(0), S(0)", "S(0), S(1)");
    expect_product(grid, "S(0), S(1)", "R, S(0)", "S(0), S(1)");
    expect_product(grid, "R, S(1)", "R, S(0)", "R, S(0)");
  }
  dtensor_mesh_destroy(&grid);
  dtensor_mesh_destroy(&line);
}
