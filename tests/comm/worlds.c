#include "tests/comm/worlds.h"

#include "dtensor/comm/sim.h"
#include "tests/harness/dtest.h"

static void run_mpi(MPI_Comm user, void (*body)(const world *w)) {
  world w = {.user = user};
  if (!EXPECT_OK(dti_comm_from_mpi(user, &w.comm))) return;
  w.rank = dti_comm_rank(w.comm);
  w.size = dti_comm_size(w.comm);
  body(&w);
  dti_comm_release(&w.comm);
}

typedef struct job {
  void (*body)(const world *w);
} job;

static dtensor_status run_sim(dtensor_sim *sim, void *ctx) {
  const job *j = ctx;
  dtest_set_sim_rank(dtensor_sim_rank(sim), dtensor_sim_size(sim));
  j->body(&(world){.sim = sim,
                   .user = MPI_COMM_NULL,
                   .comm = dti_sim_comm(sim),
                   .rank = dtensor_sim_rank(sim),
                   .size = dtensor_sim_size(sim)});
  return DTENSOR_OK;
}

void run_worlds(void (*body)(const world *w)) {
  if (dtest_comm() != MPI_COMM_NULL) {
    run_mpi(dtest_comm(), body);
    return;
  }
  static const int sizes[] = {1, 2, 3, 4, 6, 64};
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
    EXPECT_OK(dtensor_sim_run(sizes[i], run_sim, &(job){body}));
}

void run_worlds_of(int ranks, void (*body)(const world *w)) {
  if (dtest_comm() == MPI_COMM_NULL) {
    EXPECT_OK(dtensor_sim_run(ranks, run_sim, &(job){body}));
    return;
  }
  if (dtest_size() < ranks) return;
  MPI_Comm part;
  const int mine = dtest_rank() < ranks;
  MPI_Comm_split(dtest_comm(), mine ? 0 : 1, dtest_rank(), &part);
  if (mine) run_mpi(part, body);
  MPI_Comm_free(&part);
}

dtensor_status world_mesh(const world *w, int ndim, const int64_t shape[],
                          const dtensor_mesh_opts *opts, dtensor_mesh **mesh) {
  return w->sim ? dtensor_sim_init_device_mesh(w->sim, ndim, shape, opts, mesh)
                : dtensor_init_device_mesh(w->user, ndim, shape, opts, mesh);
}

dtensor_status world_mesh_from_ranks(const world *w, int ndim, const int64_t shape[],
                                     const int ranks[], const dtensor_mesh_opts *opts,
                                     dtensor_mesh **mesh) {
  return w->sim ? dtensor_sim_mesh_from_ranks(w->sim, ndim, shape, ranks, opts, mesh)
                : dtensor_mesh_from_ranks(w->user, ndim, shape, ranks, opts, mesh);
}
