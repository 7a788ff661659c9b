/* A few operators on uneven shapes under MPI, against values known in closed form. */
#include <math.h>
#include <stdlib.h>

#include "dtensor/dtensor.h"
#include "tests/harness/dtest.h"

enum { N = 13, K = 7, M = 5 };

/* A mesh of all ranks: one dimension, or two where the number of ranks is even. */
static dtensor_mesh *mesh_of(int ndim) {
  dtensor_mesh *mesh = NULL;
  const int64_t line[] = {-1}, grid[] = {2, -1};
  EXPECT_OK(dtensor_init_device_mesh(dtest_comm(), ndim, ndim == 1 ? line : grid, NULL, &mesh));
  return mesh;
}

/* i + 2 j + 1 at row i, column j */
static dtensor *matrix(dtensor_mesh *mesh, int64_t rows, int64_t columns, const char *placements) {
  dtensor_placement p[DTENSOR_MAX_NDIM];
  double global[N * N];
  for (int64_t i = 0; i < rows * columns; i++)
    global[i] = (double)(i / columns + 2 * (i % columns) + 1);
  dtensor *x = NULL;
  EXPECT_OK(dtensor_placements_parse(placements, dtensor_mesh_ndim(mesh), p));
  EXPECT_OK(dtensor_distribute_tensor(mesh, DTENSOR_F64, 2, (int64_t[]){rows, columns}, global, 0,
                                      p, &x));
  return x;
}

static double product(int i, int j) {
  double sum = 0;
  for (int k = 0; k < K; k++) sum += (i + 2 * k + 1) * (k + 2 * j + 1);
  return sum;
}

static void check_products(int ndim, const char *const layouts[], int n) {
  dtensor_mesh *mesh = mesh_of(ndim);
  REQUIRE_NOT_NULL(mesh);
  for (int i = 0; i < n * n; i++) {
    dtensor *a = matrix(mesh, N, K, layouts[i / n]), *b = matrix(mesh, K, M, layouts[i % n]);
    dtensor *c = NULL;
    double full[N * M];
    REQUIRE_OK(dtensor_matmul(a, b, &c));
    REQUIRE_OK(dtensor_full_tensor(c, full));
    for (int e = 0; e < N * M; e++) EXPECT_EQ(full[e], product(e / M, e % M));
    dtensor_destroy(&c);
    dtensor_destroy(&b);
    dtensor_destroy(&a);
  }
  dtensor_mesh_destroy(&mesh);
}

DTEST(OpsMpi, MatmulOnALine) {
  static const char *const layouts[] = {"R", "S(0)", "S(1)", "P", "SB(0)", "SC(1,2)"};
  check_products(1, layouts, 6);
}

DTEST(OpsMpi, MatmulOnAGrid) {
  static const char *const layouts[] = {"R,S(0)", "S(0),S(1)", "S(1),S(1)", "P,S(0)", "S(1),P"};
  if (dtest_size() % 2 == 0) check_products(2, layouts, 5);
}

DTEST(OpsMpi, Reductions) {
  static const char *const layouts[] = {"R", "S(0)", "S(1)", "P", "SC(0,1)", "SS(0,2)"};
  dtensor_mesh *mesh = mesh_of(1);
  double sum = 0, squares = 0;
  for (int i = 0; i < N * M; i++) {
    const double value = i / M + 2 * (i % M) + 1;
    sum += value;
    squares += value * value;
  }
  for (int i = 0; i < 6; i++) {
    dtensor *x = matrix(mesh, N, M, layouts[i]), *y = NULL;
    double value = 0, columns[M];
    REQUIRE_OK(dtensor_sum(x, 0, NULL, 0, &y));
    REQUIRE_OK(dtensor_item(y, &value));
    EXPECT_EQ(value, sum);
    dtensor_destroy(&y);
    REQUIRE_OK(dtensor_norm(x, 0, NULL, 1, &y));
    REQUIRE_OK(dtensor_item(y, &value));
    EXPECT_NEAR(value, sqrt(squares), 1e-12 * value);
    dtensor_destroy(&y);
    REQUIRE_OK(dtensor_max(x, 1, (const int[]){0}, 0, &y));
    REQUIRE_OK(dtensor_full_tensor(y, columns));
    for (int j = 0; j < M; j++) EXPECT_EQ(columns[j], N + 2 * j);
    dtensor_destroy(&y);
    REQUIRE_OK(dtensor_trace(x, &y));
    REQUIRE_OK(dtensor_item(y, &value));
    EXPECT_EQ(value, 35); /* 1 + 4 + 7 + 10 + 13 */
    dtensor_destroy(&y);
    dtensor_destroy(&x);
  }
  dtensor_mesh_destroy(&mesh);
}

DTEST(OpsMpi, ElementwiseOverDifferentLayouts) {
  static const char *const layouts[] = {"R", "S(0)", "S(1)", "P", "SB(1)", "SC(0,3)"};
  dtensor_mesh *mesh = mesh_of(1);
  for (int i = 0; i < 36; i++) {
    dtensor *a = matrix(mesh, N, M, layouts[i / 6]), *b = matrix(mesh, N, M, layouts[i % 6]);
    dtensor *c = NULL, *d = NULL, *e = NULL;
    int close = 0;
    REQUIRE_OK(dtensor_mul(a, b, &c));
    REQUIRE_OK(dtensor_axpy(dtensor_real(-1), c, c, &d)); /* 0 */
    REQUIRE_OK(dtensor_add(a, d, &e));
    REQUIRE_OK(dtensor_allclose(e, b, 0, 0, &close));
    EXPECT_EQ(close, 1);
    REQUIRE_OK(dtensor_equal(c, b, &close));
    EXPECT_EQ(close, 0);
    dtensor_destroy(&e);
    dtensor_destroy(&d);
    dtensor_destroy(&c);
    dtensor_destroy(&b);
    dtensor_destroy(&a);
  }
  dtensor_mesh_destroy(&mesh);
}
