/* Products on several nodes with several ranks each: what the ranks of a node have is read there,
 * and what they need from other nodes comes once to each node. */
#include <stdlib.h>
#include <string.h>

#include "dtensor/base/alloc.h"
#include "dtensor/comm/node.h"
#include "dtensor/dtensor.h"
#include "dtensor/mesh/mesh.h"
#include "dtensor/ops/matmul_job.h"
#include "tests/harness/world.h"

/* Small integers, so that every order of summing gives the same. */
static dtensor *numbers(dtensor_mesh *mesh, const char *placements, int64_t rows, int64_t columns,
                        int64_t step) {
  dtensor_placement p[2];
  double *global = malloc((size_t)(rows * columns + 1) * sizeof *global);
  dtensor *x = NULL;
  for (int64_t i = 0; i < rows * columns; i++) global[i] = (double)(i * step % 11) - 5;
  EXPECT_OK(dtensor_placements_parse(placements, mesh->ndim, p));
  EXPECT_OK(dtensor_distribute_tensor(mesh, DTENSOR_F64, 2, (int64_t[]){rows, columns}, global, -1,
                                      p, &x));
  free(global);
  return x;
}

typedef struct product {
  int64_t m, n, k;
  const char *a, *b, *c; /* c: of a tensor that the product is added to, or NULL */
  dtensor_operand_form a_form, b_form;
} product;

/* The product, all of it, and what was told of it before. */
static bool multiply(dtensor_mesh *mesh, const product *p, int64_t max_bytes,
                     dtensor_matmul_info *info, double whole[]) {
  const bool at = p->a_form != DTENSOR_AS_IS, bt = p->b_form != DTENSOR_AS_IS;
  dtensor *a = numbers(mesh, p->a, at ? p->k : p->m, at ? p->m : p->k, 3);
  dtensor *b = numbers(mesh, p->b, bt ? p->n : p->k, bt ? p->k : p->n, 7);
  dtensor *c = p->c ? numbers(mesh, p->c, p->m, p->n, 5) : NULL, *out = NULL;
  dtensor_matmul_opts opts = {
      .a_form = p->a_form, .b_form = p->b_form, .out = c, .max_bytes = max_bytes};
  if (c) {
    opts.alpha = dtensor_real(2);
    opts.beta = dtensor_real(-3);
  }
  dtensor_comm_counts counts;
  bool good = EXPECT_OK(dtensor_explain_matmul(a, b, &opts, info, NULL, 0));
  dtensor_comm_stats_reset();
  good = good && EXPECT_OK(dtensor_matmul_ex(a, b, &opts, &out));
  dtensor_comm_stats(&counts);
  good = good && EXPECT_EQ(counts.bytes_received, info->bytes_a + info->bytes_b + info->bytes_c);
  good = good && EXPECT_OK(dtensor_full_tensor(out, whole));
  dtensor_destroy(&out);
  dtensor_destroy(&c);
  dtensor_destroy(&b);
  dtensor_destroy(&a);
  return good;
}

enum { MOST = 100 * 100 };

/* Compare with the same in panels that come to every rank by itself. */
static bool is_right(dtensor_mesh *mesh, const product *p, int64_t max_bytes,
                     dtensor_matmul_info *info) {
  double whole[MOST], other[MOST];
  dtensor_matmul_info unused;
  bool good = EXPECT_LE(p->m * p->n, MOST) && multiply(mesh, p, max_bytes, info, whole);
  dti_matmul_force_panels(3);
  good = good && multiply(mesh, p, 0, &unused, other);
  dti_matmul_force_panels(0);
  good = good && EXPECT_MEMEQ(whole, other, (size_t)(p->m * p->n) * sizeof *whole);
  if (!good)
    dtest_fail(__FILE__, __LINE__, "m=%d n=%d k=%d a %s b %s c %s", (int)p->m, (int)p->n, (int)p->k,
               p->a, p->b, p->c ? p->c : "-");
  return good;
}

/* 1 if these ranks live on nodes of so many. */
static bool lives_so(const test_world *world, int per_node) {
  int on_node = 0;
  EXPECT_OK(dti_comm_node_size(world->comm, &on_node));
  int64_t extremes[] = {on_node, -on_node};
  EXPECT_OK(dti_comm_allreduce(world->comm, extremes, 2, DTI_COMM_MIN));
  return extremes[0] == per_node && -extremes[1] == per_node;
}

/* On 2 nodes of 2 ranks, what moves of a matrix of 64 x 64 doubles. */
enum { N = 64, BYTES = N * N * 8 };

DTEST_NODES(MatmulNodes, BytesOnTheWire, {4, 2}) {
  if (world->size != 4 || !lives_so(world, 2)) return;
  static const struct {
    product p;
    int64_t wire, in_place, workspace;
  } cases[] = {
      /* All of b goes to all: a rank has a quarter, brings another one to its node, and reads the
       * two that its neighbour has. */
      {{2 * N, N, N, "S(0),S(0)", "S(0),S(0)", NULL, 0, 0}, BYTES / 4, BYTES / 2, BYTES / 2},
      {{2 * N, N, N, "S(1),S(1)", "S(1),S(1)", NULL, DTENSOR_TRANSPOSED, DTENSOR_TRANSPOSED},
       BYTES / 4,
       BYTES / 2,
       BYTES / 2},
      /* Half of the columns of b, and half of a, which is on the node. */
      {{N, N, N, "S(0),S(0)", "S(0),S(0)", NULL, 0, 0}, BYTES / 4, BYTES / 2, BYTES / 2},
      {{N, N, N, "S(1),S(1)", "S(1),S(1)", NULL, 0, 0}, BYTES / 4, BYTES / 2, BYTES / 2},
      /* The ranks of a node have the same half of b, and each brings half of the rest. */
      {{N, N, N, "S(0),R", "S(0),R", NULL, 0, 0}, BYTES / 4, BYTES / 4, BYTES / 2},
      /* All that is needed is on the node. */
      {{N, N, N, "S(0),S(0)", "R,S(0)", NULL, 0, 0}, 0, BYTES / 8, 0},
      /* a is read on the node, of b every rank needs something else. */
      {{N, N, N, "S(0),S(1)", "S(0),S(1)", NULL, 0, 0}, BYTES / 4, BYTES / 4, BYTES / 2},
  };
  dtensor_mesh *mesh = NULL;
  REQUIRE_OK(world_mesh(world, 2, (int64_t[]){2, 2}, NULL, &mesh));
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    dtensor_matmul_info info;
    const bool good = is_right(mesh, &cases[i].p, 0, &info);
    REQUIRE_TRUE(good);
    const int64_t wire = info.bytes_a + info.bytes_b + info.bytes_c - info.bytes_in_place;
    if (!EXPECT_EQ(wire, cases[i].wire) || !EXPECT_EQ(info.bytes_in_place, cases[i].in_place) ||
        !EXPECT_EQ(info.workspace, cases[i].workspace))
      dtest_fail(__FILE__, __LINE__, "case %d", (int)i);
  }
  dtensor_mesh_destroy(&mesh);
}

/* The usual mesh: all ranks in a line. Of b, which goes to all, each node brings what it has not.
 */
DTEST_NODES(MatmulNodes, OneDimension, {4, 2}, {6, 2}, {6, 3}) {
  int per_node;
  REQUIRE_OK(dti_comm_node_size(world->comm, &per_node));
  const int64_t ranks = world->size, nodes = ranks / per_node;
  if (!lives_so(world, per_node) || per_node == 1 || nodes == 1) return;
  enum { LONG = 288, SHORT = 32, K = 192, UNEVEN = 250 };
  dtensor_mesh *mesh = NULL;
  REQUIRE_OK(world_line(world, &mesh));
  const int64_t bytes = SHORT * K * 8;
  dtensor_matmul_info info;
  REQUIRE_TRUE(is_right(mesh, &(product){LONG, SHORT, K, "S(0)", "S(0)", NULL, 0, 0}, 0, &info));
  EXPECT_EQ(info.bytes_b, bytes - bytes / ranks);
  EXPECT_EQ(info.bytes_b - info.bytes_in_place, bytes / per_node / nodes * (nodes - 1));
  EXPECT_EQ(info.workspace, bytes / per_node);
  REQUIRE_TRUE(is_right(mesh, &(product){SHORT, LONG, K, "S(1)", "SB(1)", NULL, 0, 0}, 0, &info));
  EXPECT_EQ(info.bytes_a - info.bytes_in_place, bytes / per_node / nodes * (nodes - 1));
  REQUIRE_TRUE(is_right(mesh, &(product){LONG, SHORT, K, "S(1)", "S(0)", "S(0)", 1, 1}, 0, &info));
  /* The last ranks have less, or nothing. */
  const int64_t row = SHORT * 8;
  for (int64_t k = UNEVEN; k > UNEVEN - 40; k -= 13) {
    const product uneven = {LONG - 5, SHORT, k, "S(0)", "S(0)", NULL, 0, 0};
    REQUIRE_TRUE(is_right(mesh, &uneven, 0, &info));
    int64_t sums[] = {info.bytes_b, info.bytes_b - info.bytes_in_place};
    REQUIRE_OK(dti_comm_allreduce(world->comm, sums, 2, DTI_COMM_SUM));
    EXPECT_EQ(sums[0], k * row * (ranks - 1));
    EXPECT_EQ(sums[1], k * row * (nodes - 1));
  }
  /* Not in one run each: every rank brings all to itself. */
  const product cyclic = {LONG, SHORT, K, "S(0)", "SC(0,32)", NULL, 0, 0};
  REQUIRE_TRUE(is_right(mesh, &cyclic, 0, &info));
  EXPECT_EQ(info.bytes_in_place, 0);
  dtensor_mesh_destroy(&mesh);
}

/* A user's own array cannot be read by others: what it has is read in the buffers. */
DTEST_NODES(MatmulNodes, OneHasAnArrayOfItsOwn, {4, 2}) {
  if (world->size != 4 || !lives_so(world, 2)) return;
  dtensor_mesh *mesh = NULL;
  REQUIRE_OK(world_line(world, &mesh));
  static double rows[N / 4 * N]; /* nobody writes to it but the rank that lends it */
  const dtensor_placement split = dtensor_shard(0);
  dtensor *a = numbers(mesh, "S(0)", 2 * N, N, 3), *b = numbers(mesh, "S(0)", N, N, 7);
  dtensor *lent = NULL, *c = NULL, *other = NULL;
  dtensor_local local;
  REQUIRE_OK(dtensor_to_local(b, &local));
  if (world->rank == 1) {
    memcpy(rows, local.data, sizeof rows);
    local.data = rows;
  }
  local.own = world->rank == 1 ? DTENSOR_BORROW : DTENSOR_COPY;
  REQUIRE_OK(dtensor_from_local(mesh, DTENSOR_F64, &local, &split, NULL, &lent));
  for (int64_t cuts = 0; cuts <= 3; cuts += 3) {
    dti_matmul_force_cuts(cuts);
    dtensor_matmul_info info;
    REQUIRE_OK(dtensor_explain_matmul(a, lent, NULL, &info, NULL, 0));
    EXPECT_EQ(info.bytes_b - info.bytes_in_place, BYTES / 4);
    REQUIRE_OK(dtensor_matmul(a, lent, &c));
    dti_matmul_force_cuts(0);
    REQUIRE_OK(dtensor_matmul(a, b, &other));
    EXPECT_MEMEQ(dtensor_local_data(c), dtensor_local_data(other),
                 (size_t)dtensor_local_size(c, -1) * sizeof(double));
    dtensor_destroy(&other);
    dtensor_destroy(&c);
  }
  dtensor_destroy(&lent);
  dtensor_destroy(&b);
  dtensor_destroy(&a);
  dtensor_mesh_destroy(&mesh);
}

DTEST_NODES(MatmulNodes, TheTextTells, {4, 2}) {
  if (world->size != 4 || !lives_so(world, 2)) return;
  dtensor_mesh *mesh = NULL;
  char text[2048];
  REQUIRE_OK(world_line(world, &mesh));
  dtensor *a = numbers(mesh, "S(0)", 2 * N, N, 3), *b = numbers(mesh, "S(0)", N, N, 7);
  EXPECT_OK(dtensor_explain_matmul(a, b, NULL, NULL, text, sizeof text));
  EXPECT_CONTAINS(text, "f64: splits m\n");
  EXPECT_CONTAINS(text, "comes once to each node, 24576 bytes, 16384 of them read on this node\n");
  dtensor_destroy(&b);
  dtensor_destroy(&a);
  dtensor_mesh_destroy(&mesh);
}

/* A cap that would take steps of k: what is carried needs less room. */
DTEST_NODES(MatmulNodes, CarriedInsteadOfSteps, {4, 2}) {
  if (world->size != 4 || !lives_so(world, 2)) return;
  const product p = {2 * N, N, N, "S(0),S(0)", "S(0),S(0)", NULL, 0, 0};
  dtensor_mesh *mesh = NULL;
  dtensor_matmul_info info;
  REQUIRE_OK(world_mesh(world, 2, (int64_t[]){2, 2}, NULL, &mesh));
  REQUIRE_TRUE(is_right(mesh, &p, BYTES / 2, &info));
  EXPECT_EQ(info.steps, 1);
  EXPECT_EQ(info.workspace, BYTES / 2);
  REQUIRE_TRUE(is_right(mesh, &p, BYTES / 2 - 8, &info));
  EXPECT_GE(info.steps, 3);
  EXPECT_LE(info.workspace, BYTES / 2 - 8);
  dtensor_mesh_destroy(&mesh);
}

/* Nodes along the first dimension, and along the second. */
static dtensor_status make_mesh(const test_world *world, int64_t nodes, int64_t per_node,
                                bool is_turned, dtensor_mesh **mesh) {
  int ranks[64];
  for (int64_t i = 0; i < per_node; i++)
    for (int64_t j = 0; j < nodes; j++) ranks[i * nodes + j] = (int)(j * per_node + i);
  return is_turned
             ? world_mesh_from_ranks(world, 2, (int64_t[]){per_node, nodes}, ranks, NULL, mesh)
             : world_mesh(world, 2, (int64_t[]){nodes, per_node}, NULL, mesh);
}

DTEST_NODES(MatmulNodes, UnevenOnEveryMesh, {4, 2}, {6, 2}, {6, 3}) {
  static const char *const layouts[] = {"S(0),S(0)", "S(1),S(1)", "S(0),S(1)", "S(1),S(0)",
                                        "S(0),R",    "R,S(1)",    "P,S(0)",    "SC(0,3),SB(0)"};
  enum { LAYOUTS = sizeof layouts / sizeof *layouts };
  int per_node;
  REQUIRE_OK(dti_comm_node_size(world->comm, &per_node));
  if (!lives_so(world, per_node) || world->size > 64) return;
  for (int turned = 0; turned < 2; turned++) {
    dtensor_mesh *mesh = NULL;
    REQUIRE_OK(make_mesh(world, world->size / per_node, per_node, turned, &mesh));
    bool good = true;
    for (int i = 0; i < LAYOUTS * LAYOUTS && good; i++) {
      const product p = {41,
                         37,
                         43,
                         layouts[i % LAYOUTS],
                         layouts[i / LAYOUTS],
                         i % 3 ? NULL : layouts[i % 5],
                         (dtensor_operand_form)(i % 2),
                         (dtensor_operand_form)(i / 2 % 2)};
      dtensor_matmul_info info;
      double whole[MOST], other[MOST];
      good = is_right(mesh, &p, 0, &info) && multiply(mesh, &p, 0, &info, other);
      dti_matmul_force_cuts(3);
      good = good && multiply(mesh, &p, 0, &info, whole) &&
             EXPECT_MEMEQ(whole, other, (size_t)(p.m * p.n) * sizeof *whole);
      dti_matmul_force_cuts(0);
    }
    dtensor_mesh_destroy(&mesh);
    REQUIRE_TRUE(good);
  }
}

/* ---- one rank fails */

enum { RANKS = 4, ALLOCATIONS = 14, MESSAGES = 60 };

typedef struct failure {
  const char *a, *b, *c; /* c: how the product has to lie, or NULL */
  int memory, messages;  /* so many go well; below 0: all */
  dtensor_status outcome[RANKS];
  int wrong[RANKS];
} failure;

static dtensor_status fail_on_rank_1(dtensor_sim *sim, void *ctx) {
  failure *f = ctx;
  const test_world world = world_of_sim(sim);
  dtensor_mesh *mesh = NULL;
  SIM_REQUIRE_OK(world_mesh(&world, 2, (int64_t[]){2, 2}, NULL, &mesh));
  const int64_t shape[] = {48, 48};
  dtensor_placement p[2];
  dtensor *a = NULL, *b = NULL, *c = NULL;
  dtensor_matmul_opts opts = {.placements = f->c ? p : NULL};
  SIM_REQUIRE_OK(dtensor_placements_parse(f->a, 2, p));
  SIM_REQUIRE_OK(dtensor_ones(mesh, DTENSOR_F64, 2, shape, p, &a));
  SIM_REQUIRE_OK(dtensor_placements_parse(f->b, 2, p));
  SIM_REQUIRE_OK(dtensor_ones(mesh, DTENSOR_F64, 2, shape, p, &b));
  if (f->c) SIM_REQUIRE_OK(dtensor_placements_parse(f->c, 2, p));
  dti_matmul_force_cuts(4);
  if (world.rank == 1) {
    dti_alloc_fail_after(f->memory);
    dti_comm_fail_after(f->messages, f->messages >= 0);
  }
  f->outcome[world.rank] = dtensor_matmul_ex(a, b, &opts, &c);
  dti_alloc_fail_after(-1);
  dti_comm_fail_after(0, 0);
  dti_matmul_force_cuts(0);
  f->wrong[world.rank] = 0;
  for (int64_t i = 0; c && i < dtensor_local_size(c, -1); i++)
    f->wrong[world.rank] += ((const double *)dtensor_local_data(c))[i] != 48;
  dtensor_destroy(&c);
  dtensor_destroy(&b);
  dtensor_destroy(&a);
  dtensor_mesh_destroy(&mesh);
  return DTENSOR_OK;
}

static const char *const failing_layouts[][3] = {{"S(0),S(0)", "S(0),S(0)", NULL},
                                                 {"S(1),S(1)", "S(1),S(1)", NULL},
                                                 {"S(0),R", "S(0),R", NULL},
                                                 {"S(0),S(0)", "S(0),S(0)", "R,S(1)"}};

DTEST(MatmulNodes, OutOfMemoryIsEveryones) {
  if (dtest_comm() != MPI_COMM_NULL) return;
  int failures = 0;
  for (int which = 0; which < 4; which++)
    for (int after = 0; after < ALLOCATIONS; after++) {
      failure f = {failing_layouts[which][0],
                   failing_layouts[which][1],
                   failing_layouts[which][2],
                   after,
                   -1,
                   {0},
                   {0}};
      REQUIRE_OK(dtensor_sim_run_nodes(RANKS, 2, fail_on_rank_1, &f));
      failures += f.outcome[1] != DTENSOR_OK;
      for (int rank = 0; rank < RANKS; rank++) {
        EXPECT_EQ(f.outcome[rank], f.outcome[1]);
        EXPECT_EQ(f.wrong[rank], 0);
      }
    }
  EXPECT_GE(failures, 6);
}

/* Nobody waits for ever, and who is told of no failure has the product. */
DTEST(MatmulNodes, NobodyHangsWhenMessagesFail) {
  if (dtest_comm() != MPI_COMM_NULL) return;
  int failures = 0, told = 0;
  for (int which = 0; which < 4; which++)
    for (int after = 0; after < MESSAGES; after++) {
      failure f = {failing_layouts[which][0],
                   failing_layouts[which][1],
                   failing_layouts[which][2],
                   -1,
                   after,
                   {0},
                   {0}};
      REQUIRE_OK(dtensor_sim_run_nodes(RANKS, 2, fail_on_rank_1, &f));
      failures += f.outcome[1] != DTENSOR_OK;
      told += f.outcome[0] != DTENSOR_OK; /* reads what rank 1 was to bring */
      for (int rank = 0; rank < RANKS; rank++) EXPECT_EQ(f.wrong[rank], 0);
    }
  EXPECT_GE(failures, 10);
  EXPECT_GE(told, 10);
}
