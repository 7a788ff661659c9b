/* A product of two distributed matrices: mpirun -np 4 bazel-bin/examples/hello */
#include <dtensor/dtensor.h>
#include <stdio.h>

#define TRY(call)                                    \
  do {                                               \
    if ((call) != DTENSOR_OK) {                      \
      fprintf(stderr, "%s\n", dtensor_last_error()); \
      MPI_Abort(MPI_COMM_WORLD, 1);                  \
    }                                                \
  } while (0)

int main(int argc, char *argv[]) {
  int threading = 0, rank = 0;
  MPI_Init_thread(&argc, &argv, MPI_THREAD_FUNNELED, &threading);
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);

  dtensor_mesh *mesh = NULL;
  dtensor *a = NULL, *b = NULL, *c = NULL, *trace = NULL;
  const int64_t shape[] = {1000, 1000};
  const dtensor_placement rows[] = {dtensor_shard(0)}, columns[] = {dtensor_shard(1)};

  TRY(dtensor_init_device_mesh(MPI_COMM_WORLD, 1, (int64_t[]){-1}, NULL, &mesh));
  TRY(dtensor_rand(mesh, DTENSOR_F64, 2, shape, rows, &a)); /* each rank makes its own rows */
  TRY(dtensor_redistribute(a, columns, NULL, &b));          /* the same matrix, by columns */
  TRY(dtensor_matmul(a, b, &c));                            /* the library moves what it must */
  TRY(dtensor_trace(c, &trace));

  double value = 0; /* the same on any number of ranks, up to rounding */
  TRY(dtensor_item(trace, &value));
  if (rank == 0) printf("tr(A A) = %.6f on %d ranks\n", value, (int)dtensor_mesh_size(mesh, 0));
  if (rank == 0) TRY(dtensor_visualize_sharding(b, DTENSOR_PICTURE_TEXT, stdout));

  dtensor_destroy(&a);
  dtensor_destroy(&b);
  dtensor_destroy(&c);
  dtensor_destroy(&trace);
  dtensor_mesh_destroy(&mesh);
  MPI_Finalize();
  return 0;
}
