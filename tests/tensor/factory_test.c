/* Factories: every dtype, every kind of placement, sizes of zero and no dimensions. */
#include <complex.h>
#include <dtensor/redistribute.h>
#include <stdlib.h>
#include <string.h>

#include "dtensor/base/dtype.h"
#include "tests/harness/world.h"

static const char *const placements[] = {"R",       "S0",     "S1",     "SB(0)",      "SC(0,2)",
                                         "SS(1,2)", "P(sum)", "P(max)", "P(product)", "P(avg)"};
static const int64_t shapes[][2] = {{7, 5}, {2, 40}, {0, 3}, {4, 0}, {1, 1}};

/* One element as a number; of a complex one the real part, the imaginary part must be zero. */
static double number(dtensor_dtype dtype, const void *data, int64_t i) {
  switch (dtype) {
    case DTENSOR_F32:
      return ((const float *)data)[i];
    case DTENSOR_F64:
      return ((const double *)data)[i];
    case DTENSOR_C64:
      EXPECT_EQ(cimagf(((const float complex *)data)[i]), 0);
      return crealf(((const float complex *)data)[i]);
    case DTENSOR_C128:
      EXPECT_EQ(cimag(((const double complex *)data)[i]), 0);
      return creal(((const double complex *)data)[i]);
    case DTENSOR_I32:
      return ((const int32_t *)data)[i];
    case DTENSOR_I64:
      return (double)((const int64_t *)data)[i];
    case DTENSOR_U8:
    case DTENSOR_BOOL:
      return ((const uint8_t *)data)[i];
    case DTENSOR_BF16:
      return dti_bf16_to_float(((const uint16_t *)data)[i]);
    case DTENSOR_F16:
      return dti_f16_to_float(((const uint16_t *)data)[i]);
  }
  return -1;
}

typedef enum factory { ZEROS, ONES, FULL, ARANGE, LINSPACE, EYE, FACTORIES } factory;

static dtensor_status make(factory f, dtensor_mesh *mesh, dtensor_dtype dtype, int ndim,
                           const int64_t shape[], const dtensor_placement p[], dtensor **x) {
  switch (f) {
    case ZEROS:
      return dtensor_zeros(mesh, dtype, ndim, shape, p, x);
    case ONES:
      return dtensor_ones(mesh, dtype, ndim, shape, p, x);
    case FULL:
      return dtensor_full(mesh, dtype, ndim, shape, dtensor_int(dtype != DTENSOR_BOOL ? 7 : 1), p,
                          x);
    case ARANGE:
      return dtensor_arange(mesh, dtype, ndim, shape, p, x);
    case LINSPACE:
      return dtensor_linspace(mesh, dtype, ndim, shape, dtensor_real(2), dtensor_real(-1), p, x);
    default:
      return dtensor_eye(mesh, dtype, ndim, shape, p, x);
  }
}

static double expected(factory f, dtensor_dtype dtype, const int64_t shape[], int64_t n,
                       int64_t i) {
  switch (f) {
    case ZEROS:
      return 0;
    case ONES:
      return 1;
    case FULL:
      return dtype != DTENSOR_BOOL ? 7 : 1;
    case ARANGE:
      return (double)i;
    case LINSPACE:
      return n == 1 ? 2 : 2 - 3 * (double)i / (double)(n - 1);
    default:
      return i / shape[1] == i % shape[1];
  }
}

/* Which factories exist for a dtype. */
static bool exists(factory f, dtensor_dtype dtype) {
  const bool real = dtype == DTENSOR_F32 || dtype == DTENSOR_F64;
  const bool complex_ = dtype == DTENSOR_C64 || dtype == DTENSOR_C128;
  if (f == LINSPACE) return real || complex_;
  return f != ARANGE || dtype != DTENSOR_BOOL;
}

static void check(factory f, dtensor_mesh *mesh, dtensor_dtype dtype, int ndim,
                  const int64_t shape[], const char *text) {
  dtensor_placement p[1];
  dtensor *x = (dtensor *)&x;
  EXPECT_OK(dtensor_placements_parse(text, 1, p));
  const dtensor_status status = make(f, mesh, dtype, ndim, shape, p, &x);
  const bool reduces = p[0].kind != DTENSOR_PARTIAL || dti_dtype_reduces(dtype, p[0].op);
  if (!exists(f, dtype) || !reduces) {
    EXPECT_STATUS(DTENSOR_EDTYPE, status);
    EXPECT_NULL(x);
    return;
  }
  if (!EXPECT_OK(status)) return;
  const int64_t n = dtensor_size(x, -1);
  char *all = malloc(((size_t)n + 1) * dtensor_dtype_size(dtype));
  EXPECT_OK(dtensor_full_tensor(x, all));
  for (int64_t i = 0; i < n; i++) {
    const double want = expected(f, dtype, shape, n, i);
    if (EXPECT_NEAR(number(dtype, all, i), want, f == LINSPACE ? 1e-6 : 0)) continue;
    dtest_fail(__FILE__, __LINE__, "factory %d of %s, %s", (int)f, dtensor_dtype_name(dtype), text);
    break;
  }
  free(all);
  dtensor_destroy(&x);
}

DTEST_WORLD(Factory, EveryDtypeAndPlacement, 1, 3, 4, 6) {
  dtensor_mesh *mesh = NULL;
  REQUIRE_OK(world_line(world, &mesh));
  for (int dtype = DTENSOR_F32; dtype <= DTENSOR_F16; dtype++)
    for (int f = 0; f < FACTORIES; f++)
      for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++)
        for (size_t i = 0; i < sizeof placements / sizeof *placements; i++)
          check((factory)f, mesh, (dtensor_dtype)dtype, 2, shapes[s], placements[i]);
  dtensor_mesh_destroy(&mesh);
}

DTEST_WORLD(Factory, NoDimensions, 1, 3) {
  dtensor_mesh *mesh = NULL;
  REQUIRE_OK(world_line(world, &mesh));
  for (int f = 0; f < EYE; f++) {
    check((factory)f, mesh, DTENSOR_F64, 0, NULL, "R");
    check((factory)f, mesh, DTENSOR_F64, 0, NULL, "P(sum)");
    check((factory)f, mesh, DTENSOR_F64, 0, NULL, "P(avg)");
  }
  dtensor_mesh_destroy(&mesh);
}

/* Enough elements for several threads and for runs that are cut. */
DTEST_WORLD(Factory, LongRows, 2, 6) {
  dtensor_mesh *mesh = NULL;
  REQUIRE_OK(world_line(world, &mesh));
  check(ARANGE, mesh, DTENSOR_I64, 2, (int64_t[]){3, 30000}, "S1");
  check(ARANGE, mesh, DTENSOR_F64, 2, (int64_t[]){300, 130}, "SC(1,3)");
  check(EYE, mesh, DTENSOR_U8, 2, (int64_t[]){40, 20000}, "S0");
  /* The sum of the copies is no f16: it must be made in float. */
  check(ARANGE, mesh, DTENSOR_F16, 2, (int64_t[]){40, 40}, "P(avg)");
  dtensor_mesh_destroy(&mesh);
}

DTEST_WORLD(Factory, SeveralMeshDimensions, 1, 4, 6) {
  dtensor_mesh *mesh = NULL;
  REQUIRE_OK(world_grid(world, &mesh));
  static const char *const pairs[] = {"S0,S0", "S1,S0",    "R,SC(1,2)",
                                      "P,S1",  "P(avg),P", "P(min),R"};
  for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
    dtensor_placement p[2];
    dtensor *x = NULL;
    double all[35];
    EXPECT_OK(dtensor_placements_parse(pairs[i], 2, p));
    REQUIRE_OK(dtensor_arange(mesh, DTENSOR_F64, 2, shapes[0], p, &x));
    EXPECT_OK(dtensor_full_tensor(x, all));
    for (int k = 0; k < 35; k++) EXPECT_EQ(all[k], (double)k);
    dtensor_destroy(&x);
  }
  dtensor_mesh_destroy(&mesh);
}

/* The last element is the end exactly, and a complex line may leave the real axis. */
DTEST_WORLD(Factory, Linspace, 1, 3) {
  dtensor_mesh *mesh = NULL;
  dtensor *x = NULL;
  const dtensor_placement rows[] = {dtensor_shard(0)};
  REQUIRE_OK(world_line(world, &mesh));
  double all[11];
  REQUIRE_OK(dtensor_linspace(mesh, DTENSOR_F64, 1, (int64_t[]){11}, dtensor_real(0),
                              dtensor_real(0.1), rows, &x));
  EXPECT_OK(dtensor_full_tensor(x, all));
  EXPECT_EQ(all[0], 0.0);
  EXPECT_EQ(all[10], 0.1);
  dtensor_destroy(&x);
  double complex line[3];
  REQUIRE_OK(dtensor_linspace(mesh, DTENSOR_C128, 1, (int64_t[]){3}, dtensor_complex(0, 2),
                              dtensor_real(4), rows, &x));
  EXPECT_OK(dtensor_full_tensor(x, line));
  EXPECT_EQ(creal(line[1]), 2.0);
  EXPECT_EQ(cimag(line[1]), 1.0);
  dtensor_destroy(&x);
  EXPECT_STATUS(DTENSOR_EDTYPE, dtensor_linspace(mesh, DTENSOR_F64, 1, (int64_t[]){3},
                                                 dtensor_complex(0, 2), dtensor_real(4), rows, &x));
  EXPECT_NULL(x);
  EXPECT_STATUS(DTENSOR_EDTYPE, dtensor_linspace(mesh, DTENSOR_F32, 1, (int64_t[]){3},
                                                 dtensor_real(0), dtensor_real(1e300), rows, &x));
  dtensor_mesh_destroy(&mesh);
}

DTEST_WORLD(Factory, BadArguments, 1, 3) {
  dtensor_mesh *mesh = NULL;
  dtensor *x = (dtensor *)&x;
  REQUIRE_OK(world_line(world, &mesh));
  const dtensor_placement rows[] = {dtensor_shard(0)}, deep[] = {dtensor_shard(2)},
                          no_block[] = {dtensor_shard_cyclic(0, 0)};
  const int64_t shape[] = {4, 3}, negative[] = {4, -1}, huge[] = {INT64_MAX, 2};
  EXPECT_STATUS(DTENSOR_EINVAL, dtensor_empty(mesh, DTENSOR_F64, 2, negative, rows, &x));
  EXPECT_NULL(x);
  EXPECT_STATUS(DTENSOR_EINVAL, dtensor_empty(mesh, DTENSOR_F64, 2, huge, rows, &x));
  EXPECT_STATUS(DTENSOR_EINVAL, dtensor_empty(mesh, DTENSOR_F64, 9, shape, rows, &x));
  EXPECT_STATUS(DTENSOR_EINVAL, dtensor_empty(mesh, DTENSOR_F64, -1, shape, rows, &x));
  EXPECT_STATUS(DTENSOR_EINVAL, dtensor_empty(mesh, DTENSOR_F64, 1, NULL, rows, &x));
  EXPECT_STATUS(DTENSOR_EINVAL, dtensor_empty(mesh, DTENSOR_F64, 2, shape, NULL, &x));
  EXPECT_STATUS(DTENSOR_EINVAL, dtensor_empty(NULL, DTENSOR_F64, 2, shape, rows, &x));
  EXPECT_STATUS(DTENSOR_EINVAL, dtensor_empty(mesh, DTENSOR_F64, 2, shape, rows, NULL));
  EXPECT_STATUS(DTENSOR_EDTYPE, dtensor_empty(mesh, (dtensor_dtype)0, 2, shape, rows, &x));
  EXPECT_STATUS(DTENSOR_EPLACEMENT, dtensor_empty(mesh, DTENSOR_F64, 2, shape, deep, &x));
  EXPECT_STATUS(DTENSOR_EPLACEMENT, dtensor_empty(mesh, DTENSOR_F64, 2, shape, no_block, &x));
  EXPECT_STATUS(DTENSOR_EPLACEMENT, dtensor_empty(mesh, DTENSOR_F64, 0, NULL, rows, &x));
  EXPECT_STATUS(DTENSOR_EINVAL, dtensor_eye(mesh, DTENSOR_F64, 1, shape, rows, &x));
  EXPECT_STATUS(DTENSOR_EDTYPE,
                dtensor_full(mesh, DTENSOR_I32, 2, shape, dtensor_real(0.5), rows, &x));
  EXPECT_STATUS(DTENSOR_EDTYPE,
                dtensor_full(mesh, DTENSOR_U8, 2, shape, dtensor_int(256), rows, &x));
  EXPECT_STATUS(DTENSOR_EDTYPE,
                dtensor_full(mesh, DTENSOR_F64, 2, shape, dtensor_complex(1, 1), rows, &x));
  EXPECT_NULL(x);
  /* More than there is memory for, but not more than can be counted. */
  const int64_t large[] = {INT64_C(1) << 59, 4};
  EXPECT_STATUS(DTENSOR_ENOMEM, dtensor_empty(mesh, DTENSOR_F64, 2, large,
                                              (dtensor_placement[]){dtensor_replicate()}, &x));
  EXPECT_NULL(x);
  dtensor_mesh_destroy(&mesh);
}
