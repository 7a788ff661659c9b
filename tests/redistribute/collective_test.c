/* Steps that are collectives: the same bits and bytes as messages, in any order, and when something
 * goes wrong. */
#include <dtensor/debug.h>
#include <dtensor/memory.h>
#include <dtensor/plan.h>
#include <dtensor/redistribute.h>
#include <stdlib.h>
#include <string.h>

#include "dtensor/base/alloc.h"
#include "dtensor/base/event.h"
#include "dtensor/comm/lane.h"
#include "dtensor/mesh/machine.h"
#include "dtensor/spec/planner.h"
#include "tests/harness/arange.h"
#include "tests/harness/world.h"

/* MPI ranks as they are; simulated ones on nodes of one, of two, and on one node. */
static void run_everywhere(world_body body) {
  static const test_nodes nodes[] = {{2, 1}, {2, 2}, {3, 1}, {3, 2}, {4, 1},
                                     {4, 2}, {6, 1}, {6, 2}, {4, 0}};
  for (size_t i = 0; i < sizeof nodes / sizeof *nodes; i++)
    if (!run_world(nodes[i], body)) break;
}

#define COLLECTIVE_TEST(name_)                               \
  static void body_##name_(const test_world *world);         \
  DTEST(Collective, name_) { run_everywhere(body_##name_); } \
  static void body_##name_(const test_world *world)

static dtensor_status full_grid(const test_world *world, dtensor_mesh **mesh) {
  const int64_t rows = world->size % 2 ? 1 : 2;
  return world_mesh(world, 2, (int64_t[]){rows, -1}, NULL, mesh);
}

/* Values whose sums depend on the order that they are made in. */
static dtensor *make_source(dtensor_mesh *mesh, const int64_t shape[], const char *p) {
  dtensor *x = NULL;
  if (!EXPECT_OK(make_arange(mesh, 2, shape, p, &x))) return NULL;
  double *data = dtensor_local_data(x);
  for (int64_t i = 0; i < dtensor_local_size(x, -1); i++) data[i] *= 0.1;
  return x;
}

static const char *const layouts[] = {
    "R,R", "S0,R", "R,S0", "R,S1",       "S1,S0",    "S0,S1",     "S0,S0",     "S1,S1",   "P,R",
    "P,P", "P,S0", "S1,P", "SC(0,2),S1", "SB(1),S0", "SC(1,3),R", "S0,P(avg)", "R,P(max)"};
enum { LAYOUTS = sizeof layouts / sizeof *layouts };

static bool has_partial(const dtensor_placement p[2]) {
  return p[0].kind == DTENSOR_PARTIAL || p[1].kind == DTENSOR_PARTIAL;
}

/* y in full, as what is Partial differs between ways. */
static dtensor *whole(dtensor *y, const dtensor_placement p[2]) {
  dtensor *full = NULL;
  if (!has_partial(p)) return dtensor_retain(y);
  dti_route_force_engine(-1);
  EXPECT_OK(dtensor_redistribute(y, (dtensor_placement[]){dtensor_replicate(), dtensor_replicate()},
                                 NULL, &full));
  return full;
}

/* Whether a collective of the whole mesh ran. */
static bool has_lane_of_all(dtensor_mesh *mesh) {
  static const int ranks[] = {0, 1, 2, 3, 4, 5};
  dti_comm *comm = NULL;
  EXPECT_OK(dti_mesh_comm(mesh, &comm));
  return dti_comm_lane(comm, (int)mesh->size, ranks) != NULL;
}

/* Returns whether a collective was planned. */
static bool check_pair(dtensor *x, const dtensor_placement p[2], const char *name) {
  dtensor *direct = NULL, *y = NULL;
  dtensor_plan_info info;
  dtensor_comm_counts counts;
  dti_route_force_engine(DTI_ENGINE_DIRECT);
  EXPECT_OK(dtensor_redistribute(x, p, NULL, &direct));
  dti_route_force_engine(DTI_ENGINE_COLLECTIVE);
  EXPECT_OK(dtensor_explain(x, p, NULL, &info, NULL, 0));
  dtensor_comm_stats_reset();
  EXPECT_OK(dtensor_redistribute(x, p, NULL, &y));
  dtensor_comm_stats(&counts);
  EXPECT_EQ(counts.bytes_received, info.bytes_received);
  EXPECT_EQ(counts.bytes_sent, info.bytes_sent);
  EXPECT_EQ(counts.messages_received, info.messages_received);
  EXPECT_EQ(counts.messages_sent, info.messages_sent);
  dtensor *a = whole(direct, p), *b = whole(y, p);
  const size_t bytes = (size_t)dtensor_local_size(a, -1) * sizeof(double);
  if (bytes > 0 && memcmp(dtensor_local_data(a), dtensor_local_data(b), bytes) != 0)
    dtest_fail(__FILE__, __LINE__, "to %s: not the same as by messages", name);
  dtensor_destroy(&a);
  dtensor_destroy(&b);
  dtensor_destroy(&direct);
  dtensor_destroy(&y);
  return info.options > 0 && info.engine == DTENSOR_ENGINE_COLLECTIVE;
}

/* The engine that explain names is the one that runs, and what it promises is what is counted, also
 * where a cap leaves no room for a collective's buffers. */
static void check_promise(dtensor *x, const dtensor_placement p[2], int64_t max_bytes,
                          const char *name) {
  const dtensor_redistribute_opts opts = {.max_bytes = max_bytes};
  dtensor *y = NULL;
  dtensor_plan_info info;
  dti_counters *counters = dti_event_counters();
  dti_route_force_engine(DTI_ENGINE_COLLECTIVE);
  const dtensor_status promised = dtensor_explain(x, p, &opts, &info, NULL, 0);
  *counters = (dti_counters){0};
  const dtensor_status status = dtensor_redistribute(x, p, &opts, &y);
  dtensor_destroy(&y);
  if (promised != DTENSOR_OK) {
    EXPECT_STATUS(promised, status);
    return;
  }
  if (status != DTENSOR_OK) return; /* on some rank it was too much after all */
  const bool same = EXPECT_EQ(counters->collectives > 0,
                              info.options > 0 && info.engine == DTENSOR_ENGINE_COLLECTIVE) &&
                    EXPECT_EQ(counters->bytes_received, info.bytes_received) &&
                    EXPECT_EQ(counters->bytes_sent, info.bytes_sent);
  if (!same) dtest_fail(__FILE__, __LINE__, "to %s in %lld bytes", name, (long long)max_bytes);
}

COLLECTIVE_TEST(ExplainNamesTheEngineThatRuns) {
  static const int64_t caps[] = {0, 40000, 4000};
  dtensor_mesh *mesh = NULL;
  REQUIRE_OK(full_grid(world, &mesh));
  for (int from = 0; from < LAYOUTS; from++) {
    dtensor *x = make_source(mesh, (int64_t[]){24, 48}, layouts[from]);
    for (int to = 0; x && to < LAYOUTS; to++) {
      dtensor_placement p[2];
      REQUIRE_OK(dtensor_placements_parse(layouts[to], 2, p));
      for (int c = 0; c < 3; c++) check_promise(x, p, caps[c], layouts[to]);
    }
    dtensor_destroy(&x);
  }
  dtensor_mesh_destroy(&mesh);
}

COLLECTIVE_TEST(EveryPairOfLayouts) {
  static const int64_t shapes[][2] = {{13, 22}, {12, 24}, {2, 70}};
  dtensor_mesh *mesh = NULL;
  REQUIRE_OK(full_grid(world, &mesh));
  int collectives = 0;
  for (int s = 0; s < 3; s++)
    for (int from = 0; from < LAYOUTS; from++) {
      dtensor *x = make_source(mesh, shapes[s], layouts[from]);
      for (int to = 0; x && to < LAYOUTS; to++) {
        dtensor_placement p[2];
        REQUIRE_OK(dtensor_placements_parse(layouts[to], 2, p));
        collectives += check_pair(x, p, layouts[to]);
      }
      dtensor_destroy(&x);
    }
  if (dti_mesh_is_near(mesh)) /* nothing is faster than reading in place */
    EXPECT_EQ(collectives, 0);
  else
    EXPECT_GT(collectives, LAYOUTS);
  EXPECT_EQ(has_lane_of_all(mesh), !dti_mesh_is_near(mesh));
  dtensor_mesh_destroy(&mesh);
}

/* ---- Several at once ---- */

enum { REQUESTS = 6 };
static const struct {
  const char *from, *to;
} moves[REQUESTS] = {{"S0,S1", "R,R"}, {"S0,R", "S1,R"},  {"P,P", "R,R"},
                     {"R,S0", "R,S1"}, {"S1,S0", "R,S0"}, {"P,R", "S1,R"}};

static dtensor *make_moved(dtensor_mesh *mesh, int i) {
  dtensor *x = NULL;
  EXPECT_OK(make_arange(mesh, 2, (int64_t[]){12, 24}, moves[i].from, &x));
  return x;
}

static dtensor_request *begin_with(const dtensor *x, int i) {
  dtensor_request *request = NULL;
  dtensor_placement to[2];
  EXPECT_OK(dtensor_placements_parse(moves[i].to, 2, to));
  /* What is asked for directly is among the collectives. */
  dti_route_force_engine(i == 3 ? DTI_ENGINE_DIRECT : DTI_ENGINE_COLLECTIVE);
  EXPECT_OK(dtensor_redistribute_begin(x, to, NULL, &request));
  return request;
}

static dtensor_request *begin_move(dtensor_mesh *mesh, int i) {
  dtensor *x = make_moved(mesh, i);
  dtensor_request *request = begin_with(x, i);
  dtensor_destroy(&x);
  return request;
}

static void finish(dtensor_request **request) {
  dtensor *y = NULL;
  EXPECT_OK(dtensor_request_wait(request, &y));
  if (y) EXPECT_TRUE(holds_arange(y));
  dtensor_destroy(&y);
}

COLLECTIVE_TEST(WaitInAnyOrder) {
  for (int round = 0; round < 6; round++) {
    dtensor_mesh *mesh = NULL;
    REQUIRE_OK(full_grid(world, &mesh));
    dtensor_request *request[REQUESTS];
    for (int i = 0; i < REQUESTS; i++) {
      request[i] = begin_move(mesh, i);
      for (int poll = 0; request[i] && poll < (world->rank + round + i) % 3 * 4; poll++) {
        int done;
        EXPECT_OK(dtensor_request_test(request[i], &done));
      }
    }
    for (int i = 0; i < REQUESTS; i++)
      finish(&request[(i * (world->rank % 2 ? 5 : 1) + round) % 6]);
    dtensor_mesh_destroy(&mesh);
  }
}

/* Rank 0 begins all of them, also the first ones of their kind, before it waits for any; the others
 * begin the next when they have the one before. */
COLLECTIVE_TEST(OthersWaitBeforeTheyBegin) {
  dtensor_mesh *mesh = NULL;
  REQUIRE_OK(full_grid(world, &mesh));
  dtensor *x[REQUESTS]; /* making one takes all ranks together */
  dtensor_request *request[REQUESTS];
  for (int i = 0; i < REQUESTS; i++) x[i] = make_moved(mesh, i);
  for (int i = 0; i < REQUESTS; i++) {
    request[i] = begin_with(x[i], i);
    if (world->rank > 0) finish(&request[i]);
  }
  for (int i = REQUESTS - 1; i >= 0 && world->rank == 0; i--) finish(&request[i]);
  for (int i = 0; i < REQUESTS; i++) dtensor_destroy(&x[i]);
  dtensor_mesh_destroy(&mesh);
}

/* Tensors of several types in one collective; and of several ways, which go by messages. */
COLLECTIVE_TEST(ManyTensors) {
  dtensor_mesh *mesh = NULL;
  REQUIRE_OK(full_grid(world, &mesh));
  enum { MANY = 3 };
  const dtensor_dtype dtypes[MANY] = {DTENSOR_U8, DTENSOR_F64, DTENSOR_I32};
  dtensor_placement from[2], to[MANY][2];
  REQUIRE_OK(dtensor_placements_parse("S0,S1", 2, from));
  for (int mixed = 0; mixed < 2; mixed++) {
    dtensor *x[MANY] = {NULL}, *y[MANY] = {NULL}, *z[MANY] = {NULL};
    const dtensor_placement *all[MANY];
    for (int i = 0; i < MANY; i++) {
      REQUIRE_OK(dtensor_placements_parse(mixed && i == 1 ? "S1,S0" : "R,R", 2, to[i]));
      REQUIRE_OK(dtensor_arange(mesh, dtypes[i], 2, (int64_t[]){5 + i, 9}, from, &x[i]));
      all[i] = to[i];
    }
    dti_route_force_engine(DTI_ENGINE_COLLECTIVE);
    EXPECT_OK(dtensor_redistribute_many(MANY, (const dtensor *const *)x, all, NULL, y));
    dti_route_force_engine(DTI_ENGINE_DIRECT);
    EXPECT_OK(dtensor_redistribute_many(MANY, (const dtensor *const *)x, all, NULL, z));
    for (int i = 0; i < MANY; i++) {
      const size_t bytes = (size_t)dtensor_local_size(y[i], -1) * dtensor_dtype_size(dtypes[i]);
      if (bytes > 0) EXPECT_MEMEQ(dtensor_local_data(y[i]), dtensor_local_data(z[i]), bytes);
      dtensor_destroy(&x[i]);
      dtensor_destroy(&y[i]);
      dtensor_destroy(&z[i]);
    }
  }
  dtensor_mesh_destroy(&mesh);
}

/* ---- Limits and failures ---- */

static void check_move(dtensor_mesh *mesh, const dtensor_redistribute_opts *opts, const char *from,
                       const char *to_text) {
  dtensor *x = NULL, *y = NULL;
  dtensor_placement to[2];
  EXPECT_OK(dtensor_placements_parse(to_text, 2, to));
  dti_route_force_engine(DTI_ENGINE_COLLECTIVE);
  if (EXPECT_OK(make_arange(mesh, 2, (int64_t[]){240, 216}, from, &x))) {
    check_promise(x, to, opts ? opts->max_bytes : 0, to_text);
    EXPECT_OK(dtensor_redistribute(x, to, opts, &y));
  }
  if (y) EXPECT_TRUE(holds_arange(y));
  dtensor_destroy(&x);
  dtensor_destroy(&y);
}

/* A cap that a collective's buffers are above, and one that they are below. */
COLLECTIVE_TEST(MaxBytes) {
  dtensor_mesh *mesh = NULL;
  REQUIRE_OK(full_grid(world, &mesh));
  const int64_t bytes[] = {240 * 216 * 4, 4 << 20};
  for (int i = 0; i < 2; i++) {
    const dtensor_redistribute_opts opts = {.max_bytes = bytes[i]};
    check_move(mesh, &opts, "S0,S1", "S1,S0");
    EXPECT_EQ(has_lane_of_all(mesh), i == 1 && !dti_mesh_is_near(mesh));
    check_move(mesh, &opts, "S0,S1", "S0,R");
  }
  dtensor_mesh_destroy(&mesh);
}

/* Totals that are no longer for one collective go by messages. The limit is of the process. */
DTEST(Collective, BeyondTheLimit) {
  if (dtest_comm() == MPI_COMM_NULL) return;
  const test_world world = world_of_mpi();
  MPI_Comm own; /* without the lanes of other tests */
  MPI_Comm_dup(dtest_comm(), &own);
  dtensor_mesh *mesh = NULL;
  REQUIRE_OK(
      dtensor_init_device_mesh(own, 2, (int64_t[]){world.size % 2 ? 1 : 2, -1}, NULL, &mesh));
  dti_comm_set_message_limit(1000);
  check_move(mesh, NULL, "S0,S1", "S1,S0");
  check_move(mesh, NULL, "P,P", "R,R");
  EXPECT_FALSE(has_lane_of_all(mesh));
  dti_comm_set_message_limit(0);
  check_move(mesh, NULL, "S0,S1", "S1,S0");
  EXPECT_EQ(has_lane_of_all(mesh), !dti_mesh_is_near(mesh));
  dtensor_mesh_destroy(&mesh);
  MPI_Comm_free(&own);
}

/* One rank has no memory, for one allocation after the other, while another transfer is on its way:
 * its turn must not be lost. */
COLLECTIVE_TEST(OutOfMemoryOnOneRank) {
  dtensor_memory_set_cache_limit(0);
  dtensor_mesh *mesh = NULL;
  REQUIRE_OK(full_grid(world, &mesh));
  dtensor_placement to[2];
  REQUIRE_OK(dtensor_placements_parse("S1,S0", 2, to));
  dtensor *x = NULL;
  REQUIRE_OK(make_arange(mesh, 2, (int64_t[]){12, 24}, "P,S1", &x));
  for (int n = 0;; n++) {
    dtensor_request *before = begin_move(mesh, 0), *request = NULL;
    dtensor *y = NULL;
    dti_route_force_engine(DTI_ENGINE_COLLECTIVE);
    if (world->rank == world->size - 1) dti_alloc_fail_after(n);
    dtensor_status status = dtensor_redistribute_begin(x, to, NULL, &request);
    dti_alloc_fail_after(-1);
    dtensor_request *after = begin_move(mesh, 1);
    if (status == DTENSOR_OK) status = dtensor_request_wait(&request, &y);
    if (status != DTENSOR_OK) EXPECT_STATUS(DTENSOR_ENOMEM, status);
    if (y) EXPECT_TRUE(holds_arange(y));
    dtensor_destroy(&y);
    finish(&after);
    finish(&before);
    if (status == DTENSOR_OK) {
      EXPECT_GE(n, 1);
      break;
    }
    if (!EXPECT_LT(n, 100)) break;
  }
  dtensor_destroy(&x);
  dtensor_mesh_destroy(&mesh);
}
