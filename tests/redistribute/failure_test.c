/* What goes wrong on one rank ends on all of them, leaves nothing behind, and hangs nobody. */
#include <dtensor/memory.h>
#include <dtensor/redistribute.h>
#include <stdlib.h>

#include "dtensor/base/alloc.h"
#include "tests/harness/arange.h"
#include "tests/harness/world.h"

typedef struct attempt {
  const test_world *world;
  dtensor_mesh *mesh, *other;
  dtensor *x;
  dtensor_placement to[1];
  double *global;
} attempt;

static dtensor_status by_redistribute(const attempt *a, dtensor **y) {
  return dtensor_redistribute(a->x, a->to, NULL, y);
}

static dtensor_status by_request(const attempt *a, dtensor **y) {
  dtensor_request *request;
  *y = NULL;
  const dtensor_status status = dtensor_redistribute_begin(a->x, a->to, NULL, &request);
  if (status != DTENSOR_OK) EXPECT_NULL(request);
  return status != DTENSOR_OK ? status : dtensor_request_wait(&request, y);
}

static dtensor_status by_other_mesh(const attempt *a, dtensor **y) {
  return dtensor_redistribute_to(a->x, a->other, a->to, NULL, y);
}

static dtensor_status by_full_tensor(const attempt *a, dtensor **y) {
  *y = NULL;
  return dtensor_full_tensor(a->x, a->global);
}

static dtensor_status by_distribute(const attempt *a, dtensor **y) {
  return dtensor_distribute_tensor(a->mesh, DTENSOR_F64, 2, (int64_t[]){9, 11}, a->global, 0, a->to,
                                   y);
}

static dtensor_status by_from_local(const attempt *a, dtensor **y) {
  dtensor_local local;
  dtensor_to_local(a->x, &local);
  local.own = DTENSOR_COPY;
  const dtensor_placement p[] = {dtensor_placement_of(a->x, 0)};
  return dtensor_from_local(a->mesh, DTENSOR_F64, &local, p, NULL, y);
}

static int64_t bytes_in_use(const test_world *world) {
  dtensor_memory_info info;
  world_barrier(world);
  dtensor_memory_stats(&info);
  world_barrier(world);
  return info.current;
}

/* Let the allocations on one rank fail, one after the other, until none is left that can. Returns
 * how many there were. */
static int fail_in_turn(const attempt *a, int failing,
                        dtensor_status (*call)(const attempt *, dtensor **)) {
  for (int n = 0;; n++) {
    dtensor *y = (dtensor *)&y;
    const int64_t before = bytes_in_use(a->world);
    if (a->world->rank == failing) dti_alloc_fail_after(n);
    const dtensor_status status = call(a, &y);
    dti_alloc_fail_after(-1);
    if (status == DTENSOR_OK) {
      dtensor_destroy(&y);
      EXPECT_EQ(bytes_in_use(a->world), before);
      return n;
    }
    EXPECT_STATUS(DTENSOR_ENOMEM, status);
    EXPECT_NULL(y);
    EXPECT_EQ(bytes_in_use(a->world), before);
    if (a->world->rank == failing)
      EXPECT_CONTAINS(dtensor_last_error(), "no memory");
    else
      EXPECT_CONTAINS(dtensor_last_error(), "failed with DTENSOR_ENOMEM");
    if (!EXPECT_LT(n, 100)) return n;
  }
}

DTEST_WORLD(RedistributeFailure, OutOfMemoryOnOneRank, 2, 3, 4) {
  if (world->size == 1) return;
  dtensor_memory_set_cache_limit(0);
  attempt a = {.world = world};
  REQUIRE_OK(world_line(world, &a.mesh));
  int ranks[64];
  for (int i = 0; i < world->size; i++) ranks[i] = world->size - 1 - i;
  REQUIRE_OK(world_mesh_from_ranks(world, 1, (int64_t[]){world->size}, ranks, NULL, &a.other));
  a.global = calloc(99, sizeof *a.global);
  static const struct {
    int64_t shape[2];
    const char *from, *to;
  } cases[] = {{{9, 11}, "S0", "S1"},     {{9, 11}, "SC(1,1)", "R"}, {{9, 11}, "P", "R"},
               {{9, 11}, "P", "SC(1,2)"}, {{2, 3}, "P", "R"},        {{9, 11}, "P", "P(max)"},
               {{9, 11}, "S1", "P(avg)"}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    REQUIRE_OK(make_arange(a.mesh, 2, cases[i].shape, cases[i].from, &a.x));
    REQUIRE_OK(dtensor_placements_parse(cases[i].to, 1, a.to));
    for (int failing = 0; failing < world->size; failing += world->size - 1) {
      EXPECT_GE(fail_in_turn(&a, failing, by_redistribute), world->rank == failing ? 1 : 0);
      fail_in_turn(&a, failing, by_request);
      fail_in_turn(&a, failing, by_other_mesh);
      if (cases[i].shape[0] == 9) fail_in_turn(&a, failing, by_full_tensor);
      fail_in_turn(&a, failing, by_distribute);
      fail_in_turn(&a, failing, by_from_local);
    }
    dtensor *y = NULL; /* and all is well again */
    EXPECT_OK(dtensor_redistribute(a.x, (dtensor_placement[]){dtensor_replicate()}, NULL, &y));
    if (y) EXPECT_TRUE(holds_arange(y));
    dtensor_destroy(&y);
    dtensor_destroy(&a.x);
  }
  free(a.global);
  dtensor_mesh_destroy(&a.mesh);
  dtensor_mesh_destroy(&a.other);
}

/* What moves nothing fails where it fails: nobody waits for anybody. */
DTEST_WORLD(RedistributeFailure, OutOfMemoryWithoutCommunication, 1, 3) {
  dtensor_mesh *mesh = NULL;
  dtensor *x = NULL, *y = NULL;
  REQUIRE_OK(world_line(world, &mesh));
  REQUIRE_OK(make_arange(mesh, 2, (int64_t[]){9, 11}, "R", &x));
  dti_alloc_fail_after(world->rank == 0 ? 0 : -1);
  EXPECT_STATUS(world->rank == 0 ? DTENSOR_ENOMEM : DTENSOR_OK,
                dtensor_redistribute(x, (dtensor_placement[]){dtensor_shard(0)}, NULL, &y));
  dti_alloc_fail_after(-1);
  dtensor_destroy(&x);
  dtensor_destroy(&y);
  dtensor_mesh_destroy(&mesh);
}

DTEST_WORLD(RedistributeFailure, Budget, 1, 2, 3, 4) {
  dtensor_mesh *mesh = NULL;
  dtensor *x = NULL, *y = (dtensor *)&y;
  REQUIRE_OK(world_line(world, &mesh));
  /* All rows on the last rank: the others receive everything, it receives nothing. */
  int64_t sizes[64] = {0};
  sizes[world->size - 1] = 9;
  REQUIRE_OK(dtensor_arange(mesh, DTENSOR_F64, 2, (int64_t[]){9, 11},
                            (dtensor_placement[]){dtensor_shard_sizes(0, sizes)}, &x));
  const dtensor_placement whole[] = {dtensor_replicate()};
  const int64_t all = 99 * 8;
  const dtensor_status refused = world->size > 1 ? DTENSOR_EBUDGET : DTENSOR_OK;
  EXPECT_STATUS(refused, dtensor_redistribute(
                             x, whole, &(dtensor_redistribute_opts){.max_received = all - 1}, &y));
  if (refused != DTENSOR_OK) EXPECT_NULL(y);
  dtensor_destroy(&y);
  dtensor_request *request = NULL;
  dtensor_status status = dtensor_redistribute_begin(
      x, whole, &(dtensor_redistribute_opts){.max_received = all - 1}, &request);
  if (status == DTENSOR_OK) status = dtensor_request_wait(&request, &y);
  EXPECT_STATUS(refused, status);
  dtensor_destroy(&y);
  EXPECT_OK(dtensor_redistribute(x, whole, &(dtensor_redistribute_opts){.max_received = all}, &y));
  dtensor_destroy(&y);
  EXPECT_STATUS(
      DTENSOR_EINVAL,
      dtensor_redistribute(x, whole, &(dtensor_redistribute_opts){.max_received = -1}, &y));
  dtensor_destroy(&x);
  dtensor_mesh_destroy(&mesh);
}

DTEST_WORLD(RedistributeFailure, BadArguments, 1, 2) {
  dtensor_mesh *mesh = NULL;
  dtensor *x = NULL, *y = (dtensor *)&y;
  REQUIRE_OK(world_line(world, &mesh));
  REQUIRE_OK(make_arange(mesh, 2, (int64_t[]){9, 11}, "S0", &x));
  const dtensor_placement rows[] = {dtensor_shard(0)};
  int64_t sizes[64] = {0};
  sizes[0] = 8;
  const dtensor_placement bad[] = {dtensor_shard(2), dtensor_shard(-3), dtensor_shard_cyclic(0, 0),
                                   dtensor_strided_shard(1, 0), dtensor_shard_sizes(0, sizes)};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    EXPECT_STATUS(DTENSOR_EPLACEMENT, dtensor_redistribute(x, &bad[i], NULL, &y));
    EXPECT_NULL(y);
    EXPECT_STATUS(DTENSOR_EPLACEMENT, dtensor_redistribute_to(x, mesh, &bad[i], NULL, &y));
  }
  /* f64 has no bitwise reductions. */
  EXPECT_STATUS(
      DTENSOR_EDTYPE,
      dtensor_redistribute(x, (dtensor_placement[]){dtensor_partial(DTENSOR_BXOR)}, NULL, &y));
  EXPECT_STATUS(DTENSOR_EINVAL, dtensor_redistribute(x, NULL, NULL, &y));
  EXPECT_STATUS(DTENSOR_EINVAL, dtensor_redistribute(NULL, rows, NULL, &y));
  EXPECT_STATUS(DTENSOR_EINVAL, dtensor_redistribute(x, rows, NULL, NULL));
  EXPECT_STATUS(DTENSOR_EINVAL, dtensor_redistribute_to(x, NULL, rows, NULL, &y));
  EXPECT_NULL(y);
  EXPECT_OK(dtensor_redistribute(x, (dtensor_placement[]){dtensor_shard(-1)}, NULL, &y));
  EXPECT_TRUE(dtensor_placement_equal(dtensor_placement_of(y, 0), dtensor_shard(1)));
  dtensor_destroy(&x);
  dtensor_destroy(&y);
  dtensor_mesh_destroy(&mesh);
}
