#include "tests/harness/world.h"

#include <limits.h>

#include "dtensor/comm/sim.h"

test_world world_of_sim(dtensor_sim *sim) {
  const test_world world = {.sim = sim,
                            .user = MPI_COMM_NULL,
                            .comm = dti_sim_comm(sim),
                            .rank = dtensor_sim_rank(sim),
                            .size = dtensor_sim_size(sim)};
  dtest_set_sim_rank(world.rank, world.size);
  return world;
}

test_world world_of_mpi(void) {
  return (test_world){.user = dtest_comm(), .rank = dtest_rank(), .size = dtest_size()};
}

static void run_mpi(MPI_Comm user, world_body body) {
  test_world world = {.user = user};
  if (!EXPECT_OK(dti_comm_from_mpi(user, &world.comm))) return;
  world.rank = dti_comm_rank(world.comm);
  world.size = dti_comm_size(world.comm);
  body(&world);
  dti_comm_release(&world.comm);
}

typedef struct job {
  world_body body;
} job;

static dtensor_status run_sim(dtensor_sim *sim, void *ctx) {
  const test_world world = world_of_sim(sim);
  ((const job *)ctx)->body(&world);
  return DTENSOR_OK;
}

bool run_world(test_nodes nodes, world_body body) {
  if (dtest_comm() != MPI_COMM_NULL) {
    run_mpi(dtest_comm(), body);
    return false;
  }
  const int per_node = nodes.per_node ? nodes.per_node : INT_MAX;
  EXPECT_OK(dtensor_sim_run_nodes(nodes.ranks, per_node, run_sim, &(job){body}));
  return true;
}

void run_worlds(world_body body) {
  static const int sizes[] = {1, 2, 3, 4, 6, 64};
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
    if (!run_world((test_nodes){sizes[i], 0}, body)) break;
}

void run_worlds_of(int ranks, world_body body) {
  if (dtest_comm() == MPI_COMM_NULL) {
    (void)run_world((test_nodes){ranks, 0}, body);
    return;
  }
  if (dtest_size() < ranks) return;
  MPI_Comm part;
  const int mine = dtest_rank() < ranks;
  MPI_Comm_split(dtest_comm(), mine ? 0 : 1, dtest_rank(), &part);
  if (mine) run_mpi(part, body);
  MPI_Comm_free(&part);
}

dtensor_status world_mesh(const test_world *world, int ndim, const int64_t shape[],
                          const dtensor_mesh_opts *opts, dtensor_mesh **mesh) {
  return world->sim ? dtensor_sim_init_device_mesh(world->sim, ndim, shape, opts, mesh)
                    : dtensor_init_device_mesh(world->user, ndim, shape, opts, mesh);
}

dtensor_status world_mesh_from_ranks(const test_world *world, int ndim, const int64_t shape[],
                                     const int ranks[], const dtensor_mesh_opts *opts,
                                     dtensor_mesh **mesh) {
  return world->sim ? dtensor_sim_mesh_from_ranks(world->sim, ndim, shape, ranks, opts, mesh)
                    : dtensor_mesh_from_ranks(world->user, ndim, shape, ranks, opts, mesh);
}

dtensor_status world_line(const test_world *world, dtensor_mesh **mesh) {
  return world_mesh(world, 1, (int64_t[]){-1}, NULL, mesh);
}

dtensor_status world_grid(const test_world *world, dtensor_mesh **mesh) {
  const int64_t rows = world->size % 2 == 0 && world->size > 2 ? 2 : 1;
  return world_mesh(world, 2, (int64_t[]){rows, -1}, NULL, mesh);
}

void world_barrier(const test_world *world) {
  if (world->comm)
    EXPECT_OK(dti_comm_agree(world->comm, DTENSOR_OK));
  else
    MPI_Barrier(world->user);
}
