/* Communication that fails, ranks that end: every rank comes back, with the result or with an
 * error, and what comes afterwards is none the worse. */
#include <dtensor/memory.h>
#include <dtensor/plan.h>
#include <dtensor/redistribute.h>
#include <stdlib.h>

#include "dtensor/comm/node.h"
#include "dtensor/mesh/mesh.h"
#include "dtensor/spec/planner.h"
#include "tests/harness/arange.h"
#include "tests/harness/world.h"

static const struct {
  int64_t shape[2], max_bytes;
  const char *from, *to;
} cases[] = {{{9, 11}, 0, "S0", "S1"}, {{90, 70}, 0, "P", "R"},  {{40, 30}, 4000, "S0", "S1"},
             {{2, 3}, 0, "P", "R"},    {{40, 30}, 0, "S1", "R"}, {{9, 11}, 0, "P", "SC(1,2)"}};
enum { CASES = sizeof cases / sizeof *cases, MEMBERS = 3 };

enum { CALL, REQUEST, BATCH, WAYS };

static dtensor_status run_case(int c, int by, dtensor_mesh *mesh, dtensor *y[MEMBERS]) {
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
  switch (by) {
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

/* All results, or none. */
static void check_results(dtensor_status status, int by, dtensor *y[MEMBERS]) {
  for (int i = 0; i < (by == BATCH ? MEMBERS : 1); i++)
    if (status != DTENSOR_OK)
      EXPECT_NULL(y[i]);
    else if (EXPECT_NOT_NULL(y[i]))
      EXPECT_TRUE(holds_arange(y[i]));
  for (int i = 0; i < MEMBERS; i++) dtensor_destroy(&y[i]);
}

static int64_t in_use(void) {
  dtensor_memory_info info;
  dtensor_memory_stats(&info);
  return info.current;
}

/* ---- one call of communication fails on one rank, or on two */

typedef struct fault {
  int which, by; /* the case, and how it is called */
  int engine;    /* of dti_route_force_engine() */
  int failing, also;
} fault;

/* The n-th call fails. Returns whether there was one on any rank. */
static bool fail_at(const test_world *world, const fault *f, dtensor_mesh *mesh, int64_t n,
                    int64_t *failures) {
  dtensor *y[MEMBERS];
  const bool fails = world->rank == f->failing || world->rank == f->also;
  if (fails) dti_comm_fail_after(n, 1);
  const dtensor_status status = run_case(f->which, f->by, mesh, y);
  const bool has_failed = dti_comm_fail_after(0, 0) == 0 && fails;
  if (status != DTENSOR_OK) EXPECT_STATUS(DTENSOR_EMPI, status);
  check_results(status, f->by, y);
  int64_t any[] = {has_failed, status != DTENSOR_OK};
  EXPECT_OK(dti_comm_allreduce(mesh->root, any, 2, DTI_COMM_MAX));
  if (!any[0]) EXPECT_EQ(any[1], 0);
  *failures += any[1];
  /* Nothing is left over that would disturb the next one. */
  const dtensor_status again = run_case(f->which, f->by, mesh, y);
  EXPECT_OK(again);
  check_results(again, f->by, y);
  return any[0];
}

/* Each call in turn; where a rank asks again and again whether something has come, not every one of
 * these. Returns how often something failed. */
static int64_t fail_in_turn(const test_world *world, const fault *f, dtensor_mesh *mesh) {
  int64_t failures = 0;
  for (int64_t n = 0; fail_at(world, f, mesh, n, &failures); n += 1 + n / 8)
    if (!EXPECT_LT(n, 100000)) break;
  return failures;
}

static void fail_in_turn_everywhere(const test_world *world, int engine) {
  if (world->size == 1) return;
  dtensor_mesh *mesh = NULL;
  REQUIRE_OK(world_line(world, &mesh));
  dti_route_force_engine(engine);
  int64_t failures = 0;
  for (int which = 0; which < CASES; which++) {
    const int failing = which % world->size;
    const fault faults[] = {
        {which, which % WAYS, engine, failing, -1},
        {which, (which + 1) % WAYS, engine, world->size - 1, -1},
        {which, (which + 2) % WAYS, engine, failing, (failing + 1) % world->size}};
    for (int i = 0; i < 3; i++) failures += fail_in_turn(world, &faults[i], mesh);
  }
  /* Where ranks share memory there are no messages that could fail. */
  EXPECT_EQ(failures > CASES, !dti_comm_is_near(mesh->root));
  dti_route_force_engine(-1);
  dtensor_mesh_destroy(&mesh);
}

DTEST_NODES(Fault, OfOneCall, {2, 1}, {3, 1}, {4, 2}, {3, 2}, {2, 2}, {6, 1}) {
  fail_in_turn_everywhere(world, -1);
}

/* Each message in several pieces. */
DTEST_NODES(Fault, InAMessageOfPieces, {2, 1}, {3, 2}) {
  dti_comm_set_message_limit(100);
  fail_in_turn_everywhere(world, DTI_ENGINE_DIRECT);
  world_barrier(world);
  dti_comm_set_message_limit(0);
}

DTEST_NODES(Fault, OnTheWayOverCarriers, {4, 2}, {3, 2}, {6, 3}, {6, 2}) {
  fail_in_turn_everywhere(world, DTI_ENGINE_HIERARCHICAL);
}

DTEST_NODES(Fault, InCollectives, {2, 1}, {3, 1}, {4, 1}, {4, 2}) {
  fail_in_turn_everywhere(world, DTI_ENGINE_COLLECTIVE);
}

/* ---- one rank ends: because it has nothing more to do, or since its communication is lost */

typedef struct ending {
  int which, by, ends;
  int64_t after; /* that many calls; -1: before the case */
  int64_t left;  /* failures that have not come */
} ending;

static dtensor_status one_rank_ends(dtensor_sim *sim, void *ctx) {
  ending *e = ctx;
  const test_world world = world_of_sim(sim);
  dtensor_mesh *mesh = NULL;
  SIM_REQUIRE_OK(world_line(&world, &mesh));
  dtensor *y[MEMBERS];
  dtensor_status status = run_case(e->which, e->by, mesh, y); /* learns who is on which node */
  EXPECT_OK(status);
  check_results(status, e->by, y);
  if (world.rank != e->ends || e->after >= 0) {
    if (world.rank == e->ends) dti_comm_fail_after(e->after, 2);
    status = run_case(e->which, e->by, mesh, y);
    if (world.rank == e->ends) e->left = dti_comm_fail_after(0, 0);
    if (status != DTENSOR_OK) EXPECT_STATUS(DTENSOR_EMPI, status);
    check_results(status, e->by, y);
  }
  dtensor_mesh_destroy(&mesh);
  return status;
}

/* The others are not left waiting for it. */
DTEST(Fault, OneRankEnds) {
  static const test_nodes nodes[] = {{2, 1}, {3, 3}, {4, 2}, {6, 4}, {2, 2}};
  if (dtest_comm() != MPI_COMM_NULL) return;
  dtensor_memory_set_cache_limit(0);
  const int64_t before = in_use();
  for (size_t i = 0; i < sizeof nodes / sizeof *nodes; i++)
    for (int which = 0; which < CASES; which++)
      for (int by = 0; by < WAYS; by++) {
        ending e = {which, by, (which + by) % nodes[i].ranks, -1, 0};
        EXPECT_STATUS(DTENSOR_EMPI,
                      dtensor_sim_run_nodes(nodes[i].ranks, nodes[i].per_node, one_rank_ends, &e));
      }
  EXPECT_EQ(in_use(), before);
}

/* A call fails, and again when it is made once more. */
DTEST(Fault, CommunicationIsLost) {
  static const test_nodes nodes[] = {{2, 1}, {3, 1}, {4, 2}, {3, 2}};
  if (dtest_comm() != MPI_COMM_NULL) return;
  dtensor_memory_set_cache_limit(0);
  const int64_t before = in_use();
  for (size_t i = 0; i < sizeof nodes / sizeof *nodes; i++)
    for (int which = 0; which < CASES; which++) {
      ending e = {which, (which + (int)i) % WAYS, which % nodes[i].ranks, 0, 0};
      for (; e.left == 0 && EXPECT_LT(e.after, 500); e.after += 1 + e.after / 4) {
        const dtensor_status status =
            dtensor_sim_run_nodes(nodes[i].ranks, nodes[i].per_node, one_rank_ends, &e);
        if (e.left == 0) EXPECT_STATUS(DTENSOR_EMPI, status);
      }
      EXPECT_GE(e.after, 2);
    }
  EXPECT_EQ(in_use(), before);
}
