/* Sums of numbers that are rounded: the same bits in every run, on every arrangement of the ranks
 * on nodes, with requests and in batches. */
#include <dtensor/redistribute.h>
#include <stdlib.h>
#include <string.h>

#include "tests/harness/world.h"

enum { RANKS_MAX = 8, BYTES_MAX = 1 << 14 };

static const struct {
  int grid;
  int64_t shape[2];
  const char *from, *to;
} cases[] = {
    {0, {2, 3}, "P", "R"},        {0, {40, 30}, "P", "R"},        {0, {40, 30}, "P", "S1"},
    {0, {7, 5}, "P", "S0"},       {0, {40, 30}, "P(avg)", "R"},   {0, {40, 30}, "P", "SC(0,3)"},
    {1, {40, 30}, "P,P", "R,R"},  {1, {40, 30}, "P,S0", "R,R"},   {1, {40, 30}, "P,P", "S0,S1"},
    {1, {40, 30}, "P,R", "S1,R"}, {1, {40, 30}, "S1,P", "R,S0"},  {1, {40, 30}, "P,P", "S0,R"},
    {1, {2, 3}, "P,P", "R,R"},    {1, {2, 3}, "P,P(avg)", "R,R"}, {1, {2, 3}, "P,S0", "R,S0"},
};
enum { CASES = sizeof cases / sizeof *cases };

/* What each rank got at first. */
typedef struct results {
  bool known;
  size_t bytes[RANKS_MAX];
  unsigned char data[RANKS_MAX][BYTES_MAX];
} results;
static results first[CASES];

static dtensor_status make_source(dtensor_mesh *mesh, int c, dtensor **x) {
  const int mesh_ndim = dtensor_mesh_ndim(mesh);
  dtensor_placement p[2];
  dtensor_status status = dtensor_placements_parse(cases[c].from, mesh_ndim, p);
  if (status == DTENSOR_OK) status = dtensor_zeros(mesh, DTENSOR_F32, 2, cases[c].shape, p, x);
  if (status != DTENSOR_OK) return status;
  uint32_t random = (uint32_t)(2463534242u + 977 * (unsigned)dtensor_mesh_coordinate(mesh, -1));
  float *data = dtensor_local_data(*x);
  for (int64_t i = 0; i < dtensor_local_size(*x, -1); i++) {
    random ^= random << 13;
    random ^= random >> 17;
    random ^= random << 5;
    data[i] = ((float)random - 2147483648.0f) * (random % 3 ? 1e-3f : 1e3f);
  }
  return DTENSOR_OK;
}

static void compare(int c, int rank, int turn, const dtensor *y) {
  const size_t bytes = (size_t)dtensor_local_size(y, -1) * sizeof(float);
  if (!first[c].known) {
    first[c].bytes[rank] = bytes;
    memcpy(first[c].data[rank], dtensor_local_data(y), bytes);
    return;
  }
  EXPECT_EQ(bytes, first[c].bytes[rank]);
  if (bytes > 0 && !EXPECT_MEMEQ(dtensor_local_data(y), first[c].data[rank], bytes))
    dtest_fail(__FILE__, __LINE__, "%s -> %s, turn %d", cases[c].from, cases[c].to, turn);
}

static dtensor_status sum_all(dtensor_sim *sim, void *ctx) {
  const test_world world = world_of_sim(sim);
  dtensor_mesh *line = NULL, *grid = NULL;
  SIM_REQUIRE_OK(world_line(&world, &line));
  SIM_REQUIRE_OK(world_grid(&world, &grid));
  for (int c = 0; c < CASES; c++) {
    dtensor *x = NULL, *y[3] = {NULL};
    dtensor_placement p[2];
    SIM_REQUIRE_OK(make_source(cases[c].grid ? grid : line, c, &x));
    SIM_REQUIRE_OK(dtensor_placements_parse(cases[c].to, cases[c].grid ? 2 : 1, p));
    SIM_REQUIRE_OK(dtensor_redistribute(x, p, NULL, &y[0]));
    if (!first[c].known) { /* all write before anyone compares */
      compare(c, world.rank, 0, y[0]);
      world_barrier(&world);
      if (world.rank == 0) first[c].known = true;
      world_barrier(&world);
    }
    for (int turn = 0; turn < *(int *)ctx; turn++) {
      compare(c, world.rank, turn, y[0]);
      dtensor_destroy(&y[0]);
      SIM_REQUIRE_OK(dtensor_redistribute(x, p, NULL, &y[0]));
    }
    dtensor_destroy(&y[0]);
    const dtensor *const xs[] = {x, x, x};
    const dtensor_placement *const to[] = {p, p, p};
    SIM_REQUIRE_OK(dtensor_redistribute_many(3, xs, to, NULL, y));
    for (int i = 0; i < 3; i++) compare(c, world.rank, 100 + i, y[i]);
    for (int i = 0; i < 3; i++) dtensor_destroy(&y[i]);
    const dtensor_redistribute_opts opts = {.max_bytes = 100000};
    SIM_REQUIRE_OK(dtensor_redistribute(x, p, &opts, &y[0]));
    compare(c, world.rank, 200, y[0]);
    dtensor_destroy(&y[0]);
    dtensor_destroy(&x);
  }
  dtensor_mesh_destroy(&line);
  dtensor_mesh_destroy(&grid);
  return DTENSOR_OK;
}

DTEST(Sums, AreTheSameBitsEverywhere) {
  static const int sizes[] = {3, 4, 6};
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
    memset(first, 0, sizeof first);
    for (int per_node = sizes[i]; per_node > 0; per_node /= 2) {
      int turns = 2;
      EXPECT_OK(dtensor_sim_run_nodes(sizes[i], per_node, sum_all, &turns));
    }
  }
}
