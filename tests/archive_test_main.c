/* A user's program, built by archive_test.sh with the MPI compiler wrapper alone. */
#include <dtensor/dtensor.h>
#include <stdio.h>

#define TRY(call)                                               \
  do {                                                          \
    if ((call) != DTENSOR_OK) {                                 \
      fprintf(stderr, "%s: %s\n", #call, dtensor_last_error()); \
      return 1;                                                 \
    }                                                           \
  } while (0)

static int run(void) {
  const int64_t mesh_shape[] = {1}, shape[] = {4, 3};
  const dtensor_placement rows[] = {dtensor_shard(0)};
  dtensor_mesh *mesh = NULL;
  dtensor *x = NULL, *y = NULL, *s = NULL;
  double sum = 0;
  TRY(dtensor_init_device_mesh(MPI_COMM_SELF, 1, mesh_shape, NULL, &mesh));
  TRY(dtensor_ones(mesh, DTENSOR_F64, 2, shape, rows, &x));
  TRY(dtensor_add(x, x, &y));
  TRY(dtensor_sum(y, 0, NULL, 0, &s));
  TRY(dtensor_item(s, &sum));
  dtensor_destroy(&x);
  dtensor_destroy(&y);
  dtensor_destroy(&s);
  dtensor_mesh_destroy(&mesh);
  printf("sum is %g\n", sum);
  return sum != 24.0;
}

int main(int argc, char **argv) {
  int bad;
  int level;
  MPI_Init_thread(&argc, &argv, MPI_THREAD_FUNNELED, &level);
  bad = run();
  MPI_Finalize();
  return bad;
}
