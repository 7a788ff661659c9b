/* Several redistributions in flight at once. */
#include <dtensor/redistribute.h>
#include <stdlib.h>

#include "tests/harness/arange.h"
#include "tests/harness/world.h"

enum { REQUESTS = 8 };

/* Of all kinds: nothing to move, one exchange, a sum in two exchanges, a few bytes gathered. */
static const struct {
  int ndim;
  int64_t shape[2];
  const char *from, *to;
} cases[REQUESTS] = {
    {2, {9, 11}, "S0", "S1"}, {1, {3}, "P", "R"},         {2, {9, 11}, "P", "R"},
    {1, {5}, "P(avg)", "R"},  {2, {9, 11}, "R", "S0"},    {1, {1}, "P", "R"},
    {2, {9, 11}, "S1", "R"},  {2, {9, 11}, "P", "SB(0)"},
};

static dtensor_status begin(dtensor_mesh *mesh, int i, dtensor_request **request) {
  dtensor *x = NULL;
  dtensor_placement to[1];
  *request = NULL;
  dtensor_status status = make_arange(mesh, cases[i].ndim, cases[i].shape, cases[i].from, &x);
  if (status != DTENSOR_OK) return status;
  status = dtensor_placements_parse(cases[i].to, 1, to);
  if (status == DTENSOR_OK) status = dtensor_redistribute_begin(x, to, NULL, request);
  dtensor_destroy(&x); /* the request keeps it */
  return status;
}

static void finish(dtensor_request **request) {
  dtensor *y = NULL;
  EXPECT_OK(dtensor_request_wait(request, &y));
  EXPECT_NULL(*request);
  if (EXPECT_NOT_NULL(y)) EXPECT_TRUE(holds_arange(y));
  dtensor_destroy(&y);
}

/* P(avg) of arange: the shares add up to the value, the average is a part of it. */
static void finish_average(dtensor_request **request, int64_t ranks) {
  dtensor *y = NULL;
  EXPECT_OK(dtensor_request_wait(request, &y));
  const double *value = y ? dtensor_local_data(y) : NULL;
  for (int64_t i = 0; value && i < dtensor_local_size(y, 0); i++)
    EXPECT_NEAR(value[i], (double)i / (double)ranks, 1e-15);
  dtensor_destroy(&y);
}

DTEST_WORLD(Request, WaitInAnyOrder, 1, 2, 3, 4, 6) {
  dtensor_mesh *mesh = NULL;
  REQUIRE_OK(world_line(world, &mesh));
  for (int round = 0; round < 20; round++) {
    dtensor_request *request[REQUESTS];
    for (int i = 0; i < REQUESTS; i++) {
      REQUIRE_OK(begin(mesh, i, &request[i]));
      /* Ranks get ahead of each other: what they poll for is not the same. */
      for (int poll = 0; poll < (world->rank + round + i) % 3 * 4; poll++) {
        int done;
        EXPECT_OK(dtensor_request_test(request[(poll + round) % (i + 1)], &done));
      }
    }
    for (int i = 0; i < REQUESTS; i++) {
      const int k = (i * (1 + 2 * (world->rank % 4)) + round) % REQUESTS; /* a permutation */
      if (k == 3)
        finish_average(&request[k], world->size);
      else
        finish(&request[k]);
    }
  }
  dtensor_mesh_destroy(&mesh);
}

/* Other collective calls while requests are in flight. */
DTEST_WORLD(Request, BesideBlockingCalls, 1, 3, 4) {
  dtensor_mesh *mesh = NULL, *grid = NULL;
  REQUIRE_OK(world_line(world, &mesh));
  REQUIRE_OK(world_grid(world, &grid));
  for (int round = 0; round < 10; round++) {
    dtensor_request *sum = NULL, *gather = NULL;
    dtensor *x = NULL, *y = NULL;
    int done;
    REQUIRE_OK(begin(mesh, 1, &sum));
    if (world->rank % 2) EXPECT_OK(dtensor_request_test(sum, &done));
    REQUIRE_OK(make_arange(grid, 2, (int64_t[]){4, 3}, "P,P", &x));
    REQUIRE_OK(begin(mesh, 6, &gather));
    if (world->rank % 3 == 0) EXPECT_OK(dtensor_request_test(gather, &done));
    REQUIRE_OK(dtensor_redistribute(
        x, (dtensor_placement[]){dtensor_replicate(), dtensor_replicate()}, NULL, &y));
    EXPECT_TRUE(holds_arange(y));
    finish(world->rank % 2 ? &sum : &gather);
    finish(world->rank % 2 ? &gather : &sum);
    dtensor_destroy(&x);
    dtensor_destroy(&y);
  }
  dtensor_mesh_destroy(&mesh);
  dtensor_mesh_destroy(&grid);
}

DTEST_WORLD(Request, TestUntilDone, 1, 2, 4) {
  dtensor_mesh *mesh = NULL;
  REQUIRE_OK(world_line(world, &mesh));
  dtensor_request *request = NULL;
  REQUIRE_OK(begin(mesh, 2, &request));
  int done = 0;
  while (!done)
    if (!EXPECT_OK(dtensor_request_test(request, &done))) break;
  EXPECT_OK(dtensor_request_test(request, &done)); /* still safe */
  EXPECT_EQ(done, 1);
  finish(&request);
  dtensor_mesh_destroy(&mesh);
}

/* The caller's explicit sizes are read in begin, not later. */
DTEST_WORLD(Request, SizesMayGo, 1, 3) {
  dtensor_mesh *mesh = NULL;
  dtensor *x = NULL;
  dtensor_request *request = NULL;
  REQUIRE_OK(world_line(world, &mesh));
  REQUIRE_OK(make_arange(mesh, 2, (int64_t[]){8, 9}, "P", &x));
  int64_t *sizes = calloc((size_t)world->size, sizeof *sizes);
  sizes[world->size - 1] = 8;
  const dtensor_placement to[] = {dtensor_shard_sizes(0, sizes)};
  REQUIRE_OK(dtensor_redistribute_begin(x, to, NULL, &request));
  free(sizes);
  finish(&request);
  dtensor_destroy(&x);
  dtensor_mesh_destroy(&mesh);
}

DTEST_WORLD(Request, BadArguments, 1, 2) {
  dtensor_mesh *mesh = NULL;
  dtensor *x = NULL, *y = (dtensor *)&y;
  dtensor_request *request = (dtensor_request *)&request;
  int done;
  REQUIRE_OK(world_line(world, &mesh));
  REQUIRE_OK(make_arange(mesh, 1, (int64_t[]){8}, "S0", &x));
  EXPECT_STATUS(
      DTENSOR_EPLACEMENT,
      dtensor_redistribute_begin(x, (dtensor_placement[]){dtensor_shard(1)}, NULL, &request));
  EXPECT_NULL(request);
  EXPECT_STATUS(DTENSOR_EINVAL, dtensor_redistribute_begin(x, NULL, NULL, &request));
  EXPECT_STATUS(DTENSOR_EINVAL,
                dtensor_redistribute_begin(x, (dtensor_placement[]){dtensor_shard(0)}, NULL, NULL));
  EXPECT_STATUS(DTENSOR_EINVAL, dtensor_request_test(NULL, &done));
  EXPECT_STATUS(DTENSOR_EINVAL, dtensor_request_wait(&request, &y));
  EXPECT_NULL(y);
  dtensor_destroy(&x);
  dtensor_mesh_destroy(&mesh);
}
