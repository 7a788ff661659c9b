/* One test body on MPI ranks and on simulated ones: under mpiexec it runs on dtest_comm(), in one
 * process it runs on 1, 2, 3, 4, 6 and 64 simulated ranks. */
#ifndef DTENSOR_TESTS_COMM_WORLDS_H_
#define DTENSOR_TESTS_COMM_WORLDS_H_

#include <dtensor/mesh.h>
#include <dtensor/sim.h>

#include "dtensor/comm/comm.h"

typedef struct world {
  dtensor_sim *sim; /* NULL: MPI */
  MPI_Comm user;    /* MPI_COMM_NULL: simulated */
  dti_comm *comm;   /* of all ranks; borrowed */
  int rank, size;
} world;

void run_worlds(void (*body)(const world *w));

/* The same on just that many ranks: of more MPI ranks the last ones stay out, on fewer nothing
 * runs. */
void run_worlds_of(int ranks, void (*body)(const world *w));

dtensor_status world_mesh(const world *w, int ndim, const int64_t shape[],
                          const dtensor_mesh_opts *opts, dtensor_mesh **mesh);
dtensor_status world_mesh_from_ranks(const world *w, int ndim, const int64_t shape[],
                                     const int ranks[], const dtensor_mesh_opts *opts,
                                     dtensor_mesh **mesh);

#endif
