/* What the planner chooses, seen from the layout of the result and the bytes that moved. */
#include <stdlib.h>

#include "dtensor/dtensor.h"
#include "dtensor/spec/move_cost.h"
#include "tests/harness/dtest.h"

static dtensor *zeros(dtensor_mesh *mesh, int64_t rows, int64_t columns, const char *placements) {
  dtensor_placement p[DTENSOR_MAX_NDIM];
  dtensor *x = NULL;
  EXPECT_OK(dtensor_placements_parse(placements, dtensor_mesh_ndim(mesh), p));
  EXPECT_OK(dtensor_zeros(mesh, DTENSOR_F64, 2, (int64_t[]){rows, columns}, p, &x));
  return x;
}

static dtensor_mesh *mesh_of(dtensor_sim *sim, int ndim, const int64_t shape[]) {
  dtensor_mesh *mesh = NULL;
  EXPECT_OK(dtensor_sim_init_device_mesh(sim, ndim, shape, NULL, &mesh));
  return mesh;
}

typedef dtensor_status (*binary_op)(const dtensor *, const dtensor *, dtensor **);

/* f of two tensors must lie as `want`, for so many bytes received by this rank. */
static void expect_plan(binary_op f, const dtensor *a, const dtensor *b, const char *want,
                        int64_t bytes) {
  dtensor *c = NULL;
  dtensor_comm_counts counts;
  char text[64];
  dtensor_comm_stats_reset();
  REQUIRE_OK(f(a, b, &c));
  dtensor_comm_stats(&counts);
  EXPECT_OK(dtensor_placements_of(c, text, sizeof text));
  EXPECT_STREQ(text, want);
  EXPECT_EQ(counts.bytes_received, bytes);
  dtensor_destroy(&c);
}

static void expect_plan_of(dtensor_mesh *mesh, binary_op f, const int64_t n[3], const char *a,
                           const char *b, const char *want, int64_t bytes) {
  dtensor *x = zeros(mesh, n[0], n[1], a);
  dtensor *y = f == dtensor_matmul ? zeros(mesh, n[1], n[2], b) : zeros(mesh, n[0], n[1], b);
  expect_plan(f, x, y, want, bytes);
  dtensor_destroy(&y);
  dtensor_destroy(&x);
}

DTEST_SIM(Plan, MatmulMovesTheSmallerOperand, 4) {
  dtensor_mesh *mesh = mesh_of(sim, 1, (int64_t[]){4});
  const int64_t tall[] = {64, 8, 8}, wide[] = {8, 8, 64}, deep[] = {8, 64, 8};
  /* tall a: gather b (3/4 of 8 x 8); wide b: gather a; deep: move b's columns to rows, sum later */
  expect_plan_of(mesh, dtensor_matmul, tall, "S(0)", "S(0)", "S(0)", 48 * 8);
  expect_plan_of(mesh, dtensor_matmul, wide, "S(1)", "S(1)", "S(1)", 48 * 8);
  expect_plan_of(mesh, dtensor_matmul, deep, "S(1)", "R", "P(sum)", 0);
  expect_plan_of(mesh, dtensor_matmul, deep, "S(1)", "S(0)", "P(sum)", 0);
  dtensor_mesh_destroy(&mesh);
}

DTEST_SIM(Plan, MatmulSplitsDifferentlyOverAGrid, 4) {
  dtensor_mesh *mesh = mesh_of(sim, 2, (int64_t[]){2, 2});
  const int64_t square[] = {16, 16, 16};
  /* SUMMA's layouts: each rank gathers the other half of its row of a and of its column of b */
  expect_plan_of(mesh, dtensor_matmul, square, "S(0),S(1)", "S(0),S(1)", "S(0),S(1)", 2 * 64 * 8);
  expect_plan_of(mesh, dtensor_matmul, square, "S(0),R", "R,S(1)", "S(0),S(1)", 0);
  dtensor_mesh_destroy(&mesh);
}

DTEST_SIM(Plan, OneOperandFollowsTheOtherOnAllMeshDimensions, 4) {
  dtensor_mesh *mesh = mesh_of(sim, 2, (int64_t[]){2, 2});
  const int64_t n[] = {8, 12, 0};
  /* b has half of the columns of all rows: of its quarter, a rank misses half */
  expect_plan_of(mesh, dtensor_add, n, "S(0),S(0)", "S(1),R", "S(0),S(0)", 12 * 8);
  expect_plan_of(mesh, dtensor_add, n, "S(0),S(1)", "R,R", "S(0),S(1)", 0);
  expect_plan_of(mesh, dtensor_add, n, "P(sum),S(1)", "R,S(1)", "P(sum),S(1)", 0);
  dtensor_mesh_destroy(&mesh);
}

DTEST_SIM(Plan, AnyKindOfShardIsFollowed, 3) {
  dtensor_mesh *mesh = mesh_of(sim, 1, (int64_t[]){3});
  const int64_t n[] = {7, 5, 0};
  static const char *const kinds[] = {"SB(0)", "SC(0,2)", "SS(1,2)", "SB(1)"};
  for (int i = 0; i < 4; i++) {
    expect_plan_of(mesh, dtensor_mul, n, kinds[i], "R", kinds[i], 0);
    expect_plan_of(mesh, dtensor_mul, n, "R", kinds[i], kinds[i], 0);
  }
  const int64_t sizes[] = {0, 6, 1};
  const dtensor_placement p = dtensor_shard_sizes(0, sizes);
  dtensor *a = NULL, *b = zeros(mesh, 7, 5, "R"), *c = NULL;
  REQUIRE_OK(dtensor_zeros(mesh, DTENSOR_F64, 2, n, &p, &a));
  REQUIRE_OK(dtensor_sub(b, a, &c));
  EXPECT_EQ(dtensor_placement_of(c, 0).kind, DTENSOR_SHARD_SIZES);
  EXPECT_EQ(dtensor_local_size(c, 0), sizes[dtest_rank()]);
  dtensor_destroy(&c);
  dtensor_destroy(&b);
  dtensor_destroy(&a);
  dtensor_mesh_destroy(&mesh);
}

/* Sizes made for the rows that mesh dimension 0 leaves fit no other number of rows. */
DTEST_SIM(Plan, NestedExplicitSizesBecomePlainShardsWhenTheyNoLongerFit, 4) {
  dtensor_mesh *mesh = mesh_of(sim, 2, (int64_t[]){2, 2});
  const int64_t sizes[] = {1, 3};
  const dtensor_placement p[] = {dtensor_shard(0), dtensor_shard_sizes(0, sizes)};
  dtensor *a = NULL, *b = zeros(mesh, 8, 4, "S(1),R"), *c = NULL;
  REQUIRE_OK(dtensor_ones(mesh, DTENSOR_F64, 2, (int64_t[]){8, 4}, p, &a));
  REQUIRE_OK(dtensor_add(a, b, &c));
  double full[32];
  REQUIRE_OK(dtensor_full_tensor(c, full));
  for (int i = 0; i < 32; i++) EXPECT_EQ(full[i], 1);
  dtensor_destroy(&c);
  dtensor_destroy(&b);
  dtensor_destroy(&a);
  dtensor_mesh_destroy(&mesh);
}

/* With eight mesh dimensions not all combinations are tried; the result must still be right. */
DTEST_SIM(Plan, EightMeshDimensions, 8) {
  dtensor_mesh *mesh = mesh_of(sim, 8, (int64_t[]){1, 2, 1, 2, 1, 2, 1, 1});
  dtensor *a = zeros(mesh, 8, 8, "S(1),S(0),P,S(1),S(1),S(0),S(1),P");
  dtensor *b = zeros(mesh, 8, 8, "S(1),S(1),S(1),P,S(1),S(1),R,P"), *c = NULL, *d = NULL;
  double full[64];
  REQUIRE_OK(dtensor_add_scalar(a, dtensor_real(1), &c));
  dtensor_destroy(&a);
  a = c;
  REQUIRE_OK(dtensor_add_scalar(b, dtensor_real(2), &d));
  dtensor_destroy(&b);
  b = d;
  c = d = NULL;
  REQUIRE_OK(dtensor_matmul(a, b, &c));
  REQUIRE_OK(dtensor_full_tensor(c, full));
  for (int i = 0; i < 64; i++) EXPECT_EQ(full[i], 16);
  REQUIRE_OK(dtensor_add(a, b, &d));
  REQUIRE_OK(dtensor_full_tensor(d, full));
  for (int i = 0; i < 64; i++) EXPECT_EQ(full[i], 3);
  dtensor_destroy(&d);
  dtensor_destroy(&c);
  dtensor_destroy(&b);
  dtensor_destroy(&a);
  dtensor_mesh_destroy(&mesh);
}

/* ---- the estimate: exact where shards divide evenly */

static double cost(const int64_t shape[2], const char *from, const char *to) {
  const int64_t mesh[] = {2, 4};
  dtensor_placement p[2], q[2];
  dti_layout a, b;
  EXPECT_OK(dtensor_placements_parse(from, 2, p));
  EXPECT_OK(dtensor_placements_parse(to, 2, q));
  EXPECT_OK(dti_layout_init(&a, 2, shape, 2, mesh, p));
  EXPECT_OK(dti_layout_with(&a, q, &b));
  return dti_move_cost(&a, &b, 1);
}

DTEST(MoveCost, IsWhatTheRanksMiss) {
  const int64_t n[] = {16, 8}; /* 128 bytes on 2 x 4 ranks */
  EXPECT_EQ(cost(n, "R,R", "S(0),S(1)"), 0);
  EXPECT_EQ(cost(n, "S(0),R", "R,R"), 8 * 64);
  EXPECT_EQ(cost(n, "S(0),S(1)", "R,R"), 8 * (128 - 16));
  EXPECT_EQ(cost(n, "S(0),S(1)", "S(0),R"), 8 * (64 - 16));
  EXPECT_EQ(cost(n, "S(0),R", "S(1),R"), 8 * 32);
  EXPECT_EQ(cost(n, "S(0),S(0)", "S(0),S(1)"), 8 * (16 - 4));
  EXPECT_EQ(cost(n, "S(0),S(0)", "R,S(0)"), 8 * (32 - 4));
  EXPECT_EQ(cost(n, "P,R", "S(0),R"), 8 * 64);
  EXPECT_EQ(cost(n, "P,R", "R,R"), 8 * 128);
  EXPECT_EQ(cost(n, "R,P", "R,S(0)"), 8 * 96);
  EXPECT_EQ(cost(n, "R,P", "R,R"), 8 * 2 * 96);
  EXPECT_EQ(cost(n, "R,S(0)", "P,S(0)"), 0);
}
