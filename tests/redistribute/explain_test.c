/* What dtensor_explain() promises is what the counters count, on every rank. */
#include <dtensor/debug.h>
#include <dtensor/plan.h>
#include <dtensor/redistribute.h>
#include <string.h>

#include "tests/harness/world.h"

static const char *const placements[] = {"R,R",   "S0,R",      "R,S1",    "S0,S1", "S1,S0",
                                         "S0,S0", "S1,S1",     "P,R",     "P,P",   "SC(0,2),S1",
                                         "P,S0",  "S1,P(avg)", "P(max),R"};
enum { PLACEMENTS = sizeof placements / sizeof *placements };

static dtensor_placement parsed[PLACEMENTS][2];

static bool is_partial_of_another_op(int a, int b) {
  for (int m = 0; m < 2; m++)
    for (int k = 0; k < 2; k++)
      if (parsed[a][m].kind == DTENSOR_PARTIAL && parsed[b][k].kind == DTENSOR_PARTIAL &&
          parsed[a][m].op != parsed[b][k].op)
        return true;
  return false;
}

static void check_pair(dtensor_mesh *mesh, const int64_t shape[], int from, int to) {
  dtensor *x = NULL, *y = NULL;
  REQUIRE_OK(dtensor_zeros(mesh, DTENSOR_F64, 2, shape, parsed[from], &x));
  dtensor_plan_info info;
  dtensor_comm_counts counts;
  EXPECT_OK(dtensor_explain(x, parsed[to], NULL, &info, NULL, 0));
  dtensor_comm_stats_reset();
  EXPECT_OK(dtensor_redistribute(x, parsed[to], NULL, &y));
  dtensor_comm_stats(&counts);
  const bool same =
      info.bytes_received == counts.bytes_received && info.bytes_sent == counts.bytes_sent;
  if (!same)
    dtest_fail(__FILE__, __LINE__, "%s -> %s: promised %lld and %lld bytes, counted %lld and %lld",
               placements[from], placements[to], (long long)info.bytes_received,
               (long long)info.bytes_sent, (long long)counts.bytes_received,
               (long long)counts.bytes_sent);
  if (info.options == 0) EXPECT_EQ(counts.messages_received + counts.messages_sent, 0);
  dtensor_destroy(&x);
  dtensor_destroy(&y);
}

DTEST_WORLD(Explain, PromisesTheBytesThatAreCounted, 1, 4, 6) {
  static const int64_t shapes[][2] = {{3, 5}, {13, 22}, {64, 48}};
  dtensor_mesh *mesh = NULL;
  REQUIRE_OK(world_grid(world, &mesh));
  for (int i = 0; i < PLACEMENTS; i++)
    REQUIRE_OK(dtensor_placements_parse(placements[i], 2, parsed[i]));
  for (int s = 0; s < 3; s++)
    for (int from = 0; from < PLACEMENTS; from++)
      for (int to = 0; to < PLACEMENTS; to++)
        if (!is_partial_of_another_op(from, to)) check_pair(mesh, shapes[s], from, to);
  dtensor_mesh_destroy(&mesh);
}

DTEST_WORLD(Explain, ListsWhatLost, 4, 6) {
  if (world->size < 4) return;
  dtensor_mesh *mesh = NULL;
  dtensor *x = NULL;
  REQUIRE_OK(world_grid(world, &mesh));
  dtensor_placement from[2], to[2];
  REQUIRE_OK(dtensor_placements_parse("S0,S1", 2, from));
  REQUIRE_OK(dtensor_placements_parse("R,R", 2, to));
  REQUIRE_OK(dtensor_zeros(mesh, DTENSOR_F32, 2, (int64_t[]){96, 96}, from, &x));
  dtensor_plan_info info;
  char text[4096];
  EXPECT_OK(dtensor_explain(x, to, NULL, &info, text, sizeof text));
  /* Where all ranks read each other's memory there is one way. */
  const int is_near = info.shared_memory && info.ranks_per_node >= world->size;
  EXPECT_GE(info.options, is_near ? 1 : 2);
  EXPECT_TRUE(info.option[0].chosen);
  EXPECT_EQ(info.option[0].engine, info.engine);
  EXPECT_EQ(info.option[0].steps, info.steps);
  for (int i = 1; i < info.options; i++) {
    EXPECT_FALSE(info.option[i].chosen);
    EXPECT_GE(info.option[i].seconds, info.option[i - 1].seconds);
  }
  EXPECT_EQ(info.bytes_received, 96 * 96 * 4 - 96 * 96 * 4 / world->size);
  EXPECT_GT(info.seconds, 0.0);
  EXPECT_CONTAINS(text, "[96,96] S(0),S(1) on (2,");
  EXPECT_CONTAINS(text, "-> R,R, f32");
  EXPECT_CONTAINS(text, "chosen");
  if (!is_near) EXPECT_CONTAINS(text, "slower");
  EXPECT_CONTAINS(text, "on a node");

  char cut[20];
  EXPECT_OK(dtensor_explain(x, to, NULL, NULL, cut, sizeof cut));
  EXPECT_EQ(strlen(cut), sizeof cut - 1);
  EXPECT_MEMEQ(cut, text, sizeof cut - 1);

  EXPECT_OK(dtensor_explain(x, from, NULL, &info, text, sizeof text));
  EXPECT_EQ(info.options, 0);
  EXPECT_CONTAINS(text, "nothing moves");
  dtensor_destroy(&x);
  dtensor_mesh_destroy(&mesh);
}

DTEST_WORLD(Explain, ACapThatNothingFits, 4) {
  if (world->size < 4) return;
  dtensor_mesh *mesh = NULL;
  dtensor *x = NULL;
  REQUIRE_OK(world_line(world, &mesh));
  const dtensor_placement partial = dtensor_partial(DTENSOR_SUM), replicate = dtensor_replicate();
  REQUIRE_OK(dtensor_zeros(mesh, DTENSOR_F64, 2, (int64_t[]){64, 64}, &partial, &x));
  dtensor_plan_info info;
  char text[2048];
  const dtensor_redistribute_opts tight = {.max_bytes = 1}, wide = {.max_bytes = 1 << 20};
  const dtensor_status refused = dtensor_explain(x, &replicate, &tight, &info, text, sizeof text);
  EXPECT_GE(info.options, 1);
  if (info.shared_memory && info.ranks_per_node >= world->size) { /* nothing needs a buffer */
    EXPECT_OK(refused);
    EXPECT_EQ(info.workspace, 0);
  } else {
    EXPECT_STATUS(DTENSOR_EBUDGET, refused);
    EXPECT_FALSE(info.option[0].fits);
    EXPECT_FALSE(info.option[0].chosen);
    EXPECT_CONTAINS(text, "above max_bytes");
  }
  EXPECT_OK(dtensor_explain(x, &replicate, &wide, &info, text, sizeof text));
  EXPECT_TRUE(info.option[0].chosen);
  EXPECT_LE(info.workspace, 1 << 20);
  dtensor_destroy(&x);
  dtensor_mesh_destroy(&mesh);
}

DTEST_WORLD(Explain, BadArguments, 2) {
  dtensor_mesh *mesh = NULL;
  dtensor *x = NULL;
  REQUIRE_OK(world_line(world, &mesh));
  const dtensor_placement replicate = dtensor_replicate(), band = dtensor_partial(DTENSOR_BAND),
                          far = dtensor_shard(7);
  REQUIRE_OK(dtensor_zeros(mesh, DTENSOR_F64, 1, (int64_t[]){8}, &replicate, &x));
  dtensor_plan_info info;
  char text[64];
  EXPECT_STATUS(DTENSOR_EINVAL, dtensor_explain(NULL, &replicate, NULL, &info, text, sizeof text));
  EXPECT_STREQ(text, "");
  EXPECT_STATUS(DTENSOR_EINVAL, dtensor_explain(x, NULL, NULL, &info, text, sizeof text));
  EXPECT_STATUS(DTENSOR_EPLACEMENT, dtensor_explain(x, &far, NULL, &info, text, sizeof text));
  EXPECT_STATUS(DTENSOR_EDTYPE, dtensor_explain(x, &band, NULL, &info, text, sizeof text));
  EXPECT_EQ(info.options, 0);
  EXPECT_OK(dtensor_explain(x, &replicate, NULL, NULL, NULL, 0));
  dtensor_destroy(&x);
  dtensor_mesh_destroy(&mesh);
}
