/* The signatures that programs outside of this repository are compiled against. They may be added
 * to, but a line that no longer compiles here breaks those programs. */
#include <dtensor/_tensor.h>
#include <dtensor/dtensor.h>

#include "tests/harness/dtest.h"

typedef dtensor_status factory(dtensor_mesh *, dtensor_dtype, int, const int64_t[],
                               const dtensor_placement[], dtensor **);
typedef dtensor_status unary(const dtensor *, dtensor **);
typedef dtensor_status binary(const dtensor *, const dtensor *, dtensor **);
typedef dtensor_status with_scalar(const dtensor *, dtensor_scalar, dtensor **);
typedef dtensor_status reduction(const dtensor *, int, const int[], int, dtensor **);

static factory *const factories[] = {dtensor_empty, dtensor_zeros,  dtensor_ones, dtensor_rand,
                                     dtensor_randn, dtensor_arange, dtensor_eye};
static unary *const unaries[] = {dtensor_exp,  dtensor_neg,  dtensor_abs,  dtensor_log,
                                 dtensor_sqrt, dtensor_tanh, dtensor_relu, dtensor_copy};
static binary *const binaries[] = {dtensor_matmul, dtensor_add,     dtensor_sub,     dtensor_mul,
                                   dtensor_div,    dtensor_maximum, dtensor_minimum, dtensor_pow};
static with_scalar *const scalars[] = {dtensor_scale, dtensor_add_scalar};
static reduction *const reductions[] = {dtensor_sum, dtensor_mean, dtensor_min, dtensor_max,
                                        dtensor_norm};

/* One of a kind. */
static const struct {
  const char *(*status_name)(dtensor_status);
  const char *(*last_error)(void);
  dtensor_scalar (*real)(double);
  dtensor_scalar (*complex)(double, double);
  dtensor_scalar (*integer)(int64_t);
  dtensor_status (*init_device_mesh)(MPI_Comm, int, const int64_t[], const dtensor_mesh_opts *,
                                     dtensor_mesh **);
  dtensor_status (*mesh_from_ranks)(MPI_Comm, int, const int64_t[], const int[],
                                    const dtensor_mesh_opts *, dtensor_mesh **);
  dtensor_status (*mesh_sub)(dtensor_mesh *, int, const char *const[], dtensor_mesh **);
  dtensor_status (*mesh_flatten)(dtensor_mesh *, int, const char *const[], const char *,
                                 dtensor_mesh **);
  dtensor_mesh *(*mesh_retain)(dtensor_mesh *);
  void (*mesh_destroy)(dtensor_mesh **);
  int (*mesh_ndim)(const dtensor_mesh *);
  int64_t (*mesh_size)(const dtensor_mesh *, int);
  int64_t (*mesh_coordinate)(const dtensor_mesh *, int);
  MPI_Comm (*mesh_comm)(const dtensor_mesh *, int);
  dtensor_placement (*replicate)(void);
  dtensor_placement (*shard)(int);
  dtensor_placement (*shard_balanced)(int);
  dtensor_placement (*shard_cyclic)(int, int64_t);
  dtensor_placement (*shard_sizes)(int, const int64_t[]);
  dtensor_placement (*strided_shard)(int, int64_t);
  dtensor_placement (*partial)(dtensor_reduce_op);
  int (*placement_equal)(dtensor_placement, dtensor_placement);
  dtensor_status (*placements_parse)(const char *, int, dtensor_placement[]);
  dtensor_status (*placements_format)(const dtensor_placement[], int, char *, size_t);
  dtensor_status (*local_shape)(int, const int64_t[], const int64_t[], int, const int64_t[],
                                const dtensor_placement[], int64_t[], int64_t[]);
  dtensor_status (*sim_run)(int, dtensor_status (*)(dtensor_sim *, void *), void *);
  dtensor_status (*sim_mesh)(dtensor_sim *, int, const int64_t[], const dtensor_mesh_opts *,
                             dtensor_mesh **);
  dtensor_status (*full)(dtensor_mesh *, dtensor_dtype, int, const int64_t[], dtensor_scalar,
                         const dtensor_placement[], dtensor **);
  void (*manual_seed)(uint64_t);
  dtensor_status (*distribute_tensor)(dtensor_mesh *, dtensor_dtype, int, const int64_t[],
                                      const void *, int, const dtensor_placement[], dtensor **);
  dtensor_status (*from_local)(dtensor_mesh *, dtensor_dtype, const dtensor_local *,
                               const dtensor_placement[], const int64_t[], dtensor **);
  dtensor_status (*to_local)(const dtensor *, dtensor_local *);
  dtensor_status (*full_tensor)(const dtensor *, void *);
  int (*ndim)(const dtensor *);
  int64_t (*size)(const dtensor *, int);
  dtensor_dtype (*dtype_of)(const dtensor *);
  void *(*local_data)(const dtensor *);
  int64_t (*local_size)(const dtensor *, int);
  int64_t (*local_offset)(const dtensor *, int);
  dtensor_mesh *(*mesh_of)(const dtensor *);
  dtensor_placement (*placement_of)(const dtensor *, int);
  dtensor *(*retain)(dtensor *);
  void (*destroy)(dtensor **);
  dtensor_status (*redistribute)(const dtensor *, const dtensor_placement[],
                                 const dtensor_redistribute_opts *, dtensor **);
  dtensor_status (*redistribute_to)(const dtensor *, dtensor_mesh *, const dtensor_placement[],
                                    const dtensor_redistribute_opts *, dtensor **);
  dtensor_status (*redistribute_begin)(const dtensor *, const dtensor_placement[],
                                       const dtensor_redistribute_opts *, dtensor_request **);
  dtensor_status (*request_test)(dtensor_request *, int *);
  dtensor_status (*request_wait)(dtensor_request **, dtensor **);
  dtensor_status (*transpose)(const dtensor *, int, int, dtensor **);
  dtensor_status (*permute)(const dtensor *, const int[], dtensor **);
  dtensor_status (*cast)(const dtensor *, dtensor_dtype, dtensor **);
  dtensor_status (*item)(const dtensor *, void *);
  dtensor_status (*matmul_ex)(const dtensor *, const dtensor *, const dtensor_matmul_opts *,
                              dtensor **);
  dtensor_status (*explain_matmul)(const dtensor *, const dtensor *, const dtensor_matmul_opts *,
                                   dtensor_matmul_info *, char *, size_t);
} functions = {dtensor_status_name,
               dtensor_last_error,
               dtensor_real,
               dtensor_complex,
               dtensor_int,
               dtensor_init_device_mesh,
               dtensor_mesh_from_ranks,
               dtensor_mesh_sub,
               dtensor_mesh_flatten,
               dtensor_mesh_retain,
               dtensor_mesh_destroy,
               dtensor_mesh_ndim,
               dtensor_mesh_size,
               dtensor_mesh_coordinate,
               dtensor_mesh_comm,
               dtensor_replicate,
               dtensor_shard,
               dtensor_shard_balanced,
               dtensor_shard_cyclic,
               dtensor_shard_sizes,
               dtensor_strided_shard,
               dtensor_partial,
               dtensor_placement_equal,
               dtensor_placements_parse,
               dtensor_placements_format,
               dtensor_compute_local_shape_and_global_offset,
               dtensor_sim_run,
               dtensor_sim_init_device_mesh,
               dtensor_full,
               dtensor_manual_seed,
               dtensor_distribute_tensor,
               dtensor_from_local,
               dtensor_to_local,
               dtensor_full_tensor,
               dtensor_ndim,
               dtensor_size,
               dtensor_dtype_of,
               dtensor_local_data,
               dtensor_local_size,
               dtensor_local_offset,
               dtensor_mesh_of,
               dtensor_placement_of,
               dtensor_retain,
               dtensor_destroy,
               dtensor_redistribute,
               dtensor_redistribute_to,
               dtensor_redistribute_begin,
               dtensor_request_test,
               dtensor_request_wait,
               dtensor_transpose,
               dtensor_permute,
               dtensor_cast,
               dtensor_item,
               dtensor_matmul_ex,
               dtensor_explain_matmul};

/* The values are part of what was compiled, too. */
DTEST(Signatures, ConstantsKeepTheirValues) {
  EXPECT_EQ((int)DTENSOR_OK, 0);
  EXPECT_EQ((int)DTENSOR_EINVAL, 1);
  EXPECT_EQ((int)DTENSOR_EUNSUPPORTED, 11);
  EXPECT_EQ((int)DTENSOR_F32, 1);
  EXPECT_EQ((int)DTENSOR_F64, 2);
  EXPECT_EQ((int)DTENSOR_BOOL, 8);
  EXPECT_EQ((int)DTENSOR_F16, 10);
  EXPECT_EQ((int)DTENSOR_SUM, 0);
  EXPECT_EQ((int)DTENSOR_BXOR, 7);
  EXPECT_EQ((int)DTENSOR_COPY, 0);
  EXPECT_EQ((int)DTENSOR_OWN, 2);
  EXPECT_EQ(DTENSOR_MAX_NDIM, 8);
}

static dtensor_status square(dtensor_sim *rank, void *ctx) {
  (void)ctx;
  dtensor_mesh *mesh = NULL;
  dtensor *x = NULL, *y = NULL;
  double value = 0;
  SIM_REQUIRE_OK(functions.sim_mesh(rank, 1, (int64_t[]){-1},
                                    &(dtensor_mesh_opts){.dim_names = NULL, .threads = 1}, &mesh));
  const dtensor_placement rows[] = {functions.shard(0)};
  SIM_REQUIRE_OK(factories[2](mesh, DTENSOR_F64, 1, (int64_t[]){5}, rows, &x));
  SIM_REQUIRE_OK(scalars[0](x, functions.real(3), &y));
  functions.destroy(&x);
  SIM_REQUIRE_OK(binaries[3](y, y, &x));
  functions.destroy(&y);
  SIM_REQUIRE_OK(unaries[4](x, &y));
  functions.destroy(&x);
  SIM_REQUIRE_OK(reductions[0](y, 0, NULL, 0, &x));
  SIM_REQUIRE_OK(functions.item(x, &value));
  EXPECT_EQ(value, 15.0);
  functions.destroy(&x);
  functions.destroy(&y);
  functions.mesh_destroy(&mesh);
  return DTENSOR_OK;
}

DTEST(Signatures, TheTablesCallTheLibrary) { EXPECT_OK(functions.sim_run(3, square, NULL)); }
