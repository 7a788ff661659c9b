#define _POSIX_C_SOURCE 200809L /* setenv */
/* Without MPI_Init: what has to be called is said, and nothing else happens. */
#include <dtensor/mesh.h>
#include <dtensor/sim.h>
#include <stdlib.h>

#include "tests/harness/dtest.h"

DTEST(NoMpi, SaysWhatToCall) {
  dtensor_mesh *mesh;
  EXPECT_STATUS(DTENSOR_EMPI,
                dtensor_init_device_mesh(MPI_COMM_SELF, 1, (int64_t[]){1}, NULL, &mesh));
  EXPECT_NULL(mesh);
  EXPECT_CONTAINS(dtensor_last_error(),
                  "dtensor_init_device_mesh: MPI is not initialised; call MPI_Init_thread with "
                  "MPI_THREAD_FUNNELED or higher");
  EXPECT_STATUS(DTENSOR_EMPI, dtensor_init_device_mesh_f(0, 1, (int64_t[]){1}, NULL, &mesh));
  EXPECT_NULL(mesh);
  EXPECT_STATUS(DTENSOR_EMPI,
                dtensor_mesh_from_ranks(MPI_COMM_SELF, 1, (int64_t[]){1}, (int[]){0}, NULL, &mesh));
}

/* How many threads a rank uses: what the caller says, else OMP_NUM_THREADS, else its share. */
static dtensor_status threads(dtensor_sim *sim, void *ctx) {
  const int *want = ctx;
  dtensor_mesh *mesh;
  SIM_REQUIRE_OK(dtensor_sim_init_device_mesh(sim, 1, (int64_t[]){-1},
                                              &(dtensor_mesh_opts){.threads = want[0]}, &mesh));
  EXPECT_EQ(dtensor_mesh_threads(mesh), want[1]);
  dtensor_mesh_destroy(&mesh);
  return DTENSOR_OK;
}

DTEST(NoMpi, Threads) {
  setenv("OMP_NUM_THREADS", "4,2", 1);
  EXPECT_OK(dtensor_sim_run(2, threads, (int[]){0, 4}));
  EXPECT_OK(dtensor_sim_run(2, threads, (int[]){7, 7}));
  unsetenv("OMP_NUM_THREADS");
  EXPECT_OK(dtensor_sim_run(200, threads, (int[]){0, 1}));
  setenv("OMP_NUM_THREADS", "many", 1);
  EXPECT_OK(dtensor_sim_run(200, threads, (int[]){0, 1}));
}
