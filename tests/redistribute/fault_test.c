/* Communication that fails, ranks that end, no shared memory: every rank comes back, with the
 * result or with an error. */
#include <dtensor/memory.h>
#include <dtensor/plan.h>
#include <dtensor/redistribute.h>
#include <stdlib.h>

#include "dtensor/comm/comm.h"
#include "dtensor/spec/planner.h"
#include "tests/harness/arange.h"
#include "tests/harness/world.h"

static const struct {
  int64_t shape[2], max_bytes;
  const char *from, *to;
} cases[] = {{{9, 11}, 0, "S0", "S1"}, {{40, 30}, 0, "P", "R"},  {{40, 30}, 4000, "S0", "S1"},
             {{2, 3}, 0, "P", "R"},    {{40, 30}, 0, "S1", "R"}, {{9, 11}, 0, "P", "SC(1,2)"}};
enum { CASES = sizeof cases / sizeof *cases, MEMBERS = 3 };

typedef struct fault {
  int which, failing, ends; /* the case, the rank, and whether that returns early */
  int by;                   /* a call, a request, or a batch */
  int64_t after;            /* operations of communication */
  int engine;               /* of dti_route_force_engine() */
} fault;

enum { CALL, REQUEST, BATCH };

static dtensor_status run_case(const fault *f, dtensor_mesh *mesh, dtensor *y[MEMBERS]) {
  const int c = f->which;
  dtensor *x = NULL;
  dtensor_placement to;
  for (int i = 0; i < MEMBERS; i++) y[i] = NULL;
  dtensor_status status = make_arange(mesh, 2, cases[c].shape, cases[c].from, &x);
  if (status == DTENSOR_OK) status = dtensor_placements_parse(cases[c].to, 1, &to);
  if (status != DTENSOR_OK) return status;
  const dtensor_redistribute_opts opts = {.max_bytes = cases[c].max_bytes};
  const dtensor *xs[MEMBERS] = {x, x, x};
  const dtensor_placement *tos[MEMBERS] = {&to, &to, &to};
  dtensor_request *request = NULL;
  switch (f->by) {
    case CALL:
      status = dtensor_redistribute(x, &to, &opts, y);
      break;
    case REQUEST:
      status = dtensor_redistribute_begin(x, &to, &opts, &request);
      if (status == DTENSOR_OK) status = dtensor_request_wait(&request, y);
      break;
    default:
      status = dtensor_redistribute_many(MEMBERS, xs, tos, &opts, y);
  }
  dtensor_destroy(&x);
  return status;
}

static dtensor_status faulty_rank(dtensor_sim *sim, void *ctx) {
  fault *f = ctx;
  const test_world world = world_of_sim(sim);
  dtensor_mesh *mesh = NULL;
  SIM_REQUIRE_OK(world_line(&world, &mesh));
  dti_route_force_engine(f->engine);
  dtensor *y[MEMBERS];
  dtensor_status status = run_case(f, mesh, y); /* learns who is on which node */
  EXPECT_OK(status);
  for (int i = 0; i < MEMBERS; i++) dtensor_destroy(&y[i]);
  if (world.rank == f->failing && f->ends) {
    dtensor_mesh_destroy(&mesh);
    return DTENSOR_OK;
  }
  if (world.rank == f->failing) dti_comm_fail_after(f->after);
  status = run_case(f, mesh, y);
  dti_comm_fail_after(-1);
  if (status != DTENSOR_OK) EXPECT_STATUS(DTENSOR_EMPI, status);
  for (int i = 0; i < (f->by == BATCH ? MEMBERS : 1); i++)
    if (status != DTENSOR_OK)
      EXPECT_NULL(y[i]);
    else if (EXPECT_NOT_NULL(y[i]))
      EXPECT_TRUE(holds_arange(y[i]));
  for (int i = 0; i < MEMBERS; i++) dtensor_destroy(&y[i]);
  dtensor_mesh_destroy(&mesh);
  return status;
}

static int64_t in_use(void) {
  dtensor_memory_info info;
  dtensor_memory_stats(&info);
  return info.current;
}

/* Each send, receive and test fails in turn, until there are no more. */
static void fail_in_turn(const test_nodes *nodes, int which, int by, int failing, int engine) {
  const int64_t before = in_use();
  int64_t n = 0;
  fault f = {.which = which, .by = by, .failing = failing, .engine = engine};
  for (dtensor_status status = DTENSOR_EMPI; status != DTENSOR_OK; n++) {
    f.after = n;
    status = dtensor_sim_run_nodes(nodes->ranks, nodes->per_node, faulty_rank, &f);
    if (status != DTENSOR_OK && !EXPECT_STATUS(DTENSOR_EMPI, status)) return;
    if (!EXPECT_LT(n, 500)) return;
  }
  EXPECT_GE(n, nodes->per_node < nodes->ranks ? 2 : 1);
  EXPECT_EQ(in_use(), before);
}

DTEST(Fault, CommunicationFailsOnOneRank) {
  static const test_nodes nodes[] = {{2, 1}, {3, 1}, {4, 2}, {3, 2}, {2, 2}};
  dtensor_memory_set_cache_limit(0);
  for (size_t i = 0; i < sizeof nodes / sizeof *nodes; i++)
    for (int which = 0; which < CASES; which++)
      fail_in_turn(&nodes[i], which, (which + (int)i) % 3, which % nodes[i].ranks, -1);
}

DTEST(Fault, CommunicationFailsOnACarrier) {
  static const test_nodes nodes[] = {{4, 2}, {3, 2}, {6, 3}};
  dtensor_memory_set_cache_limit(0);
  for (size_t i = 0; i < sizeof nodes / sizeof *nodes; i++)
    for (int which = 0; which < CASES; which++)
      for (int failing = 0; failing < 2; failing++)
        fail_in_turn(&nodes[i], which, (which + (int)i) % 3, failing, DTI_ENGINE_HIERARCHICAL);
}

/* The others are not left waiting for it. */
DTEST(Fault, OneRankEnds) {
  static const test_nodes nodes[] = {{2, 1}, {3, 3}, {4, 2}, {6, 4}, {2, 2}};
  for (size_t i = 0; i < sizeof nodes / sizeof *nodes; i++)
    for (int which = 0; which < CASES; which++)
      for (int by = 0; by < 3; by++) {
        fault f = {.which = which, .by = by, .ends = 1, .engine = -1};
        f.failing = (which + by) % nodes[i].ranks;
        EXPECT_STATUS(DTENSOR_EMPI,
                      dtensor_sim_run_nodes(nodes[i].ranks, nodes[i].per_node, faulty_rank, &f));
      }
}
