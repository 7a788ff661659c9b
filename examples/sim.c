/* Six ranks in one process, without mpirun and without MPI_Init: bazel-bin/examples/sim */
#include <dtensor/dtensor.h>
#include <stdio.h>

#define TRY(call)                              \
  do {                                         \
    const dtensor_status status_ = (call);     \
    if (status_ != DTENSOR_OK) return status_; \
  } while (0)

/* Runs once per rank, each on a thread of its own. A failure ends all of them. */
static dtensor_status multiply(dtensor_sim *sim, void *ctx) {
  double *value = ctx;
  dtensor_mesh *mesh = NULL;
  dtensor *a = NULL, *b = NULL, *c = NULL, *trace = NULL;
  const int64_t shape[] = {1000, 1000};
  const dtensor_placement tiles[] = {dtensor_shard(0), dtensor_shard(1)};
  const dtensor_placement cyclic[] = {dtensor_shard_cyclic(0, 64), dtensor_shard_cyclic(1, 64)};

  TRY(dtensor_sim_init_device_mesh(sim, 2, (int64_t[]){2, 3}, &(dtensor_mesh_opts){.threads = 1},
                                   &mesh));
  TRY(dtensor_rand(mesh, DTENSOR_F64, 2, shape, tiles, &a));
  TRY(dtensor_redistribute(a, cyclic, NULL, &b)); /* as ScaLAPACK would keep it */
  TRY(dtensor_matmul(a, b, &c));
  TRY(dtensor_trace(c, &trace));

  double mine = 0;
  TRY(dtensor_item(trace, &mine));
  if (dtensor_sim_rank(sim) == 0) {
    *value = mine;
    TRY(dtensor_visualize_sharding(a, DTENSOR_PICTURE_TEXT, stdout));
  }
  dtensor_destroy(&a);
  dtensor_destroy(&b);
  dtensor_destroy(&c);
  dtensor_destroy(&trace);
  dtensor_mesh_destroy(&mesh);
  return DTENSOR_OK;
}

int main(void) {
  double value = 0;
  if (dtensor_sim_run(6, multiply, &value) != DTENSOR_OK) {
    fprintf(stderr, "%s\n", dtensor_last_error());
    return 1;
  }
  printf("tr(A A) = %.6f on 6 simulated ranks\n", value);
  return 0;
}
