/* Between nodes by way of carriers: the same bits as direct messages, the bytes that were promised,
 * and each byte over the wire once. Under MPI DTENSOR_RANKS_PER_NODE makes the nodes. */
#include <dtensor/debug.h>
#include <dtensor/memory.h>
#include <dtensor/plan.h>
#include <dtensor/redistribute.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dtensor/base/alloc.h"
#include "dtensor/base/event.h"
#include "dtensor/comm/node.h"
#include "dtensor/mesh/mesh.h"
#include "dtensor/spec/planner.h"
#include "tests/harness/arange.h"
#include "tests/harness/world.h"

/* Two nodes and more, also with fewer ranks on the last one. */
#define NODES \
  {4, 2}, {5, 2}, {6, 2}, {6, 3}, {7, 3}, {8, 2}, { 8, 4 }

/* Values that no order of adding them up leaves alone. */
static dtensor *make_values(dtensor_mesh *mesh, const int64_t shape[], const char *p) {
  dtensor *x = NULL;
  EXPECT_OK(make_arange(mesh, 2, shape, p, &x));
  double *data = x ? dtensor_local_data(x) : NULL;
  for (int64_t i = 0; data && i < dtensor_local_size(x, -1); i++) data[i] = 1 / (data[i] + 1.7);
  return x;
}

/* ---- Every pair of layouts ---- */

typedef struct pair_count {
  int64_t hierarchical, carried; /* plans of that kind; bytes that this rank carried in them */
} pair_count;

static void check_pair(const dtensor *x, const dtensor_placement to[], const char *from_name,
                       const char *to_name, pair_count *count) {
  dtensor *direct = NULL, *carried = NULL;
  dti_route_force_engine(DTI_ENGINE_DIRECT);
  EXPECT_OK(dtensor_redistribute(x, to, NULL, &direct));
  dti_route_force_engine(DTI_ENGINE_HIERARCHICAL);
  dtensor_plan_info promised;
  EXPECT_OK(dtensor_explain(x, to, NULL, &promised, NULL, 0));
  dtensor_comm_counts counts;
  dtensor_comm_stats_reset();
  EXPECT_OK(dtensor_redistribute(x, to, NULL, &carried));
  dtensor_comm_stats(&counts);
  count->hierarchical += promised.options > 0 && promised.engine == DTENSOR_ENGINE_HIERARCHICAL;
  count->carried += dti_event_counters()->bytes_carried;
  bool same = direct && carried && EXPECT_EQ(counts.bytes_received, promised.bytes_received) &&
              EXPECT_EQ(counts.bytes_sent, promised.bytes_sent) &&
              EXPECT_EQ(counts.messages_received, promised.messages_received) &&
              EXPECT_EQ(counts.messages_sent, promised.messages_sent);
  if (same)
    same = EXPECT_MEMEQ(dtensor_local_data(carried), dtensor_local_data(direct),
                        (size_t)dtensor_local_size(direct, -1) * sizeof(double));
  if (!same) dtest_fail(__FILE__, __LINE__, "%s -> %s", from_name, to_name);
  dtensor_destroy(&direct);
  dtensor_destroy(&carried);
}

static void check_all_pairs(const test_world *world, int ndim, const int64_t mesh_shape[],
                            int n_words, const char *const words[]) {
  enum { LAYOUTS = 64, NAME = 32 };
  char name[LAYOUTS][NAME];
  int layouts = 0;
  for (int i = 0; i < n_words; i++)
    for (int j = 0; j < (ndim == 2 ? n_words : 1); j++)
      snprintf(name[layouts++], NAME, ndim == 2 ? "%s,%s" : "%s", words[i], words[j]);
  dtensor_mesh *mesh = NULL;
  REQUIRE_OK(world_mesh(world, ndim, mesh_shape, NULL, &mesh));
  pair_count count = {0, 0};
  for (int from = 0; from < layouts; from++) {
    dtensor *x = make_values(mesh, (int64_t[]){9, 11}, name[from]);
    for (int to = 0; x && to < layouts; to++) {
      dtensor_placement p[2];
      EXPECT_OK(dtensor_placements_parse(name[to], ndim, p));
      check_pair(x, p, name[from], name[to], &count);
    }
    dtensor_destroy(&x);
  }
  int64_t sums[] = {count.hierarchical, count.carried};
  EXPECT_OK(dti_comm_allreduce(mesh->root, sums, 2, DTI_COMM_SUM));
  if (dti_comm_nodes(mesh->root) > 1 && dti_comm_nodes(mesh->root) < world->size) {
    EXPECT_GT(sums[0], 0);
    EXPECT_GT(sums[1], 0);
  }
  dtensor_mesh_destroy(&mesh);
}

#define WORDS(words) (int)(sizeof words / sizeof *words), words
static const char *const line_words[] = {"R",       "S0",      "S1",     "SB(0)",
                                         "SC(1,3)", "SS(0,2)", "P(sum)", "P(avg)"};
static const char *const grid_words[] = {"R", "S0", "S1", "SC(0,2)", "P(sum)"};

DTEST_NODES(Hierarchy, AllPairsOnALine, NODES) {
  check_all_pairs(world, 1, (int64_t[]){world->size}, WORDS(line_words));
}

DTEST_NODES(Hierarchy, AllPairsOnAGrid, NODES) {
  if (world->size % 2 != 0) return;
  const int64_t rows = world->size == 8 ? 4 : 2;
  check_all_pairs(world, 2, (int64_t[]){rows, world->size / rows}, WORDS(grid_words));
}

/* ---- What crosses the wire ---- */

/* Bytes that all carriers sent in a redistribution. */
static int64_t carried_bytes(dtensor_mesh *mesh, const int64_t shape[], const char *from,
                             const char *to, int64_t *messages) {
  dtensor *x = NULL, *y = NULL;
  dtensor_placement p[1];
  EXPECT_OK(make_arange(mesh, 2, shape, from, &x));
  EXPECT_OK(dtensor_placements_parse(to, 1, p));
  dti_route_force_engine(DTI_ENGINE_HIERARCHICAL);
  dtensor_comm_stats_reset();
  EXPECT_OK(dtensor_redistribute(x, p, NULL, &y));
  int64_t sums[] = {dti_event_counters()->bytes_carried, dti_event_counters()->messages_carried};
  EXPECT_TRUE(holds_arange(y));
  EXPECT_OK(dti_comm_allreduce(mesh->root, sums, 2, DTI_COMM_SUM));
  dtensor_destroy(&x);
  dtensor_destroy(&y);
  *messages = sums[1];
  return sums[0];
}

/* Ranks in nodes of several, not all in one. */
static bool has_nodes(const dtensor_mesh *mesh, int64_t *nodes) {
  *nodes = dti_comm_nodes(mesh->root);
  return *nodes > 1 && *nodes < dti_comm_size(mesh->root);
}

DTEST_NODES(Hierarchy, AllGatherCrossesOnce, NODES) {
  dtensor_mesh *mesh = NULL;
  REQUIRE_OK(world_line(world, &mesh));
  int64_t nodes, messages;
  if (has_nodes(mesh, &nodes)) {
    const int64_t bytes = carried_bytes(mesh, (int64_t[]){48, 17}, "S0", "R", &messages);
    EXPECT_EQ(bytes, 48 * 17 * 8 * (nodes - 1));
    EXPECT_EQ(messages, nodes * (nodes - 1));
  }
  dtensor_mesh_destroy(&mesh);
}

/* More than a piece: a column of blocks changes into a row of them, of 24 MB, between two nodes. */
DTEST_NODES(Hierarchy, LongMessages, NODES) {
  dtensor_mesh *mesh = NULL;
  REQUIRE_OK(world_line(world, &mesh));
  int64_t nodes, messages;
  if (has_nodes(mesh, &nodes) && nodes == 2) {
    (void)carried_bytes(mesh, (int64_t[]){1500, 2003}, "SC(0,3)", "S1", &messages);
    EXPECT_EQ(messages, 4);
  }
  dtensor_mesh_destroy(&mesh);
}

/* ---- Together with others ---- */

DTEST_NODES(Hierarchy, SeveralInFlight, NODES) {
  enum { REQUESTS = 6 };
  static const char *const froms[REQUESTS] = {"S0", "S1", "P", "S0", "SC(1,2)", "R"};
  static const char *const tos[REQUESTS] = {"S1", "R", "R", "R", "S0", "S1"};
  dtensor_mesh *mesh = NULL;
  REQUIRE_OK(world_line(world, &mesh));
  for (int round = 0; round < 5; round++) {
    dtensor_request *request[REQUESTS];
    for (int i = 0; i < REQUESTS; i++) {
      dtensor *x = NULL;
      dtensor_placement p[1];
      dti_route_force_engine((i + round) % 3 == 0 ? DTI_ENGINE_DIRECT : DTI_ENGINE_HIERARCHICAL);
      REQUIRE_OK(make_arange(mesh, 2, (int64_t[]){9, 11}, froms[i], &x));
      REQUIRE_OK(dtensor_placements_parse(tos[i], 1, p));
      REQUIRE_OK(dtensor_redistribute_begin(x, p, NULL, &request[i]));
      dtensor_destroy(&x);
    }
    for (int i = 0; i < REQUESTS; i++) { /* each rank in an order of its own */
      const int at = (i * 5 + world->rank + round) % REQUESTS;
      dtensor *y = NULL;
      EXPECT_OK(dtensor_request_wait(&request[at], &y));
      if (y) EXPECT_TRUE(holds_arange(y));
      dtensor_destroy(&y);
    }
  }
  dtensor_mesh_destroy(&mesh);
}

/* One message for tensors of different element sizes. */
DTEST_NODES(Hierarchy, ManyTensors, NODES) {
  enum { TENSORS = 3 };
  dtensor_mesh *mesh = NULL;
  REQUIRE_OK(world_line(world, &mesh));
  const dtensor_placement rows[] = {dtensor_shard(0)}, columns[] = {dtensor_shard(1)},
                          all[] = {dtensor_replicate()};
  const dtensor_placement *const to[TENSORS] = {all, columns, all};
  static const dtensor_dtype dtypes[TENSORS] = {DTENSOR_U8, DTENSOR_F64, DTENSOR_F32};
  dtensor *x[TENSORS] = {NULL}, *direct[TENSORS] = {NULL}, *carried[TENSORS] = {NULL};
  for (int i = 0; i < TENSORS; i++)
    REQUIRE_OK(dtensor_arange(mesh, dtypes[i], 2, (int64_t[]){world->size, 11}, rows, &x[i]));
  const dtensor *const in[TENSORS] = {x[0], x[1], x[2]};
  dti_route_force_engine(DTI_ENGINE_DIRECT);
  EXPECT_OK(dtensor_redistribute_many(TENSORS, in, to, NULL, direct));
  dti_route_force_engine(DTI_ENGINE_HIERARCHICAL);
  dtensor_comm_stats_reset();
  EXPECT_OK(dtensor_redistribute_many(TENSORS, in, to, NULL, carried));
  int64_t nodes, messages = dti_event_counters()->messages_carried;
  EXPECT_OK(dti_comm_allreduce(mesh->root, &messages, 1, DTI_COMM_SUM));
  if (has_nodes(mesh, &nodes)) EXPECT_EQ(messages, nodes * (nodes - 1));
  for (int i = 0; i < TENSORS; i++) {
    if (direct[i] && carried[i])
      EXPECT_MEMEQ(dtensor_local_data(carried[i]), dtensor_local_data(direct[i]),
                   (size_t)dtensor_local_size(direct[i], -1) * dtensor_dtype_size(dtypes[i]));
    dtensor_destroy(&x[i]);
    dtensor_destroy(&direct[i]);
    dtensor_destroy(&carried[i]);
  }
  dtensor_mesh_destroy(&mesh);
}

/* To the same ranks in another order, and to some of them. */
DTEST_NODES(Hierarchy, BetweenMeshes, NODES) {
  dtensor_mesh *mesh = NULL, *other[2] = {NULL, NULL};
  int ranks[64];
  for (int i = 0; i < world->size; i++) ranks[i] = world->size - 1 - i;
  REQUIRE_OK(world_line(world, &mesh));
  REQUIRE_OK(world_mesh_from_ranks(world, 1, (int64_t[]){world->size}, ranks, NULL, &other[0]));
  REQUIRE_OK(
      world_mesh_from_ranks(world, 1, (int64_t[]){(world->size + 1) / 2}, ranks, NULL, &other[1]));
  static const char *const words[] = {"R", "S0", "S1", "P"};
  for (int from = 0; from < 4; from++) {
    dtensor *x = NULL;
    REQUIRE_OK(make_arange(mesh, 2, (int64_t[]){9, 11}, words[from], &x));
    for (int i = 0; i < 6; i++) {
      dtensor *y = NULL;
      dtensor_placement p[1];
      REQUIRE_OK(dtensor_placements_parse(words[i % 3], 1, p));
      dti_route_force_engine(DTI_ENGINE_HIERARCHICAL);
      EXPECT_OK(dtensor_redistribute_to(x, other[i / 3], p, NULL, &y));
      if (y && dtensor_mesh_coordinate(other[i / 3], -1) >= 0) EXPECT_TRUE(holds_arange(y));
      dtensor_destroy(&y);
    }
    dtensor_destroy(&x);
  }
  dtensor_mesh_destroy(&mesh);
  for (int i = 0; i < 2; i++) dtensor_mesh_destroy(&other[i]);
}

/* Arrays that neighbours cannot reach are lent to the carriers. */
DTEST_NODES(Hierarchy, BorrowedArrays, NODES) {
  enum { ROWS = 3, COLUMNS = 40 };
  dtensor_mesh *mesh = NULL;
  REQUIRE_OK(world_line(world, &mesh));
  double mine[ROWS * COLUMNS];
  for (int i = 0; i < ROWS * COLUMNS; i++) mine[i] = world->rank * ROWS * COLUMNS + i;
  const dtensor_local local = {
      .data = mine, .ndim = 2, .shape = {ROWS, COLUMNS}, .own = DTENSOR_BORROW};
  const dtensor_placement from[] = {dtensor_shard(0)};
  const dtensor_placement to[][1] = {{dtensor_replicate()}, {dtensor_shard(1)}};
  dtensor *x = NULL;
  REQUIRE_OK(dtensor_from_local(mesh, DTENSOR_F64, &local, from, NULL, &x));
  dti_route_force_engine(DTI_ENGINE_HIERARCHICAL);
  for (int i = 0; i < 2; i++) {
    dtensor *y = NULL;
    EXPECT_OK(dtensor_redistribute(x, to[i], NULL, &y));
    if (y) EXPECT_TRUE(holds_arange(y));
    dtensor_destroy(&y);
  }
  dtensor_destroy(&x);
  dtensor_mesh_destroy(&mesh);
}

/* ---- What goes wrong ---- */

static int64_t bytes_in_use(const test_world *world) {
  dtensor_memory_info info;
  world_barrier(world);
  dtensor_memory_stats(&info);
  world_barrier(world);
  return info.current;
}

/* Each allocation of one rank fails in turn. */
DTEST_NODES(Hierarchy, OutOfMemoryOnOneRank, NODES) {
  dtensor_memory_set_cache_limit(0);
  dtensor_mesh *mesh = NULL;
  REQUIRE_OK(world_line(world, &mesh));
  static const char *const words[][2] = {{"S0", "S1"}, {"P", "R"}};
  for (int failing = 0; failing < world->size; failing++)
    for (int c = 0; c < 2; c++) {
      dtensor *x = NULL;
      dtensor_placement p[1];
      REQUIRE_OK(make_arange(mesh, 2, (int64_t[]){9, 11}, words[c][0], &x));
      REQUIRE_OK(dtensor_placements_parse(words[c][1], 1, p));
      dtensor_status status = DTENSOR_ENOMEM;
      int failures = -1;
      for (; status != DTENSOR_OK && failures < 100; failures++) {
        dtensor *y = NULL;
        const int64_t before = bytes_in_use(world);
        dti_route_force_engine(DTI_ENGINE_HIERARCHICAL);
        if (world->rank == failing) dti_alloc_fail_after(failures + 1);
        status = dtensor_redistribute(x, p, NULL, &y);
        dti_alloc_fail_after(-1);
        if (status == DTENSOR_OK)
          EXPECT_TRUE(holds_arange(y));
        else
          EXPECT_STATUS(DTENSOR_ENOMEM, status);
        dtensor_destroy(&y);
        EXPECT_EQ(bytes_in_use(world), before);
      }
      EXPECT_GE(failures, 1);
      EXPECT_LT(failures, 100);
      dtensor_destroy(&x);
    }
  dtensor_mesh_destroy(&mesh);
}

/* The whole of a message must fit: where it does not, another engine goes in rounds. */
DTEST_NODES(Hierarchy, Budget, NODES) {
  dtensor_mesh *mesh = NULL;
  REQUIRE_OK(world_line(world, &mesh));
  dtensor *x = NULL, *y = NULL;
  const dtensor_placement p[] = {dtensor_shard(1)};
  REQUIRE_OK(make_arange(mesh, 2, (int64_t[]){600, 700}, "S0", &x));
  bool is_carried = false, is_cut = false;
  for (int64_t bytes = 1 << 22; bytes >= 1 << 17; bytes /= 2) {
    const dtensor_redistribute_opts opts = {.max_bytes = bytes};
    dti_route_force_engine(DTI_ENGINE_HIERARCHICAL);
    dtensor_plan_info promised;
    EXPECT_OK(dtensor_explain(x, p, &opts, &promised, NULL, 0));
    is_carried |= promised.engine == DTENSOR_ENGINE_HIERARCHICAL;
    is_cut |= promised.engine == DTENSOR_ENGINE_DIRECT && promised.rounds > 1;
    EXPECT_OK(dtensor_redistribute(x, p, &opts, &y));
    if (y) EXPECT_TRUE(holds_arange(y));
    dtensor_destroy(&y);
  }
  int64_t nodes;
  if (has_nodes(mesh, &nodes)) EXPECT_TRUE(is_carried && is_cut);
  dtensor_destroy(&x);
  dtensor_mesh_destroy(&mesh);
}
