/* Exchanges planned without any mesh object: on small meshes against brute force, and on a mesh of
 * a million ranks, where a plan must be as large as what one rank really does. */
#include "dtensor/spec/exchange.h"

#include <malloc.h>
#include <string.h>

#include "dtensor/spec/axis.h"
#include "dtensor/spec/route.h"
#include "tests/harness/dtest.h"

static dti_layout layout_of(int64_t q, const int64_t shape[2], const char *text) {
  dtensor_placement p[2];
  dti_layout layout;
  EXPECT_OK(dtensor_placements_parse(text, 2, p));
  EXPECT_OK(dti_layout_init(&layout, 2, shape, 2, (int64_t[]){q, q}, p));
  return layout;
}

typedef struct size_of_plan {
  int64_t sends, receives, elements_sent, elements_received;
  size_t bytes; /* of heap while the plan lives */
} size_of_plan;

static size_of_plan plan_on(int64_t q, int64_t n, const char *from, const char *to, int64_t row,
                            int64_t column) {
  const int64_t shape[] = {n, n};
  const dti_layout a = layout_of(q, shape, from), b = layout_of(q, shape, to);
  const int64_t place = row * q + column;
  const dti_exchange_ends ends = {
      .from = &a, .to = &b, .from_place = place, .to_place = place, .same_mesh = 1};
  dti_exchange x;
  const size_t before = mallinfo2().uordblks;
  EXPECT_OK(dti_exchange_plan(&ends, &x));
  const size_of_plan size = {x.sends, x.messages_received, x.elements_sent, x.elements_received,
                             mallinfo2().uordblks - before};
  dti_exchange_free(&x);
  return size;
}

/* n grows with q, so that a rank owns 8 x 8 elements on any mesh. */
DTEST(Exchange, BlockTransposeHasOnePeerOnAnyMesh) {
  for (int64_t q = 4; q <= 1024; q *= 16) {
    const size_of_plan size = plan_on(q, 8 * q, "S(0),S(1)", "S(1),S(0)", 1, 2);
    EXPECT_EQ(size.sends, 1);
    EXPECT_EQ(size.receives, 1);
    EXPECT_EQ(size.elements_sent, 64);
    EXPECT_EQ(size.elements_received, 64);
    const size_of_plan diagonal = plan_on(q, 8 * q, "S(0),S(1)", "S(1),S(0)", 2, 2);
    EXPECT_EQ(diagonal.sends + diagonal.receives, 0);
  }
}

DTEST(Exchange, PlansDoNotGrowWithRanksThatAreNoPeers) {
  static const struct {
    const char *from, *to;
    int64_t peers; /* at most, on any mesh */
  } rows[] = {{"R,R", "S(0),S(1)", 0},         {"R,R", "S(0),S(0)", 0},
              {"S(0),R", "S(0),S(1)", 0},      {"S(0),S(1)", "SB(0),SB(1)", 0},
              {"S(0),S(0)", "SB(0),SB(0)", 2}, {"S(0),S(1)", "S(1),S(0)", 1},
              {"P,S(0)", "P,SB(0)", 0},        {"S(0),S(1)", "P,S(1)", 0}};
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    const size_of_plan small = plan_on(32, 32 * 32, rows[i].from, rows[i].to, 5, 7);
    const size_of_plan large = plan_on(1024, 1024 * 1024, rows[i].from, rows[i].to, 5, 7);
    EXPECT_LE(small.sends, rows[i].peers);
    EXPECT_LE(large.sends, rows[i].peers);
    EXPECT_LE(large.receives, rows[i].peers);
    EXPECT_LE(large.bytes, small.bytes + 4096);
    EXPECT_LE(large.bytes, (size_t)32768);
  }
}

/* Where one mesh dimension is exchanged all to all, its line is the list of peers: a thousand, not
 * a million. */
DTEST(Exchange, LineExchangesKnowTheirLineOnly) {
  static const char *const pairs[][2] = {{"S(0),R", "S(1),R"},    {"S(0),S(1)", "R,S(1)"},
                                         {"P,S(0)", "S(1),S(0)"}, {"S(0),S(1)", "S(1),S(1)"},
                                         {"SC(0,4),R", "S(0),R"}, {"S(1),SS(0,4)", "S(1),S(1)"}};
  for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
    const size_of_plan size = plan_on(1024, 1024 * 1024, pairs[i][0], pairs[i][1], 5, 7);
    EXPECT_GT(size.sends, 0);
    EXPECT_LE(size.sends, 1024);
    EXPECT_LE(size.receives, 1024);
    EXPECT_LE(size.bytes, (size_t)4 << 20);
  }
}

/* A sum that everybody wants goes in two steps, and their bytes are those of the best all-reduce.
 */
DTEST(Route, AllReduceIsReduceScatterThenAllGather) {
  const int64_t n = 4096, shape[] = {n, n};
  const dti_layout from = layout_of(64, shape, "P,S(0)"), to = layout_of(64, shape, "R,S(0)");
  dti_route route;
  dti_route_make(&from, &to, NULL, 1, 0, 8, &route);
  EXPECT_EQ(route.steps, 2);
  int64_t received = 0;
  const dti_layout *now = &from;
  for (int i = 0; i < route.steps; i++) {
    const dti_exchange_ends ends = {
        .from = now, .to = &route.step[i].to, .from_place = 70, .to_place = 70, .same_mesh = 1};
    dti_exchange x;
    EXPECT_OK(dti_exchange_plan(&ends, &x));
    received += x.elements_received;
    EXPECT_LE(x.sends, 63);
    dti_exchange_free(&x);
    now = &route.step[i].to;
  }
  EXPECT_EQ(received, 2 * 63 * (n * n / 64) / 64);
}

/* At once and in the order of all ranks, until that would be too much to gather. */
DTEST(Route, AFewBytesAreGathered) {
  const int64_t side[] = {1024, 16}, shape[] = {2, 2};
  for (int i = 0; i < 2; i++) {
    const dti_layout from = layout_of(side[i], shape, "P,P"), to = layout_of(side[i], shape, "R,R");
    dti_route route;
    dti_route_make(&from, &to, NULL, 1, 0, 8, &route);
    EXPECT_EQ(route.steps, i == 0 ? 2 : 1);
    for (int k = 0; k < route.steps; k++) {
      EXPECT_EQ((int)route.step[k].kind, (int)DTI_STEP_GATHER);
      EXPECT_EQ(route.step[k].mesh_dims, i == 1 ? 3u : 1u << k);
    }
    EXPECT_TRUE(dti_layout_equal(&route.step[route.steps - 1].to, &to));
  }
}

/* A sum of bf16 or f16 is rounded once: not after each mesh dimension. */
DTEST(Route, HalvesAreReducedInOneStep) {
  const int64_t side[] = {1024, 4}, shape[] = {2, 2};
  for (int i = 0; i < 2; i++) {
    const dti_layout from = layout_of(side[i], shape, "P,P"), to = layout_of(side[i], shape, "R,R");
    dti_route route;
    dti_route_make(&from, &to, NULL, 1, 0, 2, &route);
    EXPECT_EQ(route.steps, 1);
    EXPECT_EQ((int)route.step[0].kind, (int)(i == 0 ? DTI_STEP_EXCHANGE : DTI_STEP_GATHER));
  }
}
