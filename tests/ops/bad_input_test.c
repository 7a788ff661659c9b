/* What operators refuse: the status, on all ranks alike, and the values in the message. */
#include "dtensor/dtensor.h"
#include "tests/harness/dtest.h"

static dtensor_mesh *line_of(dtensor_sim *sim) {
  dtensor_mesh *mesh = NULL;
  EXPECT_OK(dtensor_sim_init_device_mesh(sim, 1, (int64_t[]){-1}, NULL, &mesh));
  return mesh;
}

static dtensor *zeros(dtensor_mesh *mesh, dtensor_dtype dtype, int ndim, int64_t rows,
                      int64_t columns) {
  dtensor *x = NULL;
  const dtensor_placement p = ndim ? dtensor_shard(0) : dtensor_replicate();
  EXPECT_OK(dtensor_zeros(mesh, dtype, ndim, (int64_t[]){rows, columns}, &p, &x));
  return x;
}

#define EXPECT_REFUSED(code, out, call) \
  do {                                  \
    EXPECT_STATUS(code, call);          \
    EXPECT_NULL(out);                   \
  } while (0)

typedef dtensor_status (*binary_op)(const dtensor *, const dtensor *, dtensor **);
typedef dtensor_status (*unary_op)(const dtensor *, dtensor **);
typedef dtensor_status (*scalar_op)(const dtensor *, dtensor_scalar, dtensor **);
typedef dtensor_status (*reduction)(const dtensor *, int, const int[], int, dtensor **);

static const binary_op binaries[] = {dtensor_add,     dtensor_sub,    dtensor_mul,
                                     dtensor_div,     dtensor_pow,    dtensor_maximum,
                                     dtensor_minimum, dtensor_matmul, dtensor_dot};
static const unary_op unaries[] = {dtensor_neg,  dtensor_abs,  dtensor_exp,  dtensor_log,
                                   dtensor_sqrt, dtensor_tanh, dtensor_relu, dtensor_trace};
static const scalar_op scalars[] = {dtensor_scale, dtensor_add_scalar, dtensor_pow_scalar};
static const reduction reductions[] = {dtensor_sum, dtensor_mean, dtensor_min, dtensor_max,
                                       dtensor_norm};
#define EACH(i, table) for (size_t i = 0; i < sizeof(table) / sizeof *(table); i++)

DTEST_SIM(BadInput, Null, 1, 2) {
  dtensor_mesh *mesh = line_of(sim);
  dtensor *x = zeros(mesh, DTENSOR_F64, 2, 4, 4), *y = NULL;
  EACH(i, binaries) {
    EXPECT_REFUSED(DTENSOR_EINVAL, y, binaries[i](NULL, x, &y));
    EXPECT_REFUSED(DTENSOR_EINVAL, y, binaries[i](x, NULL, &y));
    EXPECT_STATUS(DTENSOR_EINVAL, binaries[i](x, x, NULL));
  }
  EACH(i, unaries) {
    EXPECT_REFUSED(DTENSOR_EINVAL, y, unaries[i](NULL, &y));
    EXPECT_STATUS(DTENSOR_EINVAL, unaries[i](x, NULL));
  }
  EACH(i, scalars) EXPECT_REFUSED(DTENSOR_EINVAL, y, scalars[i](NULL, dtensor_int(1), &y));
  EACH(i, reductions) {
    EXPECT_REFUSED(DTENSOR_EINVAL, y, reductions[i](NULL, 0, NULL, 0, &y));
    EXPECT_STATUS(DTENSOR_EINVAL, reductions[i](x, 0, NULL, 0, NULL));
  }
  EXPECT_REFUSED(DTENSOR_EINVAL, y, dtensor_axpy(dtensor_int(1), NULL, x, &y));
  EXPECT_REFUSED(DTENSOR_EINVAL, y, dtensor_transpose(NULL, 0, 1, &y));
  EXPECT_REFUSED(DTENSOR_EINVAL, y, dtensor_permute(NULL, NULL, &y));
  EXPECT_REFUSED(DTENSOR_EINVAL, y, dtensor_permute(x, NULL, &y));
  EXPECT_REFUSED(DTENSOR_EINVAL, y, dtensor_copy(NULL, &y));
  EXPECT_REFUSED(DTENSOR_EINVAL, y, dtensor_cast(NULL, DTENSOR_F32, &y));
  EXPECT_STATUS(DTENSOR_EINVAL, dtensor_item(NULL, &(double){0}));
  EXPECT_STATUS(DTENSOR_EINVAL, dtensor_item(x, NULL));
  EXPECT_STATUS(DTENSOR_EINVAL, dtensor_equal(x, NULL, &(int){0}));
  EXPECT_STATUS(DTENSOR_EINVAL, dtensor_equal(x, x, NULL));
  EXPECT_STATUS(DTENSOR_EINVAL, dtensor_allclose(NULL, x, 0, 0, &(int){0}));
  EXPECT_STATUS(DTENSOR_EINVAL, dtensor_allclose(x, x, -1, 0, &(int){0}));
  dtensor_destroy(&x);
  dtensor_mesh_destroy(&mesh);
}

DTEST_SIM(BadInput, Shapes, 1, 2) {
  dtensor_mesh *mesh = line_of(sim);
  dtensor *x = zeros(mesh, DTENSOR_F64, 2, 4, 6), *z = zeros(mesh, DTENSOR_F64, 2, 3, 5), *y = NULL;
  dtensor *line = zeros(mesh, DTENSOR_F64, 1, 6, 0), *empty = zeros(mesh, DTENSOR_F64, 2, 0, 5);
  EACH(i, binaries) EXPECT_REFUSED(DTENSOR_ESHAPE, y, binaries[i](x, z, &y));
  EXPECT_REFUSED(DTENSOR_ESHAPE, y, dtensor_matmul(x, x, &y));
  EXPECT_CONTAINS(dtensor_last_error(), "dtensor_matmul: inner sizes differ: a is [4,6] f64 S(0)");
  EXPECT_REFUSED(DTENSOR_ESHAPE, y, dtensor_matmul(x, line, &y));
  EXPECT_REFUSED(DTENSOR_ESHAPE, y, dtensor_dot(x, line, &y));
  EXPECT_REFUSED(DTENSOR_ESHAPE, y, dtensor_trace(line, &y));
  EXPECT_REFUSED(DTENSOR_ESHAPE, y, dtensor_axpy(dtensor_int(1), x, z, &y));
  EXPECT_REFUSED(DTENSOR_ESHAPE, y, dtensor_min(empty, 0, NULL, 0, &y));
  EXPECT_REFUSED(DTENSOR_ESHAPE, y, dtensor_max(empty, 1, (const int[]){0}, 0, &y));
  EXPECT_REFUSED(DTENSOR_ESHAPE, y, dtensor_mean(empty, 0, NULL, 0, &y));
  EXPECT_STATUS(DTENSOR_ESHAPE, dtensor_item(x, &(double){0}));
  EXPECT_STATUS(DTENSOR_ESHAPE, dtensor_item(empty, &(double){0}));
  dtensor_destroy(&empty);
  dtensor_destroy(&line);
  dtensor_destroy(&z);
  dtensor_destroy(&x);
  dtensor_mesh_destroy(&mesh);
}

DTEST_SIM(BadInput, ResultOfTooManyElements, 1) {
  dtensor_mesh *mesh = line_of(sim);
  const dtensor_placement p = dtensor_replicate();
  dtensor *one = NULL, *tall = NULL, *wide = NULL, *y = NULL;
  REQUIRE_OK(dtensor_zeros(mesh, DTENSOR_U8, 2, (int64_t[]){1, 1}, &p, &one));
  const int64_t many = (int64_t)1 << 40;
  const dtensor_local a = {.data = dtensor_local_data(one),
                           .ndim = 2,
                           .shape = {many, 1},
                           .stride = {0, 1},
                           .own = DTENSOR_BORROW};
  const dtensor_local b = {.data = dtensor_local_data(one),
                           .ndim = 2,
                           .shape = {1, many},
                           .stride = {1, 0},
                           .own = DTENSOR_BORROW};
  REQUIRE_OK(dtensor_from_local(mesh, DTENSOR_U8, &a, &p, NULL, &tall));
  REQUIRE_OK(dtensor_from_local(mesh, DTENSOR_U8, &b, &p, NULL, &wide));
  EXPECT_REFUSED(DTENSOR_ESHAPE, y, dtensor_add(tall, wide, &y));
  dtensor_destroy(&wide);
  dtensor_destroy(&tall);
  dtensor_destroy(&one);
  dtensor_mesh_destroy(&mesh);
}

DTEST_SIM(BadInput, Dtypes, 1, 2) {
  dtensor_mesh *mesh = line_of(sim);
  dtensor *f64 = zeros(mesh, DTENSOR_F64, 2, 4, 4), *f32 = zeros(mesh, DTENSOR_F32, 2, 4, 4);
  dtensor *i32 = zeros(mesh, DTENSOR_I32, 2, 4, 4), *c64 = zeros(mesh, DTENSOR_C64, 2, 4, 4);
  dtensor *truth = zeros(mesh, DTENSOR_BOOL, 2, 4, 4), *half = zeros(mesh, DTENSOR_F16, 2, 4, 4);
  dtensor *y = NULL;
  EACH(i, binaries) {
    EXPECT_REFUSED(DTENSOR_EDTYPE, y, binaries[i](f64, f32, &y));
    EXPECT_REFUSED(DTENSOR_EDTYPE, y, binaries[i](truth, truth, &y));
    EXPECT_REFUSED(DTENSOR_EDTYPE, y, binaries[i](half, half, &y));
  }
  EACH(i, unaries) EXPECT_REFUSED(DTENSOR_EDTYPE, y, unaries[i](truth, &y));
  EACH(i, reductions) EXPECT_REFUSED(DTENSOR_EDTYPE, y, reductions[i](half, 0, NULL, 0, &y));
  EXPECT_REFUSED(DTENSOR_EDTYPE, y, dtensor_matmul(i32, i32, &y));
  EXPECT_REFUSED(DTENSOR_EDTYPE, y, dtensor_pow(i32, i32, &y));
  EXPECT_REFUSED(DTENSOR_EDTYPE, y, dtensor_exp(i32, &y));
  EXPECT_REFUSED(DTENSOR_EDTYPE, y, dtensor_mean(i32, 0, NULL, 0, &y));
  EXPECT_REFUSED(DTENSOR_EDTYPE, y, dtensor_norm(i32, 0, NULL, 0, &y));
  EXPECT_REFUSED(DTENSOR_EDTYPE, y, dtensor_max(c64, 0, NULL, 0, &y));
  EXPECT_REFUSED(DTENSOR_EDTYPE, y, dtensor_maximum(c64, c64, &y));
  EXPECT_REFUSED(DTENSOR_EDTYPE, y, dtensor_relu(c64, &y));
  EXPECT_REFUSED(DTENSOR_EDTYPE, y, dtensor_scale(i32, dtensor_real(0.5), &y));
  EXPECT_REFUSED(DTENSOR_EDTYPE, y, dtensor_add_scalar(f64, dtensor_complex(0, 1), &y));
  EXPECT_REFUSED(DTENSOR_EDTYPE, y, dtensor_cast(f64, (dtensor_dtype)99, &y));
  int answer = 1;
  EXPECT_OK(dtensor_equal(f64, f32, &answer));
  EXPECT_EQ(answer, 0);
  EXPECT_STATUS(DTENSOR_EDTYPE, dtensor_allclose(f64, f32, 0, 0, &answer));
  dtensor *all[] = {f64, f32, i32, c64, truth, half};
  EACH(i, all) dtensor_destroy(&all[i]);
  dtensor_mesh_destroy(&mesh);
}

DTEST_SIM(BadInput, Meshes, 2, 4) {
  dtensor_mesh *mesh = line_of(sim), *other = NULL, *again = line_of(sim);
  REQUIRE_OK(dtensor_sim_init_device_mesh(sim, 2, (int64_t[]){2, -1}, NULL, &other));
  dtensor *x = zeros(mesh, DTENSOR_F64, 2, 4, 4), *z = NULL, *y = NULL;
  dtensor *twin = zeros(again, DTENSOR_F64, 2, 4, 4);
  const dtensor_placement p[] = {dtensor_shard(0), dtensor_shard(1)};
  REQUIRE_OK(dtensor_zeros(other, DTENSOR_F64, 2, (int64_t[]){4, 4}, p, &z));
  EACH(i, binaries) EXPECT_REFUSED(DTENSOR_EMESH, y, binaries[i](x, z, &y));
  EXPECT_STATUS(DTENSOR_EMESH, dtensor_equal(x, z, &(int){0}));
  EXPECT_STATUS(DTENSOR_EMESH, dtensor_allclose(x, z, 0, 0, &(int){0}));
  EXPECT_OK(dtensor_add(x, twin, &y)); /* the same ranks in the same order are the same mesh */
  dtensor_destroy(&y);
  dtensor_destroy(&twin);
  dtensor_destroy(&z);
  dtensor_destroy(&x);
  dtensor_mesh_destroy(&again);
  dtensor_mesh_destroy(&other);
  dtensor_mesh_destroy(&mesh);
}

DTEST_SIM(BadInput, Dims, 1, 2) {
  dtensor_mesh *mesh = line_of(sim);
  dtensor *x = zeros(mesh, DTENSOR_F64, 2, 4, 6), *scalar = zeros(mesh, DTENSOR_F64, 0, 0, 0);
  dtensor *y = NULL;
  EACH(i, reductions) {
    EXPECT_REFUSED(DTENSOR_EINVAL, y, reductions[i](x, 1, (const int[]){2}, 0, &y));
    EXPECT_REFUSED(DTENSOR_EINVAL, y, reductions[i](x, 1, (const int[]){-3}, 0, &y));
    EXPECT_REFUSED(DTENSOR_EINVAL, y, reductions[i](x, 2, (const int[]){1, -1}, 0, &y));
    EXPECT_REFUSED(DTENSOR_EINVAL, y, reductions[i](x, 3, (const int[]){0, 1, 2}, 0, &y));
    EXPECT_REFUSED(DTENSOR_EINVAL, y, reductions[i](x, -1, (const int[]){0}, 0, &y));
    EXPECT_REFUSED(DTENSOR_EINVAL, y, reductions[i](scalar, 1, (const int[]){0}, 0, &y));
  }
  EXPECT_REFUSED(DTENSOR_EINVAL, y, dtensor_transpose(x, 0, 2, &y));
  EXPECT_REFUSED(DTENSOR_EINVAL, y, dtensor_transpose(x, -3, 0, &y));
  EXPECT_REFUSED(DTENSOR_EINVAL, y, dtensor_transpose(scalar, 0, 0, &y));
  EXPECT_REFUSED(DTENSOR_EINVAL, y, dtensor_permute(x, (const int[]){0, 0}, &y));
  EXPECT_REFUSED(DTENSOR_EINVAL, y, dtensor_permute(x, (const int[]){0, 2}, &y));
  dtensor_destroy(&scalar);
  dtensor_destroy(&x);
  dtensor_mesh_destroy(&mesh);
}

DTEST_SIM(BadInput, RanksOutsideOfTheMesh, 3) {
  dtensor_mesh *mesh = NULL;
  REQUIRE_OK(dtensor_sim_mesh_from_ranks(sim, 1, (int64_t[]){2}, (const int[]){0, 1}, NULL, &mesh));
  const int member = dtensor_mesh_coordinate(mesh, 0) >= 0;
  dtensor *x = zeros(mesh, DTENSOR_F64, 2, 5, 3), *y = NULL, *z = NULL, *sum = NULL;
  EXPECT_OK(dtensor_add_scalar(x, dtensor_int(1), &y));
  EXPECT_OK(dtensor_transpose(y, 0, 1, &z));
  EXPECT_EQ(dtensor_size(z, 0), 3);
  EXPECT_EQ(dtensor_local_data(z) != NULL, member);
  EXPECT_OK(dtensor_norm(z, 0, NULL, 0, &sum));
  double value = 0;
  int same = 0;
  EXPECT_STATUS(member ? DTENSOR_OK : DTENSOR_EMESH, dtensor_item(sum, &value));
  EXPECT_STATUS(member ? DTENSOR_OK : DTENSOR_EMESH, dtensor_equal(y, y, &same));
  EXPECT_EQ(same, member);
  dtensor *other_dtype = zeros(mesh, DTENSOR_F32, 2, 5, 3);
  EXPECT_STATUS(member ? DTENSOR_OK : DTENSOR_EMESH, dtensor_equal(x, other_dtype, &same));
  dtensor_destroy(&other_dtype);
  if (member) EXPECT_NEAR(value * value, 15, 1e-12);
  dtensor_destroy(&sum);
  dtensor_destroy(&z);
  dtensor_destroy(&y);
  dtensor_destroy(&x);
  dtensor_mesh_destroy(&mesh);
}
