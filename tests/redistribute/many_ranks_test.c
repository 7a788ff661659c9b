/* More ranks than cores: 64 simulated ones with every transition, and a loop of small transfers
 * that must not come to a standstill. */
#include <dtensor/redistribute.h>

#include "tests/harness/arange.h"
#include "tests/harness/world.h"

static const char *const placements[] = {"R,R", "S0,R", "S0,S1",      "S1,S0",   "S0,S0", "P,R",
                                         "R,P", "P,P",  "SC(0,2),S1", "R,SB(1)", "P,S0"};
enum { PLACEMENTS = sizeof placements / sizeof *placements };

static bool is_partial(const dtensor_placement p[]) {
  return p[0].kind == DTENSOR_PARTIAL || p[1].kind == DTENSOR_PARTIAL;
}

DTEST_NODES(ManyRanks, EveryTransition, {64, 64}, {64, 8}, {64, 1}) {
  dtensor_mesh *mesh = NULL;
  const int64_t rows = world->size % 8 == 0 ? 8 : 1;
  REQUIRE_OK(world_mesh(world, 2, (int64_t[]){rows, -1}, NULL, &mesh));
  for (int from = 0; from < PLACEMENTS; from++) {
    dtensor *x = NULL;
    REQUIRE_OK(make_arange(mesh, 2, (int64_t[]){37, 22}, placements[from], &x));
    for (int to = 0; to < PLACEMENTS; to++) {
      dtensor *y = NULL;
      dtensor_placement p[2];
      REQUIRE_OK(dtensor_placements_parse(placements[to], 2, p));
      REQUIRE_OK(dtensor_redistribute(x, p, NULL, &y));
      if (!is_partial(p)) EXPECT_TRUE(holds_arange(y));
      dtensor_destroy(&y);
    }
    dtensor_destroy(&x);
  }
  dtensor_mesh_destroy(&mesh);
}

/* The time limit of a test is what fails here. */
DTEST_NODES(ManyRanks, ThousandSmallTransfers, {6, 6}, {6, 2}) {
  dtensor_mesh *mesh = NULL;
  dtensor *x = NULL, *y = NULL;
  REQUIRE_OK(world_line(world, &mesh));
  REQUIRE_OK(make_arange(mesh, 2, (int64_t[]){7, 6}, "S0", &x));
  const dtensor_placement to[] = {dtensor_shard(1), dtensor_replicate(), dtensor_shard(0)};
  for (int i = 0; i < 1000; i++) {
    REQUIRE_OK(dtensor_redistribute(x, &to[i % 3], NULL, &y));
    EXPECT_TRUE(holds_arange(y));
    dtensor_destroy(&x);
    x = y;
    y = NULL;
  }
  dtensor_destroy(&x);
  dtensor_mesh_destroy(&mesh);
}
