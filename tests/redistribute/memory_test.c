/* What a redistribution needs on a rank: source, result, and the bytes in flight. The counters are
 * of the process, so this runs under MPI only. */
#include <dtensor/debug.h>
#include <dtensor/memory.h>
#include <dtensor/redistribute.h>
#include <stdlib.h>

#include "tests/harness/arange.h"
#include "tests/harness/world.h"

enum { ROWS = 300, COLUMNS = 211, ALL = ROWS * COLUMNS * 8 };

static int64_t in_use(void) {
  dtensor_memory_info info;
  dtensor_memory_stats(&info);
  return info.current;
}

static int64_t peak(void) {
  dtensor_memory_info info;
  dtensor_memory_stats(&info);
  return info.peak;
}

/* Everyone begins together, with nothing cached. */
static int64_t start(const test_world *world) {
  dtensor_memory_set_cache_limit(0);
  world_barrier(world);
  dtensor_memory_reset_peak();
  dtensor_comm_stats_reset();
  return in_use();
}

DTEST_WORLD(RedistributeMemory, NoMoreThanInFlight, 1) {
  dtensor_mesh *line = NULL, *grid = NULL;
  REQUIRE_OK(world_line(world, &line));
  REQUIRE_OK(world_grid(world, &grid));
  static const struct {
    int on_grid;
    const char *from, *to;
  } cases[] = {{0, "S0", "S1"},       {0, "S1", "S0"},        {0, "S0", "R"},
               {0, "S1", "R"},        {0, "R", "S1"},         {0, "P", "R"},
               {0, "P", "S0"},        {0, "P", "S1"},         {0, "P(avg)", "SB(1)"},
               {0, "S1", "P"},        {0, "SC(0,8)", "S0"},   {0, "SC(1,4)", "R"},
               {1, "S0,S1", "S1,S0"}, {1, "S0,S1", "R,R"},    {1, "P,S1", "R,R"},
               {1, "P,P", "S0,S1"},   {1, "P,R", "R,P(max)"}, {1, "P,P", "R,R"}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    dtensor *x = NULL, *y = NULL;
    dtensor_mesh *mesh = cases[i].on_grid ? grid : line;
    dtensor_placement to[2];
    REQUIRE_OK(dtensor_placements_parse(cases[i].to, dtensor_mesh_ndim(mesh), to));
    REQUIRE_OK(make_arange(mesh, 2, (int64_t[]){ROWS, COLUMNS}, cases[i].from, &x));
    const int64_t before = start(world);
    REQUIRE_OK(dtensor_redistribute(x, to, NULL, &y));
    dtensor_comm_counts counts;
    dtensor_comm_stats(&counts);
    const int64_t result = 8 * dtensor_local_size(y, -1);
    if (!EXPECT_LE(peak() - before, result + counts.bytes_sent + counts.bytes_received))
      dtest_fail(__FILE__, __LINE__, "%s -> %s", cases[i].from, cases[i].to);
    EXPECT_EQ(in_use() - before, result);
    dtensor_destroy(&x);
    dtensor_destroy(&y);
  }
  dtensor_mesh_destroy(&line);
  dtensor_mesh_destroy(&grid);
}

/* Contiguous pieces are received where they belong and sent from where they are. */
DTEST_WORLD(RedistributeMemory, RowsNeedNoBuffer, 1) {
  dtensor_mesh *line = NULL;
  dtensor *x = NULL, *y = NULL;
  REQUIRE_OK(world_line(world, &line));
  REQUIRE_OK(make_arange(line, 2, (int64_t[]){ROWS, COLUMNS}, "S0", &x));
  const int64_t before = start(world);
  REQUIRE_OK(dtensor_redistribute(x, (dtensor_placement[]){dtensor_replicate()}, NULL, &y));
  EXPECT_EQ(peak() - before, ALL);
  dtensor_destroy(&x);
  dtensor_destroy(&y);
  dtensor_mesh_destroy(&line);
}

/* Only the source ever holds the whole array, unless the placements ask for it. */
DTEST_WORLD(RedistributeMemory, DistributeTensor, 1) {
  dtensor_mesh *line = NULL;
  REQUIRE_OK(world_line(world, &line));
  static const char *const placements[] = {"S0", "S1", "SC(0,16)", "SC(1,3)", "R", "P"};
  double *global = world->rank == 0 ? calloc(ALL, 1) : NULL;
  for (size_t i = 0; i < sizeof placements / sizeof *placements; i++) {
    dtensor_placement p[1];
    dtensor *x = NULL;
    REQUIRE_OK(dtensor_placements_parse(placements[i], 1, p));
    const int64_t before = start(world);
    REQUIRE_OK(dtensor_distribute_tensor(line, DTENSOR_F64, 2, (int64_t[]){ROWS, COLUMNS}, global,
                                         0, p, &x));
    dtensor_comm_counts counts;
    dtensor_comm_stats(&counts);
    const int64_t share = 8 * dtensor_local_size(x, -1);
    EXPECT_LE(counts.bytes_received, share);
    EXPECT_LE(peak() - before, share + counts.bytes_sent + counts.bytes_received);
    if (world->rank != 0 && p[0].kind != DTENSOR_REPLICATE && p[0].kind != DTENSOR_PARTIAL)
      EXPECT_LE(peak() - before, 2 * share);
    dtensor_destroy(&x);
  }
  free(global);
  dtensor_mesh_destroy(&line);
}
