/* Node-shared tensors: what changes hands without moving, what must move, and who sees a write. */
#include <dtensor/debug.h>
#include <dtensor/matmul.h>
#include <dtensor/memory.h>
#include <dtensor/node_shared.h>
#include <dtensor/ops.h>
#include <dtensor/redistribute.h>
#include <stdlib.h>
#include <string.h>

#include "dtensor/base/alloc.h"
#include "dtensor/tensor/tensor.h"
#include "tests/harness/arange.h"
#include "tests/harness/world.h"

/* ---- worlds of several nodes: the first `per_node` ranks share one, and so on */

typedef struct node_world {
  test_world world;
  int per_node, shares;
} node_world;

typedef void (*node_body)(const node_world *nodes);

typedef struct job {
  node_body body;
  int per_node;
} job;

static dtensor_status run_rank(dtensor_sim *sim, void *ctx) {
  const job *j = ctx;
  j->body(&(node_world){world_of_sim(sim), j->per_node, .shares = 1});
  return DTENSOR_OK;
}

static void run_on_mpi(node_body body) {
  const char *per_node = getenv("DTENSOR_RANKS_PER_NODE");
  const char *shares = getenv("DTENSOR_SHARED_MEMORY");
  body(&(node_world){world_of_mpi(), per_node ? atoi(per_node) : dtest_size(),
                     !shares || strcmp(shares, "0") != 0});
}

static void run_everywhere(node_body body) {
  static const int ranks[] = {1, 2, 3, 4, 6};
  if (dtest_comm() != MPI_COMM_NULL) {
    run_on_mpi(body);
    return;
  }
  for (size_t i = 0; i < sizeof ranks / sizeof *ranks; i++)
    for (int per_node = 1; per_node <= ranks[i]; per_node++)
      EXPECT_OK(dtensor_sim_run_nodes(ranks[i], per_node, run_rank, &(job){body, per_node}));
}

#define NODE_TEST(name)                             \
  static void name(const node_world *nodes);        \
  DTEST(NodeShared, name) { run_everywhere(name); } \
  static void name(const node_world *nodes)

/* Whether every line of a mesh dimension is inside a node. */
static int is_inside(const node_world *nodes, const dtensor_mesh *mesh, int m) {
  int64_t step = 1;
  for (int d = m + 1; d < dtensor_mesh_ndim(mesh); d++) step *= dtensor_mesh_size(mesh, d);
  for (int64_t place = 0; place < dtensor_mesh_size(mesh, -1); place++) {
    const int64_t first = place - place / step % dtensor_mesh_size(mesh, m) * step;
    if (place / nodes->per_node != first / nodes->per_node) return 0;
  }
  return 1;
}

/* Whether a tensor whose shards are runs on all mesh dimensions can be node-shared. */
static int has_node_dims(const node_world *nodes, const dtensor_mesh *mesh) {
  int any = 0;
  for (int m = 0; m < dtensor_mesh_ndim(mesh); m++)
    any |= dtensor_mesh_size(mesh, m) > 1 && is_inside(nodes, mesh, m);
  return any && nodes->shares;
}

/* ---- values: that of an element is its global row-major index, plus `more` */

static int reads(const dtensor *x, double more) {
  const double *data = dtensor_local_read(x);
  const int64_t rows = dtensor_local_size(x, 0), columns = dtensor_local_size(x, 1);
  for (int64_t i = 0; i < rows; i++)
    for (int64_t j = 0; j < columns; j++) {
      const double want = (double)(dtensor_global_index(x, 0, i) * dtensor_size(x, 1) +
                                   dtensor_global_index(x, 1, j));
      if (!EXPECT_EQ(data[i * dtensor_local_stride(x, 0) + j * dtensor_local_stride(x, 1)],
                     want + more))
        return 0;
    }
  return 1;
}

static void add_everywhere(dtensor *x, double more) {
  double *data = dtensor_local_data(x);
  for (int64_t i = 0; i < dtensor_local_size(x, 0); i++)
    for (int64_t j = 0; j < dtensor_local_size(x, 1); j++)
      data[i * dtensor_local_stride(x, 0) + j * dtensor_local_stride(x, 1)] += more;
}

enum { ROWS = 11, COLUMNS = 13 };

static dtensor_status make_shared(dtensor_mesh *mesh, const char *p, dtensor **x) {
  dtensor *ordinary = NULL;
  dtensor_status status = make_arange(mesh, 2, (int64_t[]){ROWS, COLUMNS}, p, &ordinary);
  if (status == DTENSOR_OK) status = dtensor_share_node(ordinary, x);
  dtensor_destroy(&ordinary);
  return status;
}

static dtensor_status consume(dtensor **x, const char *to, dtensor **y) {
  dtensor_placement p[2];
  const dtensor_status status =
      dtensor_placements_parse(to, dtensor_mesh_ndim(dtensor_mesh_of(*x)), p);
  return status == DTENSOR_OK ? dtensor_redistribute_consume(x, p, NULL, y) : status;
}

static const void *segment_of(const dtensor *x) { return x->storage->segment; }

static int64_t allocations(void) {
  dtensor_memory_info info;
  dtensor_memory_stats(&info);
  return info.allocations;
}

static int64_t in_use(void) {
  dtensor_memory_info info;
  dtensor_memory_stats(&info);
  return info.current;
}

static int64_t peak(void) {
  dtensor_memory_info info;
  dtensor_memory_stats(&info);
  return info.peak;
}

/* ---- what changes hands */

/* Consume from every layout to every other; stays: whether both are windows of one segment. */
static void try_all(const node_world *nodes, dtensor_mesh *mesh, int n, const char *const p[],
                    int (*stays)(const node_world *, const dtensor_mesh *, const char *,
                                 const char *)) {
  for (int from = 0; from < n; from++)
    for (int to = 0; to < n; to++) {
      dtensor *x = NULL, *y = NULL;
      REQUIRE_OK(make_shared(mesh, p[from], &x));
      EXPECT_TRUE(reads(x, 0));
      const int expected = stays(nodes, mesh, p[from], p[to]);
      const void *segment = segment_of(x);
      world_barrier(&nodes->world);
      const int64_t before = allocations();
      dtensor_comm_stats_reset();
      EXPECT_OK(consume(&x, p[to], &y));
      dtensor_comm_counts counts;
      dtensor_comm_stats(&counts);
      EXPECT_NULL(x);
      if (EXPECT_NOT_NULL(y) && expected) {
        EXPECT_TRUE(dtensor_is_node_shared(y));
        EXPECT_TRUE(segment_of(y) == segment);
        EXPECT_EQ(counts.bytes_sent + counts.bytes_received, 0);
        world_barrier(&nodes->world);
        EXPECT_EQ(allocations(), before);
        world_barrier(&nodes->world);
      } else if (y) {
        EXPECT_FALSE(dtensor_is_node_shared(y));
      }
      if (!y || !reads(y, 0)) dtest_fail(__FILE__, __LINE__, "%s -> %s", p[from], p[to]);
      dtensor_destroy(&y);
    }
}

static int stays_on_line(const node_world *nodes, const dtensor_mesh *mesh, const char *from,
                         const char *to) {
  return has_node_dims(nodes, mesh) && from[1] != 'C' && to[1] != 'C';
}

NODE_TEST(OnALine) {
  static const char *const p[] = {"S0", "S1", "SB(0)", "SB(1)", "R", "SC(0,2)", "SC(1,3)"};
  dtensor_mesh *mesh = NULL;
  REQUIRE_OK(world_line(&nodes->world, &mesh));
  try_all(nodes, mesh, 7, p, stays_on_line);
  dtensor_mesh_destroy(&mesh);
}

/* Layouts of a grid here are two letters of shards or R: the second one is at 3 or 2. */
static int stays_on_grid(const node_world *nodes, const dtensor_mesh *mesh, const char *from,
                         const char *to) {
  if (!has_node_dims(nodes, mesh)) return 0;
  dtensor_placement a[2], b[2];
  EXPECT_OK(dtensor_placements_parse(from, 2, a));
  EXPECT_OK(dtensor_placements_parse(to, 2, b));
  for (int m = 0; m < 2; m++) {
    if (dtensor_mesh_size(mesh, m) == 1) continue;
    if (!is_inside(nodes, mesh, m)) {
      if (!dtensor_placement_equal(a[m], b[m])) return 0;
    } else if (a[m].kind == DTENSOR_SHARD_CYCLIC || b[m].kind == DTENSOR_SHARD_CYCLIC) {
      return 0;
    }
  }
  /* Dimension 0 is split on the nodes, and then by the other across them. */
  if (is_inside(nodes, mesh, 0) && !is_inside(nodes, mesh, 1) && dtensor_mesh_size(mesh, 0) > 1)
    for (int side = 0; side < 2; side++) {
      const dtensor_placement *q = side ? b : a;
      if (q[0].kind != DTENSOR_REPLICATE && q[1].kind != DTENSOR_REPLICATE && q[0].dim == q[1].dim)
        return 0;
    }
  return 1;
}

NODE_TEST(OnAGrid) {
  static const char *const p[] = {"S0,S1", "S1,S0",    "S0,S0",   "R,S0",       "S0,R",
                                  "R,R",   "SB(1),S1", "R,SB(1)", "SC(0,2),S0", "SC(0,2),R"};
  dtensor_mesh *mesh = NULL;
  REQUIRE_OK(world_grid(&nodes->world, &mesh));
  try_all(nodes, mesh, 10, p, stays_on_grid);
  dtensor_mesh_destroy(&mesh);
}

NODE_TEST(SizesAndEmptyShards) {
  dtensor_mesh *mesh = NULL;
  dtensor *x = NULL, *y = NULL, *z = NULL;
  REQUIRE_OK(world_line(&nodes->world, &mesh));
  const int n = nodes->world.size;
  int64_t sizes[8] = {0}; /* all of it is the last one's */
  sizes[n - 1] = ROWS;
  const dtensor_placement explicit_sizes[] = {dtensor_shard_sizes(0, sizes)};
  REQUIRE_OK(make_shared(mesh, "S0", &x));
  EXPECT_OK(dtensor_redistribute_consume(&x, explicit_sizes, NULL, &y));
  if (y) EXPECT_EQ(dtensor_is_node_shared(y), has_node_dims(nodes, mesh));
  EXPECT_EQ(dtensor_local_size(y, 0), nodes->world.rank == n - 1 ? ROWS : 0);
  EXPECT_TRUE(reads(y, 0));
  EXPECT_OK(consume(&y, "S1", &z));
  EXPECT_TRUE(reads(z, 0));
  dtensor_destroy(&z);
  /* Nothing at all, and a scalar. */
  REQUIRE_OK(dtensor_empty_node_shared(mesh, DTENSOR_F64, 2, (int64_t[]){0, 5},
                                       (dtensor_placement[]){dtensor_shard(0)}, &x));
  EXPECT_OK(consume(&x, "S1", &y));
  EXPECT_EQ(dtensor_is_node_shared(y), has_node_dims(nodes, mesh));
  EXPECT_OK(consume(&y, "R", &z));
  EXPECT_NOT_NULL(dtensor_local_data(z));
  dtensor_destroy(&z);
  REQUIRE_OK(
      dtensor_ones(mesh, DTENSOR_F32, 0, NULL, (dtensor_placement[]){dtensor_replicate()}, &x));
  EXPECT_OK(dtensor_share_node(x, &y));
  EXPECT_EQ(*(const float *)dtensor_local_read(y), 1);
  dtensor_destroy(&x);
  dtensor_destroy(&y);
  dtensor_mesh_destroy(&mesh);
}

NODE_TEST(ThroughOperators) {
  dtensor_mesh *mesh = NULL;
  REQUIRE_OK(world_line(&nodes->world, &mesh));
  static const char *const p[] = {"S0", "S1", "R"};
  for (int i = 0; i < 3; i++) {
    dtensor *x = NULL, *sum = NULL, *back = NULL, *copy = NULL, *turned = NULL;
    int equal = 0;
    REQUIRE_OK(make_shared(mesh, p[i], &x));
    EXPECT_OK(dtensor_add(x, x, &sum));
    EXPECT_OK(dtensor_sub(sum, x, &back));
    EXPECT_TRUE(reads(back, 0));
    EXPECT_FALSE(dtensor_is_node_shared(back));
    EXPECT_OK(dtensor_copy(x, &copy));
    EXPECT_OK(dtensor_equal(x, copy, &equal));
    EXPECT_TRUE(equal);
    EXPECT_OK(dtensor_transpose(x, 0, 1, &turned));
    double *global = calloc(ROWS * COLUMNS, sizeof *global);
    EXPECT_OK(dtensor_full_tensor(turned, global));
    for (int at = 0; at < ROWS * COLUMNS; at++)
      if (!EXPECT_EQ(global[at], at % ROWS * COLUMNS + at / ROWS)) break;
    free(global);
    dtensor_destroy(&turned);
    dtensor_destroy(&copy);
    dtensor_destroy(&back);
    dtensor_destroy(&sum);
    dtensor_destroy(&x);
  }
  dtensor_mesh_destroy(&mesh);
}

/* ---- what must be copied */

/* The result has moved; whoever else has the tensor writes, and is not seen. */
static void expect_moved(dtensor **x, const char *to, dtensor *other) {
  dtensor *y = NULL;
  EXPECT_OK(consume(x, to, &y));
  EXPECT_NULL(*x);
  EXPECT_FALSE(dtensor_is_node_shared(y));
  if (other) add_everywhere(other, 1000);
  EXPECT_TRUE(reads(y, 0));
  dtensor_destroy(&y);
}

NODE_TEST(AnotherUserOnOneRank) {
  dtensor_mesh *mesh = NULL;
  REQUIRE_OK(world_line(&nodes->world, &mesh));
  const int is_last = nodes->world.rank == nodes->world.size - 1;
  static const char *const p[] = {"S0", "S1", "R"};
  for (int i = 0; i < 9; i++) {
    dtensor *x = NULL, *other = NULL, *view = NULL;
    REQUIRE_OK(make_shared(mesh, p[i / 3], &x));
    if (is_last) other = dtensor_retain(x);
    expect_moved(&x, p[i % 3], other);
    dtensor_destroy(&other);

    REQUIRE_OK(make_shared(mesh, p[i / 3], &x));
    EXPECT_OK(dtensor_transpose(x, 0, 1, &view));
    if (!is_last) dtensor_destroy(&view);
    expect_moved(&x, p[i % 3], view);
    dtensor_destroy(&view);
  }
  dtensor_mesh_destroy(&mesh);
}

NODE_TEST(RequestOnItsWay) {
  dtensor_mesh *mesh = NULL;
  REQUIRE_OK(world_line(&nodes->world, &mesh));
  static const char *const p[] = {"S0", "S1", "R"};
  for (int i = 0; i < 9; i++) {
    dtensor *x = NULL, *y = NULL;
    dtensor_request *request = NULL;
    dtensor_placement columns[] = {dtensor_shard_cyclic(1, 2)};
    REQUIRE_OK(make_shared(mesh, p[i / 3], &x));
    EXPECT_OK(dtensor_redistribute_begin(x, columns, NULL, &request));
    /* A replica can be written meanwhile: neighbours read what is shared. */
    if (i / 3 == 2 && i % 3 == 0) add_everywhere(x, 0);
    expect_moved(&x, p[i % 3], NULL);
    EXPECT_OK(dtensor_request_wait(&request, &y));
    EXPECT_TRUE(reads(y, 0));
    dtensor_destroy(&y);
  }
  dtensor_mesh_destroy(&mesh);
}

NODE_TEST(OtherLayouts) {
  dtensor_mesh *mesh = NULL;
  dtensor *x = NULL, *y = NULL, *z = NULL;
  REQUIRE_OK(world_line(&nodes->world, &mesh));
  REQUIRE_OK(make_shared(mesh, "S0", &x));
  EXPECT_OK(consume(&x, "P", &y)); /* what is ordinary once stays so */
  EXPECT_FALSE(dtensor_is_node_shared(y));
  EXPECT_OK(consume(&y, "S1", &z));
  EXPECT_NULL(y);
  EXPECT_TRUE(reads(z, 0));
  EXPECT_FALSE(dtensor_is_node_shared(z));
  dtensor_destroy(&z);
  if (nodes->world.size > 1) {
    REQUIRE_OK(make_shared(mesh, "P", &x));
    EXPECT_FALSE(dtensor_is_node_shared(x));
    EXPECT_OK(consume(&x, "R", &y));
    EXPECT_TRUE(reads(y, 0));
    dtensor_destroy(&y);
  }
  dtensor_mesh_destroy(&mesh);
}

/* ---- who sees a write */

NODE_TEST(WritesStayOnTheirRank) {
  dtensor_mesh *mesh = NULL;
  dtensor *x = NULL, *y = NULL, *view = NULL;
  REQUIRE_OK(world_line(&nodes->world, &mesh));
  const int writes = nodes->world.rank == 0, shared = has_node_dims(nodes, mesh);
  REQUIRE_OK(make_shared(mesh, "R", &x));
  EXPECT_EQ(dtensor_is_node_shared(x), shared);
  EXPECT_OK(dtensor_transpose(x, 0, 1, &view));
  if (writes) {
    add_everywhere(x, 1000);
    EXPECT_TRUE(dtensor_local_data(x) == dtensor_local_read(x)); /* once */
    EXPECT_FALSE(dtensor_is_node_shared(x));
  }
  world_barrier(&nodes->world);
  EXPECT_TRUE(reads(x, writes ? 1000 : 0));
  const double *in_view = dtensor_local_read(view);
  EXPECT_EQ(in_view[dtensor_local_stride(view, 1)], COLUMNS + (writes && !shared ? 1000 : 0));
  if (!writes) EXPECT_EQ(dtensor_is_node_shared(x), shared);
  dtensor_destroy(&view);
  world_barrier(&nodes->world);
  /* What becomes of it is as with replicas in memory of their own: each rank keeps its part. */
  EXPECT_OK(consume(&x, "S0", &y));
  EXPECT_TRUE(reads(y, writes ? 1000 : 0));
  EXPECT_EQ(dtensor_is_node_shared(y), 0);
  dtensor_destroy(&y);
  dtensor_mesh_destroy(&mesh);
}

NODE_TEST(EachRankCanOwnItsReplica) {
  dtensor_mesh *mesh = NULL;
  dtensor *x = NULL;
  dtensor_local local;
  REQUIRE_OK(world_line(&nodes->world, &mesh));
  REQUIRE_OK(make_shared(mesh, "R", &x));
  EXPECT_OK(dtensor_to_local(x, &local));
  EXPECT_EQ(local.stride[0], COLUMNS);
  ((double *)local.data)[0] = nodes->world.rank;
  world_barrier(&nodes->world);
  EXPECT_EQ(*(const double *)dtensor_local_read(x), nodes->world.rank);
  EXPECT_FALSE(dtensor_is_node_shared(x) && has_node_dims(nodes, mesh));
  dtensor_destroy(&x);
  dtensor_mesh_destroy(&mesh);
}

/* Windows are written in place, and seen when they become replicas. */
NODE_TEST(ShardsAreWrittenInPlace) {
  dtensor_mesh *mesh = NULL;
  dtensor *x = NULL, *y = NULL;
  REQUIRE_OK(world_line(&nodes->world, &mesh));
  REQUIRE_OK(make_shared(mesh, "S0", &x));
  for (int round = 1; round <= 20; round++) {
    const int64_t before = allocations();
    add_everywhere(x, 1);
    EXPECT_OK(consume(&x, "S1", &y));
    EXPECT_TRUE(reads(y, 2 * round - 1));
    add_everywhere(y, 1);
    EXPECT_OK(consume(&y, "R", &x));
    EXPECT_TRUE(reads(x, 2 * round));
    EXPECT_OK(consume(&x, "SB(0)", &y));
    EXPECT_TRUE(reads(y, 2 * round));
    x = y;
    y = NULL;
    world_barrier(&nodes->world);
    if (has_node_dims(nodes, mesh)) EXPECT_EQ(allocations(), before);
    world_barrier(&nodes->world);
  }
  dtensor_destroy(&x);
  dtensor_mesh_destroy(&mesh);
}

/* A result that is written into a replica. */
NODE_TEST(MatmulIntoAReplica) {
  dtensor_mesh *mesh = NULL;
  dtensor *a = NULL, *unit = NULL, *b = NULL, *out = NULL, *c = NULL;
  const dtensor_placement p[] = {dtensor_replicate()};
  REQUIRE_OK(world_line(&nodes->world, &mesh));
  REQUIRE_OK(make_shared(mesh, "S0", &a));
  REQUIRE_OK(dtensor_eye(mesh, DTENSOR_F64, 2, (int64_t[]){COLUMNS, COLUMNS}, p, &unit));
  REQUIRE_OK(dtensor_share_node(unit, &b));
  REQUIRE_OK(make_shared(mesh, "R", &out));
  EXPECT_OK(dtensor_matmul_ex(
      a, b, &(dtensor_matmul_opts){.out = out, .alpha = dtensor_real(2), .beta = dtensor_real(-1)},
      NULL));
  EXPECT_TRUE(reads(out, 0)); /* 2 a 1 - a */
  EXPECT_OK(dtensor_matmul(a, b, &c));
  EXPECT_TRUE(reads(c, 0));
  dtensor_destroy(&c);
  dtensor_destroy(&out);
  dtensor_destroy(&b);
  dtensor_destroy(&unit);
  dtensor_destroy(&a);
  dtensor_mesh_destroy(&mesh);
}

/* ---- failures */

NODE_TEST(NothingIsLost) {
  dtensor_mesh *mesh = NULL;
  dtensor *x = NULL, *y = (dtensor *)&y;
  REQUIRE_OK(world_line(&nodes->world, &mesh));
  const int is_last = nodes->world.rank == nodes->world.size - 1;
  REQUIRE_OK(make_shared(mesh, "S0", &x));
  dtensor *const kept = x;
  EXPECT_STATUS(DTENSOR_EPLACEMENT, consume(&x, "S7", &y));
  EXPECT_NULL(y);
  EXPECT_STATUS(DTENSOR_EINVAL, consume(&x, "S1", &x));
  EXPECT_STATUS(DTENSOR_EINVAL, dtensor_redistribute_consume(&x, NULL, NULL, &y));
  EXPECT_STATUS(DTENSOR_EINVAL, dtensor_redistribute_consume(NULL, NULL, NULL, &y));
  EXPECT_TRUE(x == kept);
  /* One rank has another user, and another no memory for the copy. */
  dtensor *other = nodes->world.rank == 0 ? dtensor_retain(x) : NULL;
  if (is_last) dti_alloc_fail_after(0);
  EXPECT_STATUS(DTENSOR_ENOMEM, consume(&x, "S1", &y));
  dti_alloc_fail_after(-1);
  EXPECT_NULL(y);
  EXPECT_TRUE(x == kept);
  EXPECT_TRUE(reads(x, 0));
  dtensor_destroy(&other);
  EXPECT_OK(consume(&x, "S1", &y)); /* and all is well again */
  EXPECT_EQ(dtensor_is_node_shared(y), has_node_dims(nodes, mesh));
  EXPECT_TRUE(reads(y, 0));
  dtensor_destroy(&y);
  dtensor_mesh_destroy(&mesh);
}

NODE_TEST(NoMemoryToShare) {
  dtensor_mesh *mesh = NULL;
  dtensor *x = NULL, *y = (dtensor *)&y, *shared = NULL;
  dtensor_local local;
  REQUIRE_OK(world_line(&nodes->world, &mesh));
  REQUIRE_OK(make_arange(mesh, 2, (int64_t[]){ROWS, COLUMNS}, "R", &x));
  REQUIRE_OK(dtensor_share_node(x, &shared)); /* what communicators allocate once is there */
  world_barrier(&nodes->world);
  const int64_t before = in_use();
  world_barrier(&nodes->world);
  if (nodes->world.rank == 0) dti_alloc_fail_after(0);
  EXPECT_STATUS(DTENSOR_ENOMEM, dtensor_share_node(x, &y));
  dti_alloc_fail_after(-1);
  EXPECT_NULL(y);
  world_barrier(&nodes->world);
  EXPECT_EQ(in_use(), before);
  world_barrier(&nodes->world);
  EXPECT_STATUS(DTENSOR_EPLACEMENT,
                dtensor_empty_node_shared(mesh, DTENSOR_F64, 2, (int64_t[]){2, 2},
                                          (dtensor_placement[]){dtensor_shard(2)}, &y));
  EXPECT_STATUS(DTENSOR_EINVAL, dtensor_share_node(NULL, &y));
  if (has_node_dims(nodes, mesh)) {
    dti_alloc_fail_after(0);
    EXPECT_NULL(dtensor_local_data(shared));
    EXPECT_CONTAINS(dtensor_last_error(), "dtensor_local_data");
    dti_alloc_fail_after(0);
    EXPECT_STATUS(DTENSOR_ENOMEM, dtensor_to_local(shared, &local));
    dti_alloc_fail_after(-1);
    EXPECT_TRUE(dtensor_is_node_shared(shared));
  }
  EXPECT_TRUE(reads(shared, 0));
  dtensor_destroy(&x);
  dtensor_destroy(&shared);
  dtensor_mesh_destroy(&mesh);
}

/* The rank that has allocated the segment goes; what the others have stays, and they are told. */
static dtensor_status lose_one(dtensor_sim *sim, void *ctx) {
  (void)ctx;
  const node_world nodes = {world_of_sim(sim), 3, 1};
  dtensor_mesh *mesh = NULL;
  dtensor *x = NULL, *y = NULL;
  SIM_REQUIRE_OK(world_line(&nodes.world, &mesh));
  SIM_REQUIRE_OK(make_shared(mesh, "S0", &x));
  if (nodes.world.rank > 0) {
    dtensor *const kept = x;
    EXPECT_STATUS(DTENSOR_EMPI, consume(&x, "S1", &y));
    EXPECT_NULL(y);
    EXPECT_TRUE(x == kept);
    EXPECT_TRUE(reads(x, 0));
  }
  dtensor_destroy(&x);
  dtensor_mesh_destroy(&mesh);
  return DTENSOR_OK;
}

DTEST(NodeShared, ARankEnds) {
  if (dtest_comm() != MPI_COMM_NULL) return;
  const int64_t before = in_use();
  EXPECT_OK(dtensor_sim_run(3, lose_one, NULL));
  EXPECT_EQ(in_use(), before);
}

/* ---- memory */

NODE_TEST(AThousandTimes) {
  static const char *const p[] = {"S1", "R", "SB(0)", "SB(1)", "R", "S0"};
  dtensor_mesh *mesh = NULL;
  REQUIRE_OK(world_line(&nodes->world, &mesh));
  dtensor *x = NULL, *y = NULL;
  REQUIRE_OK(make_shared(mesh, "S0", &x));
  dtensor_destroy(&x);
  world_barrier(&nodes->world);
  const int64_t before = in_use();
  world_barrier(&nodes->world);
  const int cycles = has_node_dims(nodes, mesh) ? 1000 : 60;
  for (int i = 0; i < cycles; i++) {
    if (i % 50 == 0) {
      dtensor_destroy(&x);
      REQUIRE_OK(make_shared(mesh, "S0", &x));
    }
    if (!EXPECT_OK(consume(&x, p[i % 6], &y))) break;
    x = y;
  }
  EXPECT_TRUE(reads(x, 0));
  dtensor_destroy(&x);
  world_barrier(&nodes->world);
  EXPECT_EQ(in_use(), before);
  world_barrier(&nodes->world);
  dtensor_mesh_destroy(&mesh);
}

static void expect_one_copy_per_node(const node_world *nodes, int64_t mine, int64_t bytes) {
  const int leads = nodes->world.rank % nodes->per_node == 0;
  EXPECT_GE(mine, leads ? bytes : 0);
  EXPECT_LT(mine, leads ? bytes + 256 : 1);
}

NODE_TEST(OneCopyPerNode) {
  dtensor_mesh *mesh = NULL;
  dtensor *x = NULL, *y = NULL;
  if (nodes->world.sim) return; /* memory is counted by process: a rank must be one */
  REQUIRE_OK(world_line(&nodes->world, &mesh));
  if (has_node_dims(nodes, mesh)) {
    REQUIRE_OK(make_shared(mesh, "S0", &x));
    dtensor_destroy(&x);
    world_barrier(&nodes->world);
    const int64_t before = in_use();
    REQUIRE_OK(dtensor_empty_node_shared(mesh, DTENSOR_F64, 2, (int64_t[]){500, 300},
                                         (dtensor_placement[]){dtensor_shard(0)}, &x));
    expect_one_copy_per_node(nodes, in_use() - before, 500 * 300 * 8);
    EXPECT_OK(consume(&x, "R", &y));
    expect_one_copy_per_node(nodes, in_use() - before, 500 * 300 * 8);
    /* Who allocated it destroys it first; the last one to go hands it back. */
    if (nodes->world.rank == 0) dtensor_destroy(&y);
    world_barrier(&nodes->world);
    if (y) EXPECT_NOT_NULL(dtensor_local_read(y));
    dtensor_destroy(&y);
    world_barrier(&nodes->world);
    EXPECT_EQ(in_use(), before);
  }
  dtensor_mesh_destroy(&mesh);
}

/* Neighbours read windows in place, whoever allocated the segment: there is no memory but for the
 * result. */
static void expect_in_place(const node_world *nodes, dtensor_mesh *mesh, const char *of_a,
                            const char *of_b) {
  dtensor_placement p[1], cyclic[] = {dtensor_shard_cyclic(1, 4)}, rows[] = {dtensor_shard(0)};
  dtensor *ones = NULL, *a = NULL, *b = NULL, *c = NULL, *y = NULL;
  REQUIRE_OK(dtensor_placements_parse(of_a, 1, p));
  REQUIRE_OK(dtensor_ones(mesh, DTENSOR_F64, 2, (int64_t[]){720, 360}, p, &ones));
  REQUIRE_OK(dtensor_share_node(ones, &a));
  dtensor_destroy(&ones);
  REQUIRE_OK(dtensor_placements_parse(of_b, 1, p));
  REQUIRE_OK(dtensor_ones(mesh, DTENSOR_F64, 2, (int64_t[]){360, 120}, p, &ones));
  REQUIRE_OK(dtensor_share_node(ones, &b));
  dtensor_destroy(&ones);
  world_barrier(&nodes->world);
  dtensor_memory_reset_peak();
  int64_t before = in_use();
  EXPECT_OK(dtensor_redistribute(b, cyclic, NULL, &y));
  EXPECT_LE(peak() - before, 8 * dtensor_local_size(y, -1));
  dtensor_destroy(&y);
  world_barrier(&nodes->world);
  dtensor_memory_reset_peak();
  before = in_use();
  EXPECT_OK(dtensor_matmul_ex(a, b, &(dtensor_matmul_opts){.placements = rows}, &c));
  if (!EXPECT_LE(peak() - before, 8 * dtensor_local_size(c, -1)))
    dtest_fail(__FILE__, __LINE__, "%s x %s", of_a, of_b);
  const double *value = dtensor_local_read(c);
  for (int64_t at = 0; at < dtensor_local_size(c, -1); at++)
    if (!EXPECT_EQ(value[at], 360)) break;
  dtensor_destroy(&a);
  dtensor_destroy(&b);
  dtensor_destroy(&c);
}

NODE_TEST(ReadInPlace) {
  dtensor_mesh *mesh = NULL;
  if (nodes->world.sim) return; /* memory is counted by process: a rank must be one */
  REQUIRE_OK(world_line(&nodes->world, &mesh));
  if (has_node_dims(nodes, mesh)) {
    expect_in_place(nodes, mesh, "S0", "S0");
    expect_in_place(nodes, mesh, "S0", "R");
    expect_in_place(nodes, mesh, "R", "R");
  }
  dtensor_mesh_destroy(&mesh);
}
