/* Many requests in flight: more than a board has places for, given up, beside everything else. */
#include <dtensor/memory.h>
#include <dtensor/ops.h>
#include <dtensor/redistribute.h>
#include <math.h>

#include "dtensor/comm/node.h"
#include "tests/harness/arange.h"
#include "tests/harness/world.h"

enum { MANY = 3 * DTI_MEETINGS };

static const struct {
  int ndim;
  int64_t shape[2];
  const char *from, *to;
} kinds[] = {
    {2, {9, 11}, "S0", "S1"}, {1, {3}, "P", "R"},        {2, {20, 11}, "P", "R"},
    {2, {9, 11}, "R", "S0"},  {2, {9, 11}, "S1", "R"},   {2, {9, 11}, "P", "SB(0)"},
    {2, {0, 3}, "S0", "S1"},  {2, {40, 50}, "S1", "S0"},
};
enum { KINDS = sizeof kinds / sizeof *kinds };

static dtensor_status begin(dtensor_mesh *mesh, int k, dtensor_request **request) {
  dtensor *x = NULL;
  dtensor_placement to;
  *request = NULL;
  dtensor_status status = make_arange(mesh, kinds[k].ndim, kinds[k].shape, kinds[k].from, &x);
  if (status == DTENSOR_OK) status = dtensor_placements_parse(kinds[k].to, 1, &to);
  if (status == DTENSOR_OK) status = dtensor_redistribute_begin(x, &to, NULL, request);
  dtensor_destroy(&x); /* the request keeps it */
  return status;
}

static void finish(dtensor_request **request) {
  dtensor *y = NULL;
  EXPECT_OK(dtensor_request_wait(request, &y));
  if (EXPECT_NOT_NULL(y)) EXPECT_TRUE(holds_arange(y));
  dtensor_destroy(&y);
}

static int64_t bytes_in_use(const test_world *world) {
  dtensor_memory_info info;
  world_barrier(world);
  dtensor_memory_stats(&info);
  world_barrier(world);
  return info.current;
}

/* A permutation of 0..n-1 for an n with the prime factors 2, 3 and 5, another one on each rank. */
static int permuted(int i, int n, int rank) { return (i * (1 + 30 * rank) + 5 * rank) % n; }

DTEST_NODES(InFlight, MoreThanTheBoardHasPlaces, {1, 1}, {2, 2}, {3, 1}, {4, 2}, {6, 6}) {
  dtensor_mesh *mesh = NULL;
  REQUIRE_OK(world_line(world, &mesh));
  dtensor_request *request[MANY];
  for (int i = 0; i < MANY; i++) REQUIRE_OK(begin(mesh, i % KINDS, &request[i]));
  for (int i = 0; i < MANY; i++) finish(&request[permuted(i, MANY, world->rank)]);
  dtensor_mesh_destroy(&mesh);
}

/* More than the numbers of meetings that may be open at once: begin waits for the oldest. */
DTEST_NODES(InFlight, Hundreds, {2, 2}, {3, 2}) {
  enum { HUNDREDS = 2400 };
  dtensor_mesh *mesh = NULL;
  dtensor *x = NULL;
  REQUIRE_OK(world_line(world, &mesh));
  REQUIRE_OK(make_arange(mesh, 2, (int64_t[]){3, 3}, "S0", &x));
  static _Thread_local dtensor_request *request[HUNDREDS];
  const dtensor_placement to = dtensor_shard(1);
  for (int i = 0; i < HUNDREDS; i++)
    REQUIRE_OK(dtensor_redistribute_begin(x, &to, NULL, &request[i]));
  for (int i = 0; i < HUNDREDS; i++) finish(&request[permuted(i, HUNDREDS, world->rank)]);
  dtensor_destroy(&x);
  dtensor_mesh_destroy(&mesh);
}

/* A rank that only polls, and never for the same as the others. */
DTEST_NODES(InFlight, PolledOnly, {2, 2}, {3, 1}, {4, 2}) {
  dtensor_mesh *mesh = NULL;
  REQUIRE_OK(world_line(world, &mesh));
  dtensor_request *request[MANY];
  for (int i = 0; i < MANY; i++) REQUIRE_OK(begin(mesh, i % KINDS, &request[i]));
  for (int i = 0; i < MANY; i++) {
    int done = 0;
    while (!done)
      if (!EXPECT_OK(dtensor_request_test(request[permuted(i, MANY, world->rank)], &done))) break;
  }
  for (int i = 0; i < MANY; i++) finish(&request[i]);
  dtensor_mesh_destroy(&mesh);
}

DTEST_NODES(InFlight, DestroyedWithoutWait, {1, 1}, {2, 2}, {3, 1}, {4, 2}, {6, 4}) {
  dtensor_memory_set_cache_limit(0);
  dtensor_mesh *mesh = NULL;
  REQUIRE_OK(world_line(world, &mesh));
  const int64_t before = bytes_in_use(world);
  dtensor_request *request[MANY];
  for (int round = 0; round < 3; round++) {
    for (int i = 0; i < MANY; i++) REQUIRE_OK(begin(mesh, (i + round) % KINDS, &request[i]));
    for (int i = 0; i < MANY; i++) {
      const int k = permuted(i, MANY, world->rank);
      if ((k + round) % 3 == 0)
        finish(&request[k]);
      else
        dtensor_request_destroy(&request[k]);
      EXPECT_NULL(request[k]);
    }
  }
  dtensor_request_destroy(&request[0]); /* NULL by now */
  dtensor_request_destroy(NULL);
  EXPECT_EQ(bytes_in_use(world), before);
  dtensor_mesh_destroy(&mesh);
}

/* Operators and blocking calls run while requests are on their way, and the mesh may go. */
DTEST_NODES(InFlight, BesideOperators, {2, 2}, {3, 1}, {4, 2}, {4, 1}) {
  dtensor_mesh *mesh = NULL;
  REQUIRE_OK(world_line(world, &mesh));
  dtensor_request *request[KINDS];
  for (int i = 0; i < KINDS; i++) REQUIRE_OK(begin(mesh, i, &request[i]));
  for (int i = 0; i < KINDS; i++) {
    dtensor *a = NULL, *b = NULL, *c = NULL, *sum = NULL;
    double norm = 0;
    int done;
    REQUIRE_OK(make_arange(mesh, 2, (int64_t[]){8, 8}, "S0", &a));
    REQUIRE_OK(make_arange(mesh, 2, (int64_t[]){8, 8}, "S1", &b));
    EXPECT_OK(dtensor_request_test(request[permuted(i, KINDS, world->rank)], &done));
    REQUIRE_OK(dtensor_matmul(a, b, &c));
    REQUIRE_OK(dtensor_norm(a, 0, NULL, 0, &sum));
    REQUIRE_OK(dtensor_item(sum, &norm));
    EXPECT_NEAR(norm, sqrt(63.0 * 64 * 127 / 6), 1e-9);
    dtensor_destroy(&sum);
    dtensor_destroy(&a);
    dtensor_destroy(&b);
    dtensor_destroy(&c);
  }
  dtensor_mesh_destroy(&mesh);
  for (int i = 0; i < KINDS; i++) finish(&request[permuted(i, KINDS, world->rank)]);
}
