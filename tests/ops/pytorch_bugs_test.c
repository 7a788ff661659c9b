/* What PyTorch 2.6's DTensor gets wrong; each test is named after the fault. */
#include <math.h>
#include <string.h>

#include "dtensor/dtensor.h"
#include "tests/harness/dtest.h"

enum { ROWS = 7, COLUMNS = 5 };

static dtensor_mesh *line_of(dtensor_sim *sim) {
  dtensor_mesh *mesh = NULL;
  EXPECT_OK(dtensor_sim_init_device_mesh(sim, 1, (int64_t[]){-1}, NULL, &mesh));
  return mesh;
}

/* A matrix of i - 10 (i is the row-major index), of which each rank holds a different part. */
static dtensor *partial_matrix(dtensor_mesh *mesh, const dtensor_placement p[]) {
  double part[ROWS * COLUMNS];
  const int64_t ranks = dtensor_mesh_size(mesh, -1), rank = dtensor_mesh_coordinate(mesh, -1);
  for (int i = 0; i < ROWS * COLUMNS; i++)
    part[i] = rank < ranks - 1 ? 3 : i - 10 - 3 * (double)(ranks - 1);
  const dtensor_local local = {.data = part, .ndim = 2, .shape = {ROWS, COLUMNS}};
  dtensor *x = NULL;
  EXPECT_OK(dtensor_from_local(mesh, DTENSOR_F64, &local, p, NULL, &x));
  return x;
}

static dtensor *matrix(dtensor_mesh *mesh, const dtensor_placement p[]) {
  double global[ROWS * COLUMNS];
  for (int i = 0; i < ROWS * COLUMNS; i++) global[i] = i - 10;
  dtensor *x = NULL;
  EXPECT_OK(dtensor_distribute_tensor(mesh, DTENSOR_F64, 2, (int64_t[]){ROWS, COLUMNS}, global, -1,
                                      p, &x));
  return x;
}

/* Every element must be f(i - 10). */
static void expect_elements(const dtensor *x, double (*f)(double)) {
  double full[ROWS * COLUMNS];
  REQUIRE_OK(dtensor_full_tensor(x, full));
  for (int i = 0; i < ROWS * COLUMNS; i++) EXPECT_EQ(full[i], f(i - 10));
}

static double item(dtensor **x) {
  double value = NAN;
  EXPECT_OK(dtensor_item(*x, &value));
  dtensor_destroy(x);
  return value;
}

static double same(double x) { return x; }
static double twice(double x) { return 2 * x; }
static double tenfold(double x) { return 10 * x; }
static double plus_half(double x) { return x + 0.5; }
static double positive(double x) { return x > 0 ? x : 0; }

DTEST_SIM(PyTorchBug1, ScalarsAreNotTakenFromACachedPlan, 1, 2, 3) {
  dtensor_mesh *mesh = line_of(sim);
  dtensor *x = partial_matrix(mesh, (dtensor_placement[]){dtensor_partial(DTENSOR_SUM)}), *y = NULL;
  REQUIRE_OK(dtensor_scale(x, dtensor_real(2), &y));
  expect_elements(y, twice);
  dtensor_destroy(&y);
  REQUIRE_OK(dtensor_scale(x, dtensor_real(10), &y));
  expect_elements(y, tenfold);
  dtensor_destroy(&y);
  dtensor_destroy(&x);
  dtensor_mesh_destroy(&mesh);
}

DTEST_SIM(PyTorchBug2, PartialToUnevenShardsOverTwoMeshDimensions, 4, 6) {
  dtensor_mesh *mesh = NULL;
  REQUIRE_OK(dtensor_sim_init_device_mesh(sim, 2, (int64_t[]){2, -1}, NULL, &mesh));
  const dtensor_placement sum = dtensor_partial(DTENSOR_SUM), columns = dtensor_shard(1);
  dtensor *x = partial_matrix(mesh, (dtensor_placement[]){sum, sum}), *y = NULL, *z = NULL;
  REQUIRE_OK(dtensor_redistribute(x, (dtensor_placement[]){columns, columns}, NULL, &y));
  expect_elements(y, same);
  REQUIRE_OK(dtensor_relu(x, &z));
  expect_elements(z, positive);
  dtensor_destroy(&z);
  dtensor_destroy(&y);
  dtensor_destroy(&x);
  dtensor_mesh_destroy(&mesh);
}

DTEST_SIM(PyTorchBug3, AScalarIsAddedOnceToAPartial, 1, 2, 3) {
  dtensor_mesh *mesh = line_of(sim);
  const dtensor_placement sum = dtensor_partial(DTENSOR_SUM);
  dtensor *x = partial_matrix(mesh, &sum), *y = NULL;
  REQUIRE_OK(dtensor_add_scalar(x, dtensor_real(0.5), &y));
  EXPECT_TRUE(dtensor_placement_equal(dtensor_placement_of(y, 0), sum));
  expect_elements(y, plus_half);
  dtensor_destroy(&y);
  dtensor_destroy(&x);
  dtensor_mesh_destroy(&mesh);
}

/* A coordinate without the value holds an infinity, to which the opposite one must not be added. */
DTEST_SIM(PyTorchBug3, AnInfiniteScalarIsAddedToTheMaximum, 2, 3) {
  dtensor_mesh *mesh = line_of(sim);
  const dtensor_placement largest = dtensor_partial(DTENSOR_MAX);
  const dtensor_scalar infinite[] = {dtensor_real(INFINITY), dtensor_complex(INFINITY, 0)};
  for (int i = 0; i < 2; i++) {
    dtensor *x = NULL, *y = NULL;
    REQUIRE_OK(dtensor_ones(mesh, DTENSOR_F64, 0, NULL, &largest, &x));
    REQUIRE_OK(dtensor_add_scalar(x, infinite[i], &y));
    EXPECT_EQ(item(&y), INFINITY);
    dtensor_destroy(&x);
  }
  dtensor_mesh_destroy(&mesh);
}

DTEST_SIM(PyTorchBug3, NonLinearFunctionsReduceAPartialFirst, 2, 3) {
  dtensor_mesh *mesh = line_of(sim);
  dtensor *x = partial_matrix(mesh, (dtensor_placement[]){dtensor_partial(DTENSOR_SUM)}), *y = NULL;
  REQUIRE_OK(dtensor_relu(x, &y));
  expect_elements(y, positive);
  dtensor_destroy(&y);
  REQUIRE_OK(dtensor_max(x, 0, NULL, 0, &y));
  EXPECT_EQ(item(&y), 24);
  REQUIRE_OK(dtensor_min(x, 0, NULL, 0, &y));
  EXPECT_EQ(item(&y), -10);
  REQUIRE_OK(dtensor_norm(x, 0, NULL, 0, &y));
  EXPECT_NEAR(item(&y), sqrt(5285), 1e-12 * 73); /* 1 + ... + 10^2, 1 + ... + 24^2 */
  dtensor_destroy(&x);
  dtensor_mesh_destroy(&mesh);
}

DTEST_SIM(PyTorchBug4, MeanOverUnevenAndEmptyShards, 2, 3, 4, 6, 9) {
  dtensor_mesh *mesh = line_of(sim);
  for (int dim = 0; dim < 2; dim++) {
    dtensor *x = matrix(mesh, (dtensor_placement[]){dtensor_shard(dim)}), *y = NULL;
    REQUIRE_OK(dtensor_mean(x, 0, NULL, 0, &y));
    EXPECT_NEAR(item(&y), 7, 1e-12);
    double full[ROWS];
    REQUIRE_OK(dtensor_mean(x, 1, (const int[]){1}, 0, &y));
    REQUIRE_OK(dtensor_full_tensor(y, full));
    for (int i = 0; i < ROWS; i++) EXPECT_NEAR(full[i], 5 * i - 8, 1e-12);
    dtensor_destroy(&y);
    dtensor_destroy(&x);
  }
  dtensor_mesh_destroy(&mesh);
}

DTEST_SIM(PyTorchBug5, TheItemOfAPartialIsTheReducedValue, 1, 2, 3) {
  dtensor_mesh *mesh = line_of(sim);
  double part = 1 + dtest_rank();
  const dtensor_local local = {.data = &part};
  const double p = dtest_size(), sum = p * (p + 1) / 2;
  const struct {
    dtensor_reduce_op op;
    double value;
  } cases[] = {{DTENSOR_SUM, sum}, {DTENSOR_AVG, sum / p}, {DTENSOR_MAX, p}, {DTENSOR_MIN, 1}};
  for (int i = 0; i < 4; i++) {
    dtensor *x = NULL;
    REQUIRE_OK(dtensor_from_local(mesh, DTENSOR_F64, &local,
                                  (dtensor_placement[]){dtensor_partial(cases[i].op)}, NULL, &x));
    EXPECT_EQ(item(&x), cases[i].value);
  }
  dtensor_mesh_destroy(&mesh);
}

DTEST_SIM(PyTorchBug6, AMeshOfPermutedRanksKeepsTheData, 4) {
  dtensor_mesh *mesh = NULL;
  REQUIRE_OK(
      dtensor_sim_mesh_from_ranks(sim, 1, (int64_t[]){4}, (const int[]){2, 0, 3, 1}, NULL, &mesh));
  dtensor *x = matrix(mesh, (dtensor_placement[]){dtensor_shard(0)}), *y = NULL, *z = NULL;
  dtensor *p = partial_matrix(mesh, (dtensor_placement[]){dtensor_partial(DTENSOR_SUM)});
  REQUIRE_OK(dtensor_add(x, p, &y));
  expect_elements(y, twice);
  REQUIRE_OK(dtensor_transpose(x, 0, 1, &z));
  dtensor_destroy(&y);
  REQUIRE_OK(dtensor_matmul(z, p, &y));
  double full[COLUMNS * COLUMNS], first = 0;
  REQUIRE_OK(dtensor_full_tensor(y, full));
  for (int i = 0; i < ROWS; i++) first += (COLUMNS * i - 10) * (COLUMNS * i - 10);
  EXPECT_EQ(full[0], first);
  dtensor_destroy(&p);
  dtensor_destroy(&z);
  dtensor_destroy(&y);
  dtensor_destroy(&x);
  dtensor_mesh_destroy(&mesh);
}

DTEST_SIM(PyTorchBug6, AMeshOfTheWrongSizeAndTooFewPlacementsAreErrors, 4) {
  dtensor_mesh *mesh = NULL;
  dtensor_placement p[2];
  EXPECT_STATUS(DTENSOR_EINVAL, dtensor_sim_init_device_mesh(sim, 1, (int64_t[]){3}, NULL, &mesh));
  EXPECT_NULL(mesh);
  EXPECT_STATUS(DTENSOR_EINVAL, dtensor_placements_parse("S(0)", 2, p));
}

DTEST_SIM(PyTorchBug7, PartialPlusReplicateIsExact, 2, 3) {
  dtensor_mesh *mesh = line_of(sim);
  const dtensor_placement sum = dtensor_partial(DTENSOR_SUM), replicate = dtensor_replicate();
  dtensor *p = NULL, *r = NULL, *y = NULL;
  const int64_t part = 1;
  const dtensor_local local = {.data = (void *)(uintptr_t)&part};
  REQUIRE_OK(dtensor_from_local(mesh, DTENSOR_I64, &local, &sum, NULL, &p));
  REQUIRE_OK(dtensor_full(mesh, DTENSOR_I64, 0, NULL, dtensor_int(1000001), &replicate, &r));
  dtensor_comm_counts counts;
  dtensor_comm_stats_reset();
  REQUIRE_OK(dtensor_add(p, r, &y));
  dtensor_comm_stats(&counts);
  EXPECT_EQ(counts.bytes_received, 0);
  EXPECT_TRUE(dtensor_placement_equal(dtensor_placement_of(y, 0), sum));
  int64_t value = 0;
  REQUIRE_OK(dtensor_item(y, &value));
  EXPECT_EQ(value, 1000001 + dtest_size());
  dtensor_destroy(&y);
  dtensor_destroy(&r);
  dtensor_destroy(&p);
  dtensor_mesh_destroy(&mesh);
}

DTEST_SIM(PyTorchBug8, UnevenViewsWorkOnAllRanks, 2, 3, 4, 9) {
  dtensor_mesh *mesh = line_of(sim);
  for (int dim = 0; dim < 2; dim++) {
    dtensor *x = matrix(mesh, (dtensor_placement[]){dtensor_shard(dim)}), *y = NULL, *z = NULL;
    REQUIRE_OK(dtensor_permute(x, (const int[]){1, 0}, &y));
    EXPECT_EQ(dtensor_placement_of(y, 0).dim, 1 - dim);
    REQUIRE_OK(dtensor_transpose(y, 0, -1, &z));
    expect_elements(z, same);
    EXPECT_TRUE(dtensor_local_data(z) == dtensor_local_data(x));
    dtensor_destroy(&z);
    dtensor_destroy(&y);
    dtensor_destroy(&x);
  }
  dtensor_mesh_destroy(&mesh);
}
