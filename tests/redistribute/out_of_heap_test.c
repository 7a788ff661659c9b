/* One rank has no memory: each call of malloc, calloc and realloc fails there in turn, and each
 * array of tensors. All ranks return the failure, nobody waits, and the next call is none the
 * worse.
 */
#include <dtensor/dtensor.h>
#include <stdlib.h>

#include "dtensor/base/alloc.h"
#include "dtensor/mesh/mesh.h"
#include "dtensor/ops/matmul_job.h"
#include "dtensor/spec/planner.h"
#include "tests/harness/arange.h"
#include "tests/harness/world.h"

static _Thread_local int fail_after = -1;
static _Thread_local int failed;

void *__real_malloc(size_t bytes);
void *__real_calloc(size_t n, size_t bytes);
void *__real_realloc(void *memory, size_t bytes);
void *__wrap_malloc(size_t bytes);
void *__wrap_calloc(size_t n, size_t bytes);
void *__wrap_realloc(void *memory, size_t bytes);

/* Once: what comes after it is there again. */
static int fails(void) {
  if (fail_after < 0 || fail_after-- > 0) return 0;
  failed = 1;
  return 1;
}
void *__wrap_malloc(size_t bytes) { return fails() ? NULL : __real_malloc(bytes); }
void *__wrap_calloc(size_t n, size_t bytes) { return fails() ? NULL : __real_calloc(n, bytes); }
void *__wrap_realloc(void *memory, size_t bytes) {
  return fails() ? NULL : __real_realloc(memory, bytes);
}

enum { HEAP, ARRAYS, KINDS };

static void begin_to_fail(int kind, int n) {
  failed = 0;
  if (kind == HEAP)
    fail_after = n;
  else
    dti_alloc_fail_after(n);
}

/* Whether anything was refused. */
static int64_t end_to_fail(int kind) {
  if (kind == HEAP) {
    fail_after = -1;
    return failed;
  }
  return dti_alloc_fail_after(-1) < 0;
}

/* ---- the calls */

static const struct {
  int64_t shape[2], max_bytes;
  const char *from, *to;
} cases[] = {{{9, 11}, 0, "S0", "S1"}, {{40, 30}, 0, "P", "R"},  {{40, 30}, 6000, "S0", "S1"},
             {{2, 3}, 0, "P", "R"},    {{40, 30}, 0, "S1", "R"}, {{9, 11}, 0, "P", "SC(1,2)"}};
enum { CASES = sizeof cases / sizeof *cases, MANY = 3, SIDE = 24 };

typedef struct scene {
  dtensor_mesh *mesh, *other;
  dtensor *x, *a, *b;
  dtensor_placement to;
  double *global;
  dtensor_redistribute_opts opts;
} scene;

static dtensor_status redistribute(scene *s, dtensor *y[]) {
  return dtensor_redistribute(s->x, &s->to, &s->opts, y);
}

static dtensor_status many(scene *s, dtensor *y[]) {
  const dtensor *xs[] = {s->x, s->x, s->x};
  const dtensor_placement *tos[] = {&s->to, &s->to, &s->to};
  return dtensor_redistribute_many(MANY, xs, tos, &s->opts, y);
}

static dtensor_status request(scene *s, dtensor *y[]) {
  dtensor_request *begun[2] = {NULL, NULL};
  dtensor_status status = DTENSOR_OK;
  for (int i = 0; i < 2; i++) { /* after a failure too: the other ranks begin both */
    const dtensor_status one = dtensor_redistribute_begin(s->x, &s->to, &s->opts, &begun[i]);
    if (status == DTENSOR_OK) status = one;
  }
  int done;
  if (begun[1]) (void)dtensor_request_test(begun[1], &done); /* wait tells the outcome */
  for (int i = 0; i < 2; i++) {
    const dtensor_status one = begun[i] ? dtensor_request_wait(&begun[i], &y[i]) : DTENSOR_OK;
    if (status == DTENSOR_OK) status = one;
  }
  return status;
}

static dtensor_status to_other_mesh(scene *s, dtensor *y[]) {
  return dtensor_redistribute_to(s->x, s->other, &s->to, &s->opts, y);
}

static dtensor_status distribute(scene *s, dtensor *y[]) {
  const int64_t shape[] = {dtensor_size(s->x, 0), dtensor_size(s->x, 1)};
  return dtensor_distribute_tensor(s->mesh, DTENSOR_F64, 2, shape, s->global, 0, &s->to, y);
}

static dtensor_status full_tensor(scene *s, dtensor *y[]) {
  (void)y;
  return dtensor_full_tensor(s->x, s->global);
}

static dtensor_status share_node(scene *s, dtensor *y[]) {
  return dtensor_share_node(s->x, &y[MANY]);
}

static dtensor_status consume(scene *s, dtensor *y[]) {
  dtensor *x = NULL;
  const dtensor_status status = dtensor_share_node(s->x, &x);
  if (status != DTENSOR_OK) return status;
  const dtensor_status consumed = dtensor_redistribute_consume(&x, &s->to, &s->opts, y);
  dtensor_destroy(&x);
  return consumed;
}

static dtensor_status empty_node_shared(scene *s, dtensor *y[]) {
  const dtensor_placement rows = dtensor_shard(0);
  return dtensor_empty_node_shared(s->mesh, DTENSOR_F64, 2, (int64_t[]){8, 8}, &rows, &y[MANY]);
}

static dtensor_status matmul(scene *s, dtensor *y[]) {
  const dtensor_matmul_opts opts = {.placements = &s->to};
  return dtensor_matmul_ex(s->a, s->b, &opts, &y[MANY]);
}

static dtensor_status matmul_in_panels(scene *s, dtensor *y[]) {
  dti_matmul_force_panels(3);
  const dtensor_status status = matmul(s, y);
  dti_matmul_force_panels(0);
  return status;
}

static dtensor_status calibrate(scene *s, dtensor *y[]) {
  (void)y;
  return dtensor_calibrate(s->mesh, NULL, NULL);
}

/* y: up to MANY that hold what x does, then one that is new. */
typedef dtensor_status (*entry)(scene *, dtensor *y[]);

static const entry calls[] = {
    redistribute, many,          request, distribute,       full_tensor, consume,
    share_node,   to_other_mesh, matmul,  matmul_in_panels, calibrate,   empty_node_shared};
enum { CALLS = sizeof calls / sizeof *calls };

/* ---- one failure after the other */

/* Returns whether a rank was refused memory, and whether the call failed. */
static bool attempt(scene *s, entry call, int kind, int n, bool fails_here, bool *has_failed) {
  dtensor *y[MANY + 1] = {NULL};
  dtensor_plan_cache_clear();
  if (fails_here) begin_to_fail(kind, n);
  const dtensor_status status = call(s, y);
  const int64_t refused = fails_here ? end_to_fail(kind) : 0;
  int64_t any[] = {refused, status, -(int64_t)status};
  EXPECT_OK(dti_comm_allreduce(s->mesh->root, any, 3, DTI_COMM_MAX));
  EXPECT_EQ(any[1], -any[2]); /* everyone's */
  if (status != DTENSOR_OK) EXPECT_STATUS(DTENSOR_ENOMEM, status);
  if (!any[0]) EXPECT_OK(status);
  for (int i = 0; i < MANY && y[i] && status == DTENSOR_OK; i++) EXPECT_TRUE(holds_arange(y[i]));
  for (int i = 0; i <= MANY; i++) dtensor_destroy(&y[i]);
  *has_failed = status != DTENSOR_OK;
  return any[0] != 0;
}

static void fail_in_turn(scene *s, entry call, int kind, bool fails_here) {
  bool has_failed;
  int n = 0, failures = 0;
  attempt(s, call, kind, 0, false, &has_failed);
  for (; attempt(s, call, kind, n, fails_here, &has_failed) && EXPECT_LT(n, 1000); n++) {
    failures += has_failed;
    attempt(s, call, kind, 0, false, &has_failed); /* and all is well again */
  }
  if (kind == HEAP) EXPECT_GE(failures, 1);
}

static dtensor *ones(dtensor_mesh *mesh, const char *placement) {
  dtensor_placement p;
  dtensor *x = NULL;
  EXPECT_OK(dtensor_placements_parse(placement, 1, &p));
  EXPECT_OK(dtensor_ones(mesh, DTENSOR_F64, 2, (int64_t[]){SIDE, SIDE}, &p, &x));
  return x;
}

static void run(const test_world *world, int engine) {
  if (world->size == 1) return;
  scene s = {.mesh = NULL};
  int ranks[64];
  for (int i = 0; i < world->size; i++) ranks[i] = world->size - 1 - i;
  REQUIRE_OK(world_line(world, &s.mesh));
  REQUIRE_OK(world_mesh_from_ranks(world, 1, (int64_t[]){world->size}, ranks, NULL, &s.other));
  dti_route_force_engine(engine);
  for (int which = 0; which < CASES; which++) {
    static const char *const operands[CASES][2] = {{"S0", "S0"}, {"S1", "S0"}, {"S0", "S1"},
                                                   {"P", "S1"},  {"S1", "S1"}, {"R", "S0"}};
    REQUIRE_OK(make_arange(s.mesh, 2, cases[which].shape, cases[which].from, &s.x));
    REQUIRE_OK(dtensor_placements_parse(cases[which].to, 1, &s.to));
    s.a = ones(s.mesh, operands[which][0]);
    s.b = ones(s.mesh, operands[which][1]);
    s.opts = (dtensor_redistribute_opts){.max_bytes = cases[which].max_bytes};
    s.global = calloc((size_t)dtensor_size(s.x, -1), sizeof *s.global);
    for (int64_t i = 0; i < dtensor_size(s.x, -1); i++) s.global[i] = (double)i;
    for (int c = 0; c < CALLS; c++) {
      if (engine >= 0 && calls[c] == distribute) break; /* what follows does not depend on it */
      if (c > 0 && (c + which) % 3 > 0) continue;       /* it takes a while */
      for (int kind = 0; kind < KINDS; kind++)
        fail_in_turn(&s, calls[c], kind, world->rank == which % world->size);
    }
    free(s.global);
    dtensor_destroy(&s.b);
    dtensor_destroy(&s.a);
    dtensor_destroy(&s.x);
  }
  dti_route_force_engine(-1);
  dtensor_mesh_destroy(&s.other);
  dtensor_mesh_destroy(&s.mesh);
}

DTEST_NODES(OutOfHeap, OnOneRank, {2, 2}, {2, 1}, {4, 2}, {3, 2}) { run(world, -1); }

DTEST_NODES(OutOfHeap, InCollectives, {3, 1}) { run(world, DTI_ENGINE_COLLECTIVE); }

DTEST_NODES(OutOfHeap, OnACarrier, {4, 2}) { run(world, DTI_ENGINE_HIERARCHICAL); }

/* ---- what is made on first use: communicators, meeting places, lanes for collectives */

enum { MESH, TRANSFER, PHASES };

typedef struct beginning {
  int phase, kind, n, failing;
  int64_t refused;
  dtensor_status outcome[8];
} beginning;

static dtensor_status begin_on(const test_world *world, beginning *b) {
  const bool fails_here = world->rank == b->failing;
  dtensor_mesh *mesh = NULL;
  dtensor *x = NULL, *y = NULL;
  if (fails_here && b->phase == MESH) begin_to_fail(b->kind, b->n);
  dtensor_status status = world_line(world, &mesh);
  if (fails_here && b->phase == MESH) b->refused = end_to_fail(b->kind);
  if (status == DTENSOR_OK) {
    dti_route_force_engine(DTI_ENGINE_COLLECTIVE);
    EXPECT_OK(make_arange(mesh, 2, (int64_t[]){40, 30}, "P", &x));
    const dtensor_placement whole = dtensor_replicate();
    if (fails_here && b->phase == TRANSFER) begin_to_fail(b->kind, b->n);
    status = dtensor_redistribute(x, &whole, NULL, &y);
    if (fails_here && b->phase == TRANSFER) b->refused = end_to_fail(b->kind);
    if (status == DTENSOR_OK) EXPECT_TRUE(holds_arange(y));
    dti_route_force_engine(-1);
  } else {
    EXPECT_NULL(mesh);
  }
  dtensor_destroy(&y);
  dtensor_destroy(&x);
  dtensor_mesh_destroy(&mesh);
  return status;
}

static dtensor_status begin_simulated(dtensor_sim *sim, void *ctx) {
  beginning *b = ctx;
  const test_world world = world_of_sim(sim);
  b->outcome[world.rank] = begin_on(&world, b);
  return DTENSOR_OK;
}

/* On a communicator that the library has not seen. */
static void begin_anew(test_nodes nodes, beginning *b) {
  b->refused = 0;
  if (dtest_comm() == MPI_COMM_NULL) {
    EXPECT_OK(dtensor_sim_run_nodes(nodes.ranks, nodes.per_node, begin_simulated, b));
    return;
  }
  test_world world = world_of_mpi();
  const MPI_Comm all = world.user;
  MPI_Comm_dup(all, &world.user);
  const dtensor_status mine = begin_on(&world, b);
  MPI_Comm_free(&world.user);
  MPI_Allgather(&mine, 1, MPI_INT, b->outcome, 1, MPI_INT, all);
  MPI_Bcast(&b->refused, 1, MPI_INT64_T, b->failing, all);
}

DTEST(OutOfHeap, OnFirstUse) {
  static const test_nodes nodes[] = {{2, 1}, {2, 2}, {3, 1}, {4, 2}};
  const bool is_mpi = dtest_comm() != MPI_COMM_NULL;
  dti_free(dti_alloc(1)); /* the process's arena is there */
  for (size_t i = 0; i < (is_mpi ? 1 : sizeof nodes / sizeof *nodes); i++)
    for (int phase = 0; phase < PHASES; phase++)
      for (int kind = 0; kind < KINDS; kind++) {
        const int ranks = is_mpi ? world_of_mpi().size : nodes[i].ranks;
        if (ranks == 1 || ranks > 8) return;
        beginning b = {.phase = phase, .kind = kind, .failing = ranks - 1, .refused = 1};
        for (; b.refused && EXPECT_LT(b.n, 1000); b.n++) {
          begin_anew(nodes[i], &b);
          for (int rank = 0; rank < ranks; rank++) {
            EXPECT_EQ(b.outcome[rank], b.outcome[0]);
            if (!b.refused) EXPECT_OK(b.outcome[rank]);
          }
        }
        if (kind == HEAP) EXPECT_GE(b.n, 2);
      }
}
