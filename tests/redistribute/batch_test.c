/* Several tensors in one redistribution: right, one message per peer, all or nothing. */
#include <dtensor/debug.h>
#include <dtensor/memory.h>
#include <dtensor/redistribute.h>
#include <stdlib.h>

#include "dtensor/base/alloc.h"
#include "dtensor/mesh/mesh.h"
#include "tests/harness/world.h"

enum { TENSORS_MAX = 130 };

/* Of all kinds: empty ones, scalars, nothing to move, sums by each way. */
static const struct {
  dtensor_dtype dtype;
  int ndim;
  int64_t shape[3];
  const char *from, *to;
} kinds[] = {
    {DTENSOR_F64, 2, {9, 11}, "S0", "S1"},   {DTENSOR_I32, 2, {16, 5}, "S1", "R"},
    {DTENSOR_F64, 1, {3}, "P", "R"},         {DTENSOR_U8, 1, {37}, "S0", "R"},
    {DTENSOR_C128, 1, {7}, "S0", "SC(0,1)"}, {DTENSOR_F32, 3, {4, 5, 7}, "SC(1,2)", "S2"},
    {DTENSOR_F64, 0, {1}, "P", "R"},         {DTENSOR_I64, 2, {40, 30}, "P", "R"},
    {DTENSOR_F64, 2, {0, 4}, "S0", "S1"},    {DTENSOR_F32, 2, {8, 8}, "R", "S0"},
    {DTENSOR_F32, 2, {12, 13}, "P", "S1"},   {DTENSOR_U8, 1, {29}, "S0", "SC(0,3)"},
    {DTENSOR_F32, 1, {3}, "P", "S0"},        {DTENSOR_F64, 2, {9, 11}, "S1", "S1"},
    {DTENSOR_I32, 1, {1}, "P", "R"},         {DTENSOR_BF16, 2, {5, 6}, "S1", "S0"},
};
enum { KINDS = sizeof kinds / sizeof *kinds };

typedef struct batch {
  int n, kind[TENSORS_MAX];
  dtensor *x[TENSORS_MAX], *y[TENSORS_MAX];
  dtensor_placement placement[TENSORS_MAX];
  const dtensor_placement *to[TENSORS_MAX];
} batch;

/* n tensors of all kinds, or of the given one. */
static dtensor_status make(dtensor_mesh *mesh, int n, int kind, batch *b) {
  *b = (batch){.n = n};
  for (int i = 0; i < n; i++) {
    const int k = b->kind[i] = kind < 0 ? (i * 5 + n) % KINDS : kind;
    dtensor_placement from;
    dtensor_status status = dtensor_placements_parse(kinds[k].to, 1, &b->placement[i]);
    if (status == DTENSOR_OK) status = dtensor_placements_parse(kinds[k].from, 1, &from);
    if (status == DTENSOR_OK)
      status = dtensor_arange(mesh, kinds[k].dtype, kinds[k].ndim, kinds[k].shape, &from, &b->x[i]);
    if (status != DTENSOR_OK) return status;
    b->to[i] = &b->placement[i];
  }
  return DTENSOR_OK;
}

static const dtensor *const *sources(const batch *b) { return (const dtensor *const *)b->x; }

static void destroy_results(batch *b) {
  for (int i = 0; i < b->n; i++) dtensor_destroy(&b->y[i]);
}

static void destroy(batch *b) {
  destroy_results(b);
  for (int i = 0; i < b->n; i++) dtensor_destroy(&b->x[i]);
}

static void check(dtensor_mesh *mesh, const batch *b) {
  for (int i = 0; i < b->n; i++) {
    const int k = b->kind[i];
    dtensor *want = NULL;
    if (!EXPECT_NOT_NULL(b->y[i])) continue;
    EXPECT_OK(dtensor_arange(mesh, kinds[k].dtype, kinds[k].ndim, kinds[k].shape, b->to[i], &want));
    const size_t bytes = (size_t)dtensor_local_size(want, -1) * dtensor_dtype_size(kinds[k].dtype);
    EXPECT_EQ(dtensor_local_size(b->y[i], -1), dtensor_local_size(want, -1));
    if (bytes > 0 && !EXPECT_MEMEQ(dtensor_local_data(b->y[i]), dtensor_local_data(want), bytes))
      dtest_fail(__FILE__, __LINE__, "tensor %d of %d: %s -> %s", i, b->n, kinds[k].from,
                 kinds[k].to);
    dtensor_destroy(&want);
  }
}

static void run(dtensor_mesh *mesh, int n, int kind, int by_request) {
  batch b;
  REQUIRE_OK(make(mesh, n, kind, &b));
  if (by_request) {
    dtensor_request *request = NULL;
    REQUIRE_OK(dtensor_redistribute_many_begin(n, sources(&b), b.to, NULL, &request));
    for (int i = 0; i < n; i++) dtensor_destroy(&b.x[i]); /* the request keeps them */
    EXPECT_OK(dtensor_request_wait_many(&request, n, b.y));
    EXPECT_NULL(request);
  } else {
    EXPECT_OK(dtensor_redistribute_many(n, sources(&b), b.to, NULL, b.y));
  }
  check(mesh, &b);
  destroy(&b);
}

DTEST_NODES(Batch, OfAnyTensors, {1, 1}, {2, 1}, {2, 2}, {3, 1}, {4, 1}, {4, 2}, {6, 3}, {6, 4}) {
  dtensor_mesh *mesh = NULL;
  REQUIRE_OK(world_line(world, &mesh));
  static const int counts[] = {1, 2, 3, 5, 16, 63, 64, 65, 128, 130};
  for (size_t i = 0; i < sizeof counts / sizeof *counts; i++)
    for (int by_request = 0; by_request < 2; by_request++) run(mesh, counts[i], -1, by_request);
  for (int kind = 0; kind < KINDS; kind++) run(mesh, 3, kind, kind % 2);
  dtensor_mesh_destroy(&mesh);
}

static dtensor_comm_counts counts_of(dtensor_mesh *mesh, int n, int kind) {
  dtensor_comm_counts counts = {0};
  batch b;
  if (!EXPECT_OK(make(mesh, n, kind, &b))) return counts;
  dtensor_comm_stats_reset();
  EXPECT_OK(dtensor_redistribute_many(n, sources(&b), b.to, NULL, b.y));
  dtensor_comm_stats(&counts);
  destroy(&b);
  return counts;
}

/* On nodes of one rank, so that there is nothing but messages. */
DTEST_NODES(Batch, IsOneMessagePerPeer, {2, 1}, {3, 1}, {5, 1}) {
  dtensor_mesh *mesh = NULL;
  int node_size = 0;
  REQUIRE_OK(world_line(world, &mesh));
  REQUIRE_OK(dti_comm_node_size(mesh->root, &node_size));
  for (int kind = 0; kind < KINDS && node_size == 1; kind++) {
    if (kinds[kind].shape[0] < world->size) continue; /* there is nothing for some peers */
    const dtensor_comm_counts one = counts_of(mesh, 1, kind), many = counts_of(mesh, 64, kind);
    EXPECT_EQ(many.bytes_received == 0, one.bytes_received == 0);
    if (many.bytes_received == 0) continue;
    const bool in_two_steps = kinds[kind].ndim == 2 && kinds[kind].shape[0] == 40; /* a large sum */
    EXPECT_LE(many.messages_received, (in_two_steps ? 2 : 1) * (world->size - 1));
    EXPECT_LE(many.messages_sent, (in_two_steps ? 2 : 1) * (world->size - 1));
    EXPECT_EQ(many.bytes_received, 64 * one.bytes_received);
    EXPECT_LE(many.agreements, 1);
  }
  dtensor_mesh_destroy(&mesh);
}

static int64_t bytes_in_use(const test_world *world) {
  dtensor_memory_info info;
  world_barrier(world);
  dtensor_memory_stats(&info);
  world_barrier(world);
  return info.current;
}

/* One tensor of many is wrong: no result, nothing held, and the next batch is well. */
static void refuse(const test_world *world, batch *b, dtensor_status code) {
  for (int i = 0; i < b->n; i++) b->y[i] = (dtensor *)b;
  const int64_t before = bytes_in_use(world);
  EXPECT_STATUS(code, dtensor_redistribute_many(b->n, sources(b), b->to, NULL, b->y));
  for (int i = 0; i < b->n; i++) EXPECT_NULL(b->y[i]);
  dtensor_request *request = (dtensor_request *)b;
  EXPECT_STATUS(code, dtensor_redistribute_many_begin(b->n, sources(b), b->to, NULL, &request));
  EXPECT_NULL(request);
  EXPECT_EQ(bytes_in_use(world), before);
}

DTEST_NODES(Batch, IsAllOrNothing, {1, 1}, {2, 1}, {3, 3}, {4, 2}) {
  dtensor_memory_set_cache_limit(0);
  dtensor_mesh *mesh = NULL, *other = NULL;
  REQUIRE_OK(world_line(world, &mesh));
  REQUIRE_OK(world_mesh(world, 2, (int64_t[]){1, -1}, NULL, &other));
  for (int bad = 0; bad < 130; bad += 43) {
    batch b;
    REQUIRE_OK(make(mesh, 130, -1, &b));
    const dtensor_placement is = b.placement[bad];
    dtensor *x = b.x[bad];
    b.placement[bad] = dtensor_shard(7);
    refuse(world, &b, DTENSOR_EPLACEMENT);
    b.placement[bad] = dtensor_shard_cyclic(0, 0);
    refuse(world, &b, DTENSOR_EPLACEMENT);
    b.placement[bad] = is;
    b.to[bad] = NULL;
    refuse(world, &b, DTENSOR_EINVAL);
    b.to[bad] = &b.placement[bad];
    b.x[bad] = NULL;
    refuse(world, &b, DTENSOR_EINVAL);
    if (bad > 0) {
      const dtensor_placement whole[] = {dtensor_replicate(), dtensor_replicate()};
      REQUIRE_OK(dtensor_zeros(other, DTENSOR_F64, 1, (int64_t[]){5}, whole, &b.x[bad]));
      b.to[bad] = whole;
      refuse(world, &b, DTENSOR_EMESH);
      dtensor_destroy(&b.x[bad]);
      b.to[bad] = &b.placement[bad];
    }
    b.x[bad] = x;
    EXPECT_OK(dtensor_redistribute_many(b.n, sources(&b), b.to, NULL, b.y));
    check(mesh, &b);
    destroy(&b);
  }
  dtensor_mesh_destroy(&mesh);
  dtensor_mesh_destroy(&other);
}

/* One rank runs out of memory at any of its allocations, in the first group of tensors or in a
 * later one: all of them fail. */
static void fail_in_turn(const test_world *world, batch *b, int failing, int by_request) {
  int failures = 0;
  dtensor_status status = DTENSOR_ENOMEM;
  for (int after = 0; status != DTENSOR_OK && after < 1000; after++) {
    const int64_t before = bytes_in_use(world);
    if (world->rank == failing) dti_alloc_fail_after(after);
    dtensor_request *request = NULL;
    if (by_request) {
      status = dtensor_redistribute_many_begin(b->n, sources(b), b->to, NULL, &request);
      if (status == DTENSOR_OK) status = dtensor_request_wait_many(&request, b->n, b->y);
    } else {
      status = dtensor_redistribute_many(b->n, sources(b), b->to, NULL, b->y);
    }
    dti_alloc_fail_after(-1);
    if (status == DTENSOR_OK) break;
    failures++;
    EXPECT_STATUS(DTENSOR_ENOMEM, status);
    EXPECT_NULL(request);
    for (int i = 0; i < b->n; i++) EXPECT_NULL(b->y[i]);
    EXPECT_EQ(bytes_in_use(world), before);
  }
  EXPECT_OK(status);
  EXPECT_GE(failures, b->n);
}

DTEST_NODES(Batch, OutOfMemory, {2, 1}, {2, 2}, {4, 2}, {3, 2}) {
  if (world->size == 1) return;
  dtensor_memory_set_cache_limit(0);
  dtensor_mesh *mesh = NULL;
  REQUIRE_OK(world_line(world, &mesh));
  static const int counts[] = {2, 17, 70};
  for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
    batch b;
    REQUIRE_OK(make(mesh, counts[i], -1, &b));
    fail_in_turn(world, &b, (int)i % world->size, (int)i % 2);
    check(mesh, &b);
    destroy(&b);
  }
  dtensor_mesh_destroy(&mesh);
}
