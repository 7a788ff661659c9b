/* Plans are remembered as long as they are worth it, and never for what they do not fit. */
#include <dtensor/plan.h>
#include <dtensor/redistribute.h>

#include "tests/harness/arange.h"
#include "tests/harness/world.h"

static dtensor_plan_cache_info now(void) {
  dtensor_plan_cache_info info;
  dtensor_plan_cache_stats(&info);
  return info;
}

/* The limits and the figures of a thread outlive a test. */
static void start_anew(void) {
  dtensor_plan_cache_limit(256, 8 << 20);
  dtensor_plan_cache_clear();
}

static dtensor *zeros(dtensor_mesh *mesh, int64_t rows, dtensor_placement p) {
  dtensor *x = NULL;
  EXPECT_OK(dtensor_zeros(mesh, DTENSOR_F64, 2, (int64_t[]){rows, 12}, &p, &x));
  return x;
}

static void ask(const dtensor *x, dtensor_placement to) {
  EXPECT_OK(dtensor_explain(x, &to, NULL, NULL, NULL, 0));
}

DTEST_WORLD(PlanCache, FindsWhatWasPlannedBefore, 2, 4) {
  if (world->size == 1) return; /* nothing to plan */
  start_anew();
  dtensor_mesh *mesh = NULL;
  REQUIRE_OK(world_line(world, &mesh));
  dtensor *x = zeros(mesh, 12, dtensor_shard(0)), *y = zeros(mesh, 24, dtensor_shard(0));
  ask(x, dtensor_shard(1));
  EXPECT_EQ(now().misses, 1);
  EXPECT_EQ(now().plans, 1);
  EXPECT_GT(now().bytes, 0);
  ask(x, dtensor_shard(1));
  EXPECT_EQ(now().hits, 1);
  ask(y, dtensor_shard(1)); /* another shape */
  ask(x, dtensor_replicate());
  const dtensor_placement columns = dtensor_shard(1);
  EXPECT_OK(dtensor_explain(x, &columns, &(dtensor_redistribute_opts){.max_bytes = 1 << 30}, NULL,
                            NULL, 0));
  EXPECT_EQ(now().hits, 1);
  EXPECT_EQ(now().misses, 4);
  EXPECT_EQ(now().plans, 4);
  dtensor_plan_cache_clear();
  EXPECT_EQ(now().plans + now().bytes + now().hits + now().misses, 0);
  dtensor_destroy(&x);
  dtensor_destroy(&y);
  dtensor_mesh_destroy(&mesh);
}

/* A call like one before finds its plan without looking at its arguments again. What is wrong with
 * others is found all the same. */
DTEST_WORLD(PlanCache, ServesTheNextCall, 2, 3, 4) {
  start_anew();
  dtensor_mesh *mesh = NULL;
  dtensor *x = NULL, *y = NULL, *bits = NULL;
  REQUIRE_OK(world_line(world, &mesh));
  REQUIRE_OK(make_arange(mesh, 2, (int64_t[]){9, 11}, "S0", &x));
  for (int turn = 0; turn < 4; turn++) {
    const dtensor_placement to = turn < 3 ? dtensor_shard(1) : dtensor_shard(-1);
    REQUIRE_OK(dtensor_redistribute(x, &to, NULL, &y));
    EXPECT_TRUE(holds_arange(y));
    EXPECT_EQ(dtensor_placement_of(y, 0).dim, 1);
    EXPECT_EQ(now().misses, 1);
    EXPECT_EQ(now().hits, turn);
    dtensor_destroy(&y);
  }

  const dtensor_placement good = dtensor_shard(1), bad = dtensor_shard(2);
  EXPECT_STATUS(DTENSOR_EPLACEMENT, dtensor_redistribute(x, &bad, NULL, &y));
  EXPECT_STATUS(DTENSOR_EINVAL, dtensor_redistribute(x, NULL, NULL, &y));
  EXPECT_STATUS(DTENSOR_EINVAL,
                dtensor_redistribute(x, &good, &(dtensor_redistribute_opts){.max_bytes = -1}, &y));
  EXPECT_STATUS(
      DTENSOR_EINVAL,
      dtensor_redistribute(x, &good, &(dtensor_redistribute_opts){.max_received = -1}, &y));
  EXPECT_NULL(y);

  /* Plans are of an element size, checks of a dtype. */
  const dtensor_placement rows = dtensor_shard(0), any = dtensor_partial(DTENSOR_BOR);
  REQUIRE_OK(dtensor_zeros(mesh, DTENSOR_I64, 2, (int64_t[]){9, 11}, &rows, &bits));
  for (int turn = 0; turn < 2; turn++) {
    EXPECT_OK(dtensor_redistribute(bits, &any, NULL, &y));
    dtensor_destroy(&y);
    EXPECT_STATUS(DTENSOR_EDTYPE, dtensor_redistribute(x, &any, NULL, &y));
    EXPECT_NULL(y);
  }
  dtensor_destroy(&x);
  dtensor_destroy(&bits);
  dtensor_mesh_destroy(&mesh);
}

/* The plan of transfers that are under way together, one of which may be forgotten meanwhile. */
DTEST_WORLD(PlanCache, ServesSeveralAtOnce, 2, 3) {
  start_anew();
  dtensor_mesh *mesh = NULL;
  dtensor *x = NULL, *y[3];
  dtensor_request *request[3];
  REQUIRE_OK(world_line(world, &mesh));
  REQUIRE_OK(make_arange(mesh, 2, (int64_t[]){9, 11}, "S0", &x));
  const dtensor_placement to = dtensor_shard(1);
  for (int turn = 0; turn < 3; turn++) {
    for (int i = 0; i < 3; i++) REQUIRE_OK(dtensor_redistribute_begin(x, &to, NULL, &request[i]));
    if (turn == 1) dtensor_plan_cache_clear();
    for (int i = 2; i >= 0; i--) REQUIRE_OK(dtensor_request_wait(&request[i], &y[i]));
    for (int i = 0; i < 3; i++) {
      EXPECT_TRUE(holds_arange(y[i]));
      dtensor_destroy(&y[i]);
    }
  }
  dtensor_destroy(&x);
  dtensor_mesh_destroy(&mesh);
}

/* A mesh that is made anew, perhaps at the same address, finds the plans of one like it; one of
 * another shape does not. */
DTEST_WORLD(PlanCache, OutlivesMeshes, 4, 6) {
  if (world->size < 4) return;
  start_anew();
  dtensor_plan_info first, second;
  for (int turn = 0; turn < 3; turn++) {
    dtensor_mesh *mesh = NULL;
    dtensor *x = NULL;
    const int64_t shape[] = {turn < 2 ? 2 : world->size / 2, turn < 2 ? world->size / 2 : 2};
    REQUIRE_OK(world_mesh(world, 2, shape, NULL, &mesh));
    const dtensor_placement from[] = {dtensor_shard(0), dtensor_replicate()};
    const dtensor_placement to[] = {dtensor_replicate(), dtensor_shard(1)};
    REQUIRE_OK(dtensor_zeros(mesh, DTENSOR_F64, 2, (int64_t[]){24, 24}, from, &x));
    EXPECT_OK(dtensor_explain(x, to, NULL, turn ? &second : &first, NULL, 0));
    dtensor_destroy(&x);
    dtensor_mesh_destroy(&mesh);
    if (turn != 1) continue;
    EXPECT_EQ(now().hits, 1);
    EXPECT_EQ(first.bytes_received, second.bytes_received);
  }
  EXPECT_EQ(now().misses, world->size == 4 ? 1 : 2);
}

/* Between two meshes a plan depends on which process stands where. */
DTEST_WORLD(PlanCache, KeepsPairsOfMeshesApart, 2, 4) {
  if (world->size == 1) return;
  start_anew();
  int backwards[64];
  for (int i = 0; i < world->size; i++) backwards[i] = world->size - 1 - i;
  const int64_t p = world->size;
  for (int turn = 0; turn < 2; turn++) {
    dtensor_mesh *a = NULL, *b = NULL;
    REQUIRE_OK(world_line(world, &a));
    REQUIRE_OK(turn ? world_line(world, &b)
                    : world_mesh_from_ranks(world, 1, &p, backwards, NULL, &b));
    dtensor *x = NULL, *y = NULL;
    REQUIRE_OK(make_arange(a, 2, (int64_t[]){8, 6}, "S0", &x));
    const dtensor_placement rows = dtensor_shard(0);
    REQUIRE_OK(dtensor_redistribute_to(x, b, &rows, NULL, &y));
    EXPECT_TRUE(holds_arange(y));
    dtensor_destroy(&x);
    dtensor_destroy(&y);
    dtensor_mesh_destroy(&a);
    dtensor_mesh_destroy(&b);
  }
}

DTEST_WORLD(PlanCache, ForgetsTheOldestFirst, 3) {
  if (world->size == 1) return;
  start_anew();
  dtensor_mesh *mesh = NULL;
  REQUIRE_OK(world_line(world, &mesh));
  dtensor *x[4];
  for (int i = 0; i < 4; i++) x[i] = zeros(mesh, 12 + i, dtensor_shard(0));
  dtensor_plan_cache_limit(3, 8 << 20);
  for (int i = 0; i < 3; i++) ask(x[i], dtensor_shard(1));
  ask(x[0], dtensor_shard(1)); /* now x[1] is the one that was not used for the longest time */
  ask(x[3], dtensor_shard(1));
  EXPECT_EQ(now().plans, 3);
  EXPECT_EQ(now().misses, 4);
  ask(x[0], dtensor_shard(1));
  ask(x[2], dtensor_shard(1));
  EXPECT_EQ(now().misses, 4);
  ask(x[1], dtensor_shard(1));
  EXPECT_EQ(now().misses, 5);

  const int64_t bytes = now().bytes;
  dtensor_plan_cache_limit(3, bytes - 1);
  EXPECT_EQ(now().plans, 2);
  EXPECT_LT(now().bytes, bytes);
  dtensor_plan_cache_limit(0, 0);
  EXPECT_EQ(now().plans, 0);
  ask(x[0], dtensor_shard(1));
  EXPECT_EQ(now().plans, 0);
  for (int i = 0; i < 4; i++) dtensor_destroy(&x[i]);
  dtensor_mesh_destroy(&mesh);
  start_anew();
}

/* Explicit sizes are borrowed from the caller; what is remembered has its own. */
DTEST_WORLD(PlanCache, CopiesExplicitSizes, 2) {
  if (world->size == 1) return;
  start_anew();
  dtensor_mesh *mesh = NULL;
  REQUIRE_OK(world_line(world, &mesh));
  int64_t sizes[64] = {0};
  sizes[0] = 5;
  sizes[world->size - 1] = 7;
  dtensor *x = zeros(mesh, 12, dtensor_replicate()), *rows = NULL, *back = NULL;
  dtensor_placement p = dtensor_shard_sizes(0, sizes);
  REQUIRE_OK(dtensor_redistribute(x, &p, NULL, &rows));
  const dtensor_placement columns = dtensor_shard(1);
  ask(rows, columns);
  dtensor_destroy(&rows);
  sizes[0] = 7;
  sizes[world->size - 1] = 5;
  REQUIRE_OK(dtensor_redistribute(x, &p, NULL, &rows));
  const int64_t misses = now().misses;
  ask(rows, columns);
  EXPECT_EQ(now().misses, misses + 1);
  REQUIRE_OK(dtensor_redistribute(rows, &columns, NULL, &back));
  dtensor_destroy(&x);
  dtensor_destroy(&rows);
  dtensor_destroy(&back);
  dtensor_mesh_destroy(&mesh);
}
