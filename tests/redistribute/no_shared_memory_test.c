/* With DTENSOR_SHARED_MEMORY=0 (the BUILD file sets it) all goes by messages: the results are the
 * same, and dtensor_explain() says why. */
#include <dtensor/plan.h>
#include <dtensor/redistribute.h>

#include "tests/harness/arange.h"
#include "tests/harness/world.h"

static const char *const placements[] = {"R", "S0", "S1", "P", "SC(0,2)"};
enum { PLACEMENTS = sizeof placements / sizeof *placements };

DTEST_WORLD(NoSharedMemory, FallsBackAndSaysSo, 1) {
  if (world->size == 1) return;
  dtensor_mesh *mesh = NULL;
  REQUIRE_OK(world_line(world, &mesh));
  for (int from = 0; from < PLACEMENTS; from++)
    for (int to = 0; to < PLACEMENTS; to++) {
      dtensor *x = NULL, *y = NULL;
      dtensor_placement p;
      dtensor_plan_info info;
      char text[4096];
      REQUIRE_OK(make_arange(mesh, 2, (int64_t[]){21, 34}, placements[from], &x));
      REQUIRE_OK(dtensor_placements_parse(placements[to], 1, &p));
      REQUIRE_OK(dtensor_explain(x, &p, NULL, &info, text, sizeof text));
      if (info.options > 0) {
        EXPECT_EQ(info.shared_memory, 0);
        EXPECT_CONTAINS(text, "DTENSOR_SHARED_MEMORY");
      }
      REQUIRE_OK(dtensor_redistribute(x, &p, NULL, &y));
      if (p.kind != DTENSOR_PARTIAL) EXPECT_TRUE(holds_arange(y));
      dtensor_destroy(&x);
      dtensor_destroy(&y);
    }
  dtensor_mesh_destroy(&mesh);
}
