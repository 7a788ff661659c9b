/* A simulation code lends its own field to the library: column-major, with a ghost layer around it,
 * and nothing is copied. mpirun -np 4 bazel-bin/examples/heat2d */
#include <dtensor/dtensor.h>
#include <stdio.h>

enum { NX = 48, NY = 32, LD = NX + 2 }; /* of each rank; LD: of its array, with the ghosts */

static double field[(NY + 2) * LD],
    next[(NY + 2) * LD]; /* T(x, y) at [y * LD + x], as in Fortran */

static void diffuse(void) {
  for (int y = 1; y <= NY; y++)
    for (int x = 1; x <= NX; x++) {
      const double *t = &field[y * LD + x];
      next[y * LD + x] = t[0] + 0.2 * (t[-1] + t[1] + t[-LD] + t[LD] - 4 * t[0]);
    }
  for (int y = 1; y <= NY; y++)
    for (int x = 1; x <= NX; x++) field[y * LD + x] = next[y * LD + x];
}

static void check(dtensor_status status) {
  if (status == DTENSOR_OK) return;
  fprintf(stderr, "%s\n", dtensor_last_error());
  MPI_Abort(MPI_COMM_WORLD, 1);
}

int main(int argc, char *argv[]) {
  int threading = 0;
  MPI_Init_thread(&argc, &argv, MPI_THREAD_FUNNELED, &threading);
  field[(NY / 2) * LD + NX / 2] = 100; /* a hot spot in the middle of each rank's part */
  for (int step = 0; step < 10; step++) diffuse();

  dtensor_mesh *mesh = NULL;
  dtensor *heat = NULL, *total = NULL, *hottest = NULL;
  check(dtensor_init_device_mesh(MPI_COMM_WORLD, 1, (int64_t[]){-1}, NULL, &mesh));
  const dtensor_local mine = {.data = &field[LD + 1], /* the first cell that is no ghost */
                              .ndim = 2,
                              .shape = {NX, NY},
                              .stride = {1, LD},
                              .own = DTENSOR_BORROW};
  check(dtensor_from_local(mesh, DTENSOR_F64, &mine, (dtensor_placement[]){dtensor_shard(0)}, NULL,
                           &heat));
  check(dtensor_sum(heat, 0, NULL, 0, &total));
  check(dtensor_max(heat, 0, NULL, 0, &hottest));
  double sum = 0, max = 0;
  check(dtensor_item(total, &sum));
  check(dtensor_item(hottest, &max));
  if (dtensor_mesh_coordinate(mesh, 0) == 0)
    printf("field of %d x %d: heat %.4f, hottest %.4f\n", (int)dtensor_size(heat, 0),
           (int)dtensor_size(heat, 1), sum, max);
  dtensor_destroy(&heat);
  dtensor_destroy(&total);
  dtensor_destroy(&hottest);
  dtensor_mesh_destroy(&mesh);
  MPI_Finalize();
  return 0;
}
