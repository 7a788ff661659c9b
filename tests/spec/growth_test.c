/* On larger and larger meshes a plan grows as the ranks grow that one rank talks to, and these stay
 * few: benchmarks/simulate.c prints the same transitions. */
#include "dtensor/spec/matmul_plan.h"
#include "tests/spec/plan_case.h"

enum { ELEMENT = 8, BLOCK = 1 << 20, KIB_PER_PEER = 8 };

static const char *const pairs[][2] = {
    {"S0,S0", "S1,S1"}, {"S0,S0", "R,R"}, {"P,P", "S0,S0"}, {"P,P", "R,R"}, {"S0,S1", "S1,S0"}};
enum { PAIRS = sizeof pairs / sizeof *pairs };

static dti_candidates candidates;

/* The plan for one rank that a place would keep: its bytes, and how many it talks to. */
static void measure(const dti_layout *from, const dti_route *route, int64_t *bytes,
                    int64_t *peers) {
  *bytes = *peers = 0;
  for (int i = 0; i < route->steps; i++) {
    dti_exchange x = exchange_at(i ? &route->step[i - 1].to : from, &route->step[i].to, 1);
    *bytes += (int64_t)dti_exchange_bytes(&x);
    *peers += x.sends > x.messages_received ? x.sends : x.messages_received;
    dti_exchange_free(&x);
  }
}

/* Shards of BLOCK elements where the tensor is split before and after, or a whole of BLOCK. */
static void check(int pair, int64_t side, const dtensor_machine *machine) {
  const int is_split = pair == 0 || pair == 4;
  const int64_t ranks = side * side, rows = ranks > 1024 ? ranks : 1024;
  const int64_t mesh[] = {side, side}, shards[] = {1024 * side, 1024 * side};
  const int64_t whole[] = {rows, rows < BLOCK ? BLOCK / rows : 1};
  const dti_layout from = layout_of(2, is_split ? shards : whole, 2, mesh, pairs[pair][0]);
  const dti_layout to = layout_of(2, is_split ? shards : whole, 2, mesh, pairs[pair][1]);
  const dti_question question = {.from = &from,
                                 .to = &to,
                                 .same_mesh = 1,
                                 .element = ELEMENT,
                                 .machine = machine,
                                 .topology = {64, 1}};
  EXPECT_OK(dti_route_candidates(&question, &candidates));
  const dti_candidate *best = &candidates.list[0];
  int64_t bytes, peers;
  measure(&from, &best->route, &bytes, &peers);
  bool ok = EXPECT_TRUE(best->fits) && EXPECT_GT(best->cost.seconds, 0) &&
            EXPECT_LE(bytes, (peers + 2) * KIB_PER_PEER * 1024) &&
            EXPECT_LE(peers, ranks <= DTI_MANY_PEERS ? 2 * ranks : 4 * side) &&
            /* Twice, or at the most three times, what one exchange brings. */
            EXPECT_LE(best->cost.bytes_received, (ranks <= DTI_MANY_PEERS ? 2 : 3) * BLOCK * 8LL) &&
            /* Carriers keep what a whole node sends to one other, in and out. */
            EXPECT_LE(best->cost.workspace, 10 * BLOCK * 8LL);
  if (!ok)
    dtest_fail(__FILE__, __LINE__, "%s -> %s on %lld x %lld", pairs[pair][0], pairs[pair][1],
               (long long)side, (long long)side);
}

DTEST(Growth, PlansGrowAsThePeersDo) {
  dtensor_machine slow = dtensor_machine_default();
  slow.latency = 30e-6;
  slow.byte *= 10;
  const dtensor_machine machines[] = {dtensor_machine_default(), slow};
  for (int i = 0; i < 2; i++)
    for (int pair = 0; pair < PAIRS; pair++)
      for (int64_t side = 2; side <= 1024; side *= 4) check(pair, side, &machines[i]);
}

/* What moves once when it goes directly moves once: but for the shards that no few ranks could
 * exchange otherwise. */
DTEST(Growth, BytesAreTheLeastThatArePossible) {
  const dtensor_machine machine = dtensor_machine_default();
  const int64_t least[PAIRS] = {0, 1, 1, 2, 1};
  for (int pair = 1; pair < PAIRS; pair++)
    for (int64_t side = 2; side <= 1024; side *= 2) {
      check(pair, side, &machine);
      EXPECT_LE(candidates.list[0].cost.bytes_received, least[pair] * BLOCK * 8LL);
    }
}

/* A cap on memory holds on any mesh, and the bytes that a product moves do not depend on it. */
DTEST(Growth, ProductsKeepToTheirMemory) {
  const dtensor_machine machine = dtensor_machine_default();
  for (int64_t side = 2; side <= 1024; side *= 2) {
    const int64_t shape[] = {2048 * side, 2048 * side}, mesh[] = {side, side};
    const dti_layout blocked = layout_of(2, shape, 2, mesh, "S0,S1");
    dti_matmul_problem problem = {.a = &blocked,
                                  .b = &blocked,
                                  .c = &blocked,
                                  .element = ELEMENT,
                                  .speed = dti_matmul_speed_of(&machine, (dti_topology){64, 1}, 0)};
    dti_matmul_plan unlimited, plan;
    EXPECT_OK(dti_matmul_plan_make(&problem, &unlimited, NULL, NULL));
    problem.max_bytes = 256 << 20;
    EXPECT_OK(dti_matmul_plan_make(&problem, &plan, NULL, NULL));
    EXPECT_LE(plan.workspace, 256.0 * (1 << 20));
    EXPECT_LE(plan.received[0] + plan.received[1] + plan.received[2],
              2.0 * 2048 * 2048 * ELEMENT * (double)side);
  }
}
