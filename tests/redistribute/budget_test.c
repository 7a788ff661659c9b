/* With a limit to the buffers dtensor_explain() comes to the status that dtensor_redistribute()
 * returns, on every rank, for layouts that give ranks more or less to do, and limits from next to
 * nothing to more than all. */
#include <dtensor/plan.h>
#include <dtensor/redistribute.h>
#include <stdlib.h>

#include "dtensor/spec/planner.h"
#include "tests/harness/arange.h"
#include "tests/harness/world.h"

/* Over two mesh dimensions. */
static const char *const pairs[][2] = {
    {"P,R", "S0,P"},
    {"P,P", "S0,R"},
    {"R,P", "R,R"},
    {"P,P", "R,R"},
    {"P,R", "R,R"},
    {"P(avg),P", "SB(0),S0"},
    {"S0,S1", "S1,S0"},
    {"S0,S0", "S1,S1"},
    {"S0,S1", "R,R"},
    {"S1,R", "R,S1"},
    {"SC(0,3),R", "S0,S1"},
    {"S0,SC(0,2)", "SC(1,1),R"},
    {"SS(0,3),SB(0)", "S1,R"},
    {"SB(1),S0", "P(avg),P"},
    {"R,S0", "P,SS(0,4)"},
    {"S1,P", "R,S0"},
    {"P,S0", "S0,P"},
    {"S0,R", "S1,R"},
};
static const int64_t shapes[][2] = {{117, 1}, {13, 22}, {1, 333}, {70, 53}, {5, 3}, {0, 7}};
static const dtensor_dtype dtypes[] = {DTENSOR_BOOL, DTENSOR_F64, DTENSOR_C128, DTENSOR_F32};
static const int64_t limits[] = {1,    7,     16,    64,    200,   1000,   3000,
                                 8000, 20000, 40000, 70000, 99999, 400000, 1 << 30};

enum {
  PAIRS = sizeof pairs / sizeof *pairs,
  SHAPES = sizeof shapes / sizeof *shapes,
  DTYPES = sizeof dtypes / sizeof *dtypes,
  LIMITS = sizeof limits / sizeof *limits
};

/* How the local arrays lie. */
typedef enum local_memory { PACKED, ONE_IS_COLUMN_MAJOR, BORROWED, MEMORIES } local_memory;

static dtensor_status make(const test_world *world, dtensor_mesh *mesh, dtensor_dtype dtype,
                           const int64_t shape[], const dtensor_placement p[], local_memory memory,
                           void **block, dtensor **x) {
  *block = NULL;
  dtensor_status status = dtensor_zeros(mesh, dtype, 2, shape, p, x);
  if (status != DTENSOR_OK || memory == PACKED) return status;
  const int64_t rows = dtensor_local_size(*x, 0), columns = dtensor_local_size(*x, 1);
  const int is_turned = memory == ONE_IS_COLUMN_MAJOR && world->rank == world->size - 1;
  *block = calloc((size_t)(rows * columns) + 1, 16);
  const dtensor_local local = {.data = *block,
                               .ndim = 2,
                               .shape = {rows, columns},
                               .stride = {is_turned ? 1 : columns, is_turned ? rows : 1},
                               .own = DTENSOR_BORROW};
  dtensor_destroy(x);
  return dtensor_from_local(mesh, dtype, &local, p, shape, x);
}

typedef struct outcomes {
  int done, refused;
} outcomes;

static bool try(const dtensor *x, const dtensor_placement to[], int64_t max_bytes,
                outcomes *tally) {
  const dtensor_redistribute_opts opts = {.max_bytes = max_bytes};
  dtensor_plan_info info;
  dtensor *y = NULL;
  const dtensor_status promised = dtensor_explain(x, to, &opts, &info, NULL, 0);
  bool ok = EXPECT_TRUE(promised == DTENSOR_OK || promised == DTENSOR_EBUDGET);
  ok = EXPECT_STATUS(promised, dtensor_redistribute(x, to, &opts, &y)) && ok;
  if (max_bytes > 0 && info.options > 0) {
    ok = EXPECT_EQ(info.workspace <= max_bytes, promised == DTENSOR_OK) && ok;
    tally->done += promised == DTENSOR_OK;
    tally->refused += promised == DTENSOR_EBUDGET;
  }
  if (promised == DTENSOR_EBUDGET) { /* it says what would do */
    const dtensor_redistribute_opts enough = {.max_bytes = info.workspace};
    ok = EXPECT_OK(dtensor_explain(x, to, &enough, NULL, NULL, 0)) && ok;
  }
  dtensor_destroy(&y);
  return ok;
}

static void check_pair(const test_world *world, dtensor_mesh *mesh, int pair, int shape, int dtype,
                       local_memory memory, outcomes *tally) {
  dtensor_placement from[2], to[2];
  void *block;
  dtensor *x = NULL;
  REQUIRE_OK(dtensor_placements_parse(pairs[pair][0], 2, from));
  REQUIRE_OK(dtensor_placements_parse(pairs[pair][1], 2, to));
  for (int m = 0; m < 2 && dtypes[dtype] == DTENSOR_BOOL; m++) {
    if (from[m].kind == DTENSOR_PARTIAL) from[m] = dtensor_partial(DTENSOR_BAND);
    if (to[m].kind == DTENSOR_PARTIAL) to[m] = dtensor_partial(DTENSOR_BAND);
  }
  REQUIRE_OK(make(world, mesh, dtypes[dtype], shapes[shape], from, memory, &block, &x));
  dtensor_plan_info info;
  EXPECT_OK(dtensor_explain(x, to, NULL, &info, NULL, 0));
  bool ok = true;
  for (int l = 0; l < LIMITS && ok; l++) ok = try(x, to, limits[l], tally);
  /* And where it is decided. */
  for (int64_t around = -1; around < 2 && info.workspace > 1 && ok; around++)
    ok = try(x, to, info.workspace + around, tally);
  if (!ok)
    dtest_fail(__FILE__, __LINE__, "[%lld,%lld] %s -> %s, dtype %d, memory %d",
               (long long)shapes[shape][0], (long long)shapes[shape][1], pairs[pair][0],
               pairs[pair][1], (int)dtypes[dtype], (int)memory);
  dtensor_destroy(&x);
  free(block);
}

#define ARRANGEMENTS \
  {2, 1}, {6, 1}, {4, 2}, { 6, 4 }

DTEST_NODES(Budget, IsPromisedAsItIsKept, ARRANGEMENTS) {
  dtensor_mesh *mesh = NULL;
  REQUIRE_OK(world_grid(world, &mesh));
  outcomes tally = {0, 0};
  for (int p = 0; p < PAIRS; p++)
    for (int s = 0; s < SHAPES; s++) {
      /* In turn with each shape and pair. */
      const int dtype = (p + s) % DTYPES;
      check_pair(world, mesh, p, s, dtype, (local_memory)((p + s / 2) % MEMORIES), &tally);
    }
  dtensor_plan_info all;
  dtensor *x = NULL;
  const dtensor_placement shards[] = {dtensor_shard(0), dtensor_replicate()};
  REQUIRE_OK(dtensor_zeros(mesh, DTENSOR_F64, 1, (int64_t[]){6}, shards, &x));
  EXPECT_OK(dtensor_explain(x, (dtensor_placement[]){dtensor_replicate(), dtensor_replicate()},
                            NULL, &all, NULL, 0));
  dtensor_destroy(&x);
  if (all.ranks_per_node < world->size && world->size > 1) {
    EXPECT_GT(tally.done, 100);
    EXPECT_GT(tally.refused, 100);
  }
  dtensor_mesh_destroy(&mesh);
}

/* The same by each engine, as far as it can. */
DTEST_NODES(Budget, IsKeptByEveryEngine, {6, 1}, {6, 2}) {
  dtensor_mesh *mesh = NULL;
  REQUIRE_OK(world_grid(world, &mesh));
  outcomes tally = {0, 0};
  for (int engine = DTI_ENGINE_DIRECT; engine <= DTI_ENGINE_HIERARCHICAL; engine++)
    for (int p = 0; p < PAIRS; p++) {
      dti_route_force_engine(engine);
      check_pair(world, mesh, p, 3, p % DTYPES, (local_memory)((p + engine) % MEMORIES), &tally);
      dti_route_force_engine(-1);
    }
  dtensor_mesh_destroy(&mesh);
}

/* Explicit sizes, of which none of the ranks that a plan looks at has the most; and a value that
 * lies on the first line alone. */
DTEST_NODES(Budget, OfRanksThatHaveMore, {6, 1}) {
  if (world->size != 6) return;
  dtensor_mesh *mesh = NULL, *grid = NULL;
  dtensor *x = NULL;
  outcomes tally = {0, 0};
  static const int64_t sizes[] = {0, 1, 2, 500, 1, 1};
  const dtensor_placement one = dtensor_shard_sizes(0, sizes), columns = dtensor_shard(1);
  REQUIRE_OK(world_line(world, &mesh));
  REQUIRE_OK(dtensor_zeros(mesh, DTENSOR_F64, 2, (int64_t[]){505, 7}, &one, &x));
  for (int l = 0; l < LIMITS; l++) EXPECT_TRUE(try(x, &columns, limits[l], &tally));
  dtensor_destroy(&x);
  REQUIRE_OK(dtensor_zeros(mesh, DTENSOR_F64, 2, (int64_t[]){505, 7}, &columns, &x));
  for (int l = 0; l < LIMITS; l++) EXPECT_TRUE(try(x, &one, limits[l], &tally));
  dtensor_destroy(&x);
  REQUIRE_OK(world_grid(world, &grid));
  const dtensor_placement band[] = {dtensor_partial(DTENSOR_BAND), dtensor_replicate()};
  const dtensor_placement first[] = {dtensor_shard(0), dtensor_partial(DTENSOR_BAND)};
  REQUIRE_OK(dtensor_zeros(grid, DTENSOR_BOOL, 1, (int64_t[]){117}, band, &x));
  const dtensor_redistribute_opts few = {.max_bytes = 7}, enough = {.max_bytes = 59};
  dtensor_plan_info info;
  EXPECT_OK(dtensor_explain(x, first, NULL, &info, NULL, 0));
  const int is_near = info.shared_memory && info.ranks_per_node >= world->size;
  EXPECT_STATUS(is_near ? DTENSOR_OK : DTENSOR_EBUDGET,
                dtensor_explain(x, first, &few, &info, NULL, 0));
  EXPECT_EQ(info.workspace, is_near ? 0 : 59);
  EXPECT_OK(dtensor_explain(x, first, &enough, &info, NULL, 0));
  for (int l = 0; l < LIMITS; l++) EXPECT_TRUE(try(x, first, limits[l], &tally));
  EXPECT_EQ(tally.refused > 0, !is_near);
  dtensor_destroy(&x);
  dtensor_mesh_destroy(&mesh);
  dtensor_mesh_destroy(&grid);
}
