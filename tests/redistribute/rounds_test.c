/* A cap on the buffers: what fits goes in rounds and is right, what does not is refused on every
 * rank, and no rank ever allocates more. */
#include <dtensor/memory.h>
#include <dtensor/plan.h>
#include <dtensor/redistribute.h>

#include "dtensor/mesh/mesh.h"
#include "tests/harness/arange.h"
#include "tests/harness/world.h"

/* Of 1 or 2 mesh dimensions. */
static const char *const pairs[][2] = {
    {"S0", "S1"},       {"S1", "S0"},          {"S0", "R"},      {"S1", "R"},
    {"P", "R"},         {"P", "S0"},           {"P", "S1"},      {"SC(0,3)", "S0"},
    {"SC(1,2)", "R"},   {"R", "S1"},           {"S1", "P(max)"}, {"SB(0)", "SC(1,1)"},
    {"P", "SC(1,3)"},   {"P", "SB(1)"},        {"S0", "P(avg)"}, {"S0,S1", "S1,S0"},
    {"S0,S1", "R,R"},   {"P,S1", "R,R"},       {"P,P", "S0,S1"}, {"P,P", "R,R"},
    {"S0,S0", "S1,S1"}, {"SC(0,2),R", "R,S0"}, {"P,S0", "S0,P"}, {"R,S1", "S1,R"},
};
enum { PAIRS = sizeof pairs / sizeof *pairs };

static const int64_t shapes[][2] = {{13, 17}, {1, 4099}, {2053, 2}, {101, 103}, {0, 7}};
enum { SHAPES = sizeof shapes / sizeof *shapes };

static int64_t sum_over_ranks(const dtensor_mesh *mesh, int64_t value) {
  EXPECT_OK(dti_comm_allreduce(mesh->root, &value, 1, DTI_COMM_SUM));
  return value;
}

/* While no rank does anything. */
static dtensor_memory_info stats(const dtensor_mesh *mesh) {
  dtensor_memory_info info;
  (void)sum_over_ranks(mesh, 0);
  dtensor_memory_stats(&info);
  (void)sum_over_ranks(mesh, 0);
  return info;
}

static bool is_partial(const dtensor *x) {
  for (int m = 0; m < dtensor_mesh_ndim(dtensor_mesh_of(x)); m++)
    if (dtensor_placement_of(x, m).kind == DTENSOR_PARTIAL) return true;
  return false;
}

/* 1 if it was done, 0 if it was refused. target: bytes of the result on this rank. */
static int transfer(const test_world *world, dtensor_mesh *mesh, const dtensor *x,
                    const dtensor_placement to[], int64_t target, int64_t max_bytes) {
  dtensor *y = NULL;
  const dtensor_redistribute_opts opts = {.max_bytes = max_bytes};
  const dtensor_memory_info before = stats(mesh);
  if (world->rank == 0 || !world->sim) dtensor_memory_reset_peak();
  (void)sum_over_ranks(mesh, 0);
  const dtensor_status status = dtensor_redistribute(x, to, &opts, &y);
  const dtensor_memory_info after = stats(mesh);
  const int64_t refusals = sum_over_ranks(mesh, status == DTENSOR_EBUDGET);
  bool ok = EXPECT_STATUS(refusals > 0 ? DTENSOR_EBUDGET : DTENSOR_OK, status);
  int64_t most = max_bytes;
  if (world->sim) { /* the counters are of the process, which is all ranks */
    target = sum_over_ranks(mesh, target);
    most *= world->size;
  }
  /* What does not fit is found out when it is allocated. */
  if (max_bytes > 1)
    ok &= EXPECT_LE(after.peak - before.current, target + (refusals > 0 ? 2 * most : most));
  ok &= EXPECT_EQ(after.current - before.current, status == DTENSOR_OK ? target : 0);
  if (y && !is_partial(y)) ok &= EXPECT_TRUE(holds_arange(y));
  if (!ok)
    dtest_fail(__FILE__, __LINE__, "with %lld bytes: %s", (long long)max_bytes,
               status == DTENSOR_OK ? "done" : dtensor_last_error());
  (void)sum_over_ranks(mesh, 0);
  dtensor_destroy(&y);
  return status == DTENSOR_OK;
}

DTEST_NODES(Rounds, FitOrAreRefused, {2, 1}, {3, 1}, {4, 1}, {6, 1}, {4, 2}, {6, 4}) {
  dtensor_memory_set_cache_limit(0);
  dtensor_mesh *line = NULL, *grid = NULL;
  REQUIRE_OK(world_line(world, &line));
  REQUIRE_OK(world_grid(world, &grid));
  static const int64_t caps[] = {1, 2000, 40000, 1 << 20};
  for (int p = 0; p < PAIRS; p++) {
    dtensor_placement to[2];
    dtensor_mesh *mesh = p < 15 ? line : grid;
    REQUIRE_OK(dtensor_placements_parse(pairs[p][1], p < 15 ? 1 : 2, to));
    for (int s = 0; s < SHAPES; s++) {
      dtensor *x = NULL;
      REQUIRE_OK(make_arange(mesh, 2, shapes[s], pairs[p][0], &x));
      dtensor *y = NULL;
      REQUIRE_OK(dtensor_empty(mesh, DTENSOR_F64, 2, shapes[s], to, &y));
      const int64_t target = 8 * dtensor_local_size(y, -1);
      dtensor_destroy(&y);
      int done = 0;
      for (size_t c = 0; c < sizeof caps / sizeof *caps; c++)
        done += transfer(world, mesh, x, to, target, caps[c]);
      if (!EXPECT_GE(done, 1)) /* the last cap is more than everything */
        dtest_fail(__FILE__, __LINE__, "%s -> %s", pairs[p][0], pairs[p][1]);
      dtensor_destroy(&x);
    }
  }
  dtensor_mesh_destroy(&line);
  dtensor_mesh_destroy(&grid);
}
