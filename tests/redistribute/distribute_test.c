/* Global arrays in and out: distribute_tensor and full_tensor. */
#include <dtensor/debug.h>
#include <dtensor/redistribute.h>
#include <stdlib.h>

#include "dtensor/comm/comm.h"
#include "tests/harness/arange.h"
#include "tests/harness/world.h"

static double *arange_array(int64_t n) {
  double *array = malloc(((size_t)n + 1) * sizeof *array);
  for (int64_t i = 0; i < n; i++) array[i] = (double)i;
  return array;
}

static void distribute(dtensor_mesh *mesh, int ndim, const int64_t shape[], int src,
                       const char *text) {
  dtensor_placement p[DTENSOR_MAX_NDIM], whole[DTENSOR_MAX_NDIM];
  EXPECT_OK(dtensor_placements_parse(text, dtensor_mesh_ndim(mesh), p));
  for (int m = 0; m < dtensor_mesh_ndim(mesh); m++)
    whole[m] = p[m].kind == DTENSOR_PARTIAL ? dtensor_replicate() : p[m];
  int64_t n = 1;
  for (int d = 0; d < ndim; d++) n *= shape[d];
  const bool reads = src == -1 || dtensor_mesh_coordinate(mesh, -1) == src;
  double *global = reads ? arange_array(n) : NULL, *all = calloc((size_t)n + 1, sizeof *all);
  dtensor *x = NULL, *y = NULL;
  dtensor_comm_stats_reset();
  EXPECT_OK(dtensor_distribute_tensor(mesh, DTENSOR_F64, ndim, shape, global, src, p, &x));
  dtensor_comm_counts counts;
  dtensor_comm_stats(&counts);
  if (src == -1) {
    EXPECT_EQ(counts.bytes_received, 0);
    EXPECT_EQ(counts.agreements, 0);
  }
  if (x) {
    /* A share and the pieces of it that are passed on; never more than what it keeps. */
    EXPECT_LE(counts.bytes_received, 8 * dtensor_local_size(x, -1));
    EXPECT_OK(dtensor_redistribute(x, whole, NULL, &y));
    if (y) EXPECT_TRUE(holds_arange(y));
    EXPECT_OK(dtensor_full_tensor(x, all));
    for (int64_t i = 0; i < n; i++)
      if (!EXPECT_EQ(all[i], (double)i)) break;
  }
  dtensor_destroy(&x);
  dtensor_destroy(&y);
  free(global);
  free(all);
}

DTEST_WORLD(DistributeTensor, EverySourceAndPlacement, 1, 2, 3, 4, 6) {
  dtensor_mesh *line = NULL, *grid = NULL;
  REQUIRE_OK(world_line(world, &line));
  REQUIRE_OK(world_grid(world, &grid));
  static const char *const on_line[] = {"R", "S0", "S1", "SC(0,2)", "SS(1,2)", "P", "P(avg)"};
  static const char *const on_grid[] = {"R,R", "S0,S1", "S0,S0", "R,SB(0)", "S1,P", "P(avg),R"};
  static const int64_t shapes[][2] = {{9, 11}, {3, 2}, {0, 4}, {1, 1}};
  for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++) {
    for (int src = -1; src < world->size; src += src < 1 ? 1 : 2) {
      for (size_t i = 0; i < sizeof on_line / sizeof *on_line; i++)
        distribute(line, 2, shapes[s], src, on_line[i]);
      for (size_t i = 0; i < sizeof on_grid / sizeof *on_grid; i++)
        distribute(grid, 2, shapes[s], src, on_grid[i]);
    }
  }
  for (int src = -1; src < world->size; src++) {
    distribute(line, 0, NULL, src, "R");
    distribute(line, 0, NULL, src, "P");
    distribute(grid, 1, (int64_t[]){100}, src, "R,S0");
  }
  dtensor_mesh_destroy(&line);
  dtensor_mesh_destroy(&grid);
}

DTEST_WORLD(DistributeTensor, BadArguments, 1, 3) {
  dtensor_mesh *mesh = NULL;
  dtensor *x = (dtensor *)&x;
  REQUIRE_OK(world_line(world, &mesh));
  const dtensor_placement rows[] = {dtensor_shard(0)}, none[] = {dtensor_shard(2)},
                          sum[] = {dtensor_partial(DTENSOR_SUM)};
  const int64_t shape[] = {4, 3}, bad[] = {4, -3};
  double data[12] = {0};
  unsigned char flags[12] = {0};
  /* Read on one rank, but every rank hears of it. */
  EXPECT_STATUS(DTENSOR_EINVAL,
                dtensor_distribute_tensor(mesh, DTENSOR_F64, 2, shape, NULL, 0, rows, &x));
  EXPECT_NULL(x);
  EXPECT_STATUS(DTENSOR_EINVAL,
                dtensor_distribute_tensor(mesh, DTENSOR_F64, 2, shape, NULL, -1, rows, &x));
  EXPECT_STATUS(DTENSOR_EINVAL, dtensor_distribute_tensor(mesh, DTENSOR_F64, 2, shape, data,
                                                          world->size, rows, &x));
  EXPECT_STATUS(DTENSOR_EINVAL,
                dtensor_distribute_tensor(mesh, DTENSOR_F64, 2, shape, data, -2, rows, &x));
  EXPECT_STATUS(DTENSOR_EINVAL,
                dtensor_distribute_tensor(mesh, DTENSOR_F64, 2, bad, data, 0, rows, &x));
  EXPECT_STATUS(DTENSOR_EPLACEMENT,
                dtensor_distribute_tensor(mesh, DTENSOR_F64, 2, shape, data, 0, none, &x));
  EXPECT_STATUS(DTENSOR_EPLACEMENT,
                dtensor_distribute_tensor(mesh, DTENSOR_F64, 0, NULL, data, 0, rows, &x));
  EXPECT_STATUS(DTENSOR_EDTYPE,
                dtensor_distribute_tensor(mesh, (dtensor_dtype)77, 2, shape, data, 0, rows, &x));
  EXPECT_STATUS(DTENSOR_EDTYPE,
                dtensor_distribute_tensor(mesh, DTENSOR_BOOL, 2, shape, flags, 0, sum, &x));
  EXPECT_STATUS(DTENSOR_EINVAL,
                dtensor_distribute_tensor(mesh, DTENSOR_F64, 2, shape, data, 0, NULL, &x));
  EXPECT_STATUS(DTENSOR_EINVAL,
                dtensor_distribute_tensor(NULL, DTENSOR_F64, 2, shape, data, 0, rows, &x));
  EXPECT_STATUS(DTENSOR_EINVAL,
                dtensor_distribute_tensor(mesh, DTENSOR_F64, 2, shape, data, 0, rows, NULL));
  EXPECT_NULL(x);
  REQUIRE_OK(dtensor_distribute_tensor(mesh, DTENSOR_F64, 2, shape, data, -1, rows, &x));
  EXPECT_STATUS(DTENSOR_EINVAL, dtensor_full_tensor(x, NULL));
  EXPECT_STATUS(DTENSOR_EINVAL, dtensor_full_tensor(NULL, data));
  dtensor_destroy(&x);
  dtensor_mesh_destroy(&mesh);
}

/* Every element size moves, every reduction of every dtype that has it gives the value. */
DTEST_WORLD(DistributeTensor, EveryDtypeAndReduction, 1, 3, 4) {
  dtensor_mesh *mesh = NULL;
  REQUIRE_OK(world_line(world, &mesh));
  unsigned char bytes[16 * 90], back[16 * 90];
  for (int dtype = DTENSOR_F32; dtype <= DTENSOR_F16; dtype++) {
    const size_t element = dtensor_dtype_size((dtensor_dtype)dtype);
    for (size_t i = 0; i < sizeof bytes; i++)
      bytes[i] = (unsigned char)(dtype == DTENSOR_BOOL ? i % 3 == 0 : 1 + i * 5 % 60);
    for (int op = DTENSOR_SUM; op <= DTENSOR_BXOR; op++) {
      const dtensor_placement to[] = {dtensor_partial((dtensor_reduce_op)op)};
      dtensor *x = NULL, *y = NULL;
      const dtensor_status status = dtensor_distribute_tensor(mesh, (dtensor_dtype)dtype, 2,
                                                              (int64_t[]){9, 10}, bytes, 0, to, &x);
      if (status == DTENSOR_EDTYPE) continue; /* kernels say which there are */
      EXPECT_OK(status);
      EXPECT_OK(dtensor_full_tensor(x, back));
      if (op != DTENSOR_AVG) EXPECT_MEMEQ(back, bytes, 90 * element);
      EXPECT_OK(
          dtensor_redistribute(x, (dtensor_placement[]){dtensor_shard_cyclic(1, 3)}, NULL, &y));
      dtensor_destroy(&x);
      dtensor_destroy(&y);
    }
    dtensor *x = NULL;
    EXPECT_OK(dtensor_distribute_tensor(mesh, (dtensor_dtype)dtype, 2, (int64_t[]){9, 10}, bytes,
                                        world->size - 1, (dtensor_placement[]){dtensor_shard(1)},
                                        &x));
    EXPECT_OK(dtensor_full_tensor(x, back));
    EXPECT_MEMEQ(back, bytes, 90 * element);
    dtensor_destroy(&x);
  }
  dtensor_mesh_destroy(&mesh);
}

/* Messages that are longer than MPI takes are cut; here the limit is 16 bytes. */
DTEST_WORLD(DistributeTensor, CutMessages, 2, 4) {
  dtensor_mesh *line = NULL;
  REQUIRE_OK(world_line(world, &line));
  dti_comm_set_message_limit(16);
  static const char *const on_line[] = {"R", "S0", "S1", "SC(0,2)", "P", "P(avg)"};
  for (size_t i = 0; i < sizeof on_line / sizeof *on_line; i++)
    distribute(line, 2, (int64_t[]){9, 11}, 0, on_line[i]);
  distribute(line, 1, (int64_t[]){7}, world->size - 1, "P");
  world_barrier(world);
  dti_comm_set_message_limit(0);
  dtensor_mesh_destroy(&line);
}
