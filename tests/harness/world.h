/* Tests that run the same under MPI and on simulated ranks.
 *
 *   DTEST_WORLD(Requests, WaitInAnyOrder, 1, 3, 6) {
 *     dtensor_mesh *mesh = NULL;
 *     REQUIRE_OK(world_line(world, &mesh));
 *     ...
 *
 * In a dtensor_mpi_test() the body runs once, on the ranks that there are; in a dtensor_test() once
 * for each of the listed numbers of simulated ranks. */
#ifndef DTENSOR_TESTS_HARNESS_WORLD_H_
#define DTENSOR_TESTS_HARNESS_WORLD_H_

#include <dtensor/mesh.h>
#include <dtensor/sim.h>

#include "dtensor/comm/comm.h"
#include "tests/harness/dtest.h"

typedef struct test_world {
  dtensor_sim *sim; /* NULL: MPI */
  MPI_Comm user;    /* MPI_COMM_NULL: simulated */
  dti_comm *comm;   /* of all ranks; borrowed */
  int rank, size;
} test_world;

typedef void (*world_body)(const test_world *world);

/* An arrangement of simulated ranks on nodes; per_node 0: on one. */
typedef struct test_nodes {
  int ranks, per_node;
} test_nodes;

#define DTEST_WORLD(suite_, name_, ...)                                                  \
  static void world_body_##suite_##_##name_(const test_world *world);                    \
  DTEST(suite_, name_) {                                                                 \
    static const int ranks_[] = {__VA_ARGS__};                                           \
    for (size_t i_ = 0; i_ < sizeof ranks_ / sizeof *ranks_; i_++)                       \
      if (!run_world((test_nodes){ranks_[i_], 0}, world_body_##suite_##_##name_)) break; \
  }                                                                                      \
  static void world_body_##suite_##_##name_(const test_world *world)

/* The same where the ranks live on nodes, once for each of the listed arrangements:
 *
 *   DTEST_NODES(Batch, OneMessagePerPeer, {4, 1}, {4, 2}) {
 *
 * Under MPI the nodes are those that there are, or that DTENSOR_RANKS_PER_NODE makes. */
#define DTEST_NODES(suite_, name_, ...)                                 \
  static void world_body_##suite_##_##name_(const test_world *world);   \
  DTEST(suite_, name_) {                                                \
    static const test_nodes nodes_[] = {__VA_ARGS__};                   \
    for (size_t i_ = 0; i_ < sizeof nodes_ / sizeof *nodes_; i_++)      \
      if (!run_world(nodes_[i_], world_body_##suite_##_##name_)) break; \
  }                                                                     \
  static void world_body_##suite_##_##name_(const test_world *world)

/* Run a body on simulated ranks, true, or on the MPI ranks that there are, false: whatever the
 * arrangement. */
bool run_world(test_nodes nodes, world_body body);

/* On 1, 2, 3, 4, 6 and 64 simulated ranks. */
void run_worlds(world_body body);

/* On just that many ranks: of more MPI ranks the last ones stay out, on fewer nothing runs. */
void run_worlds_of(int ranks, world_body body);

/* For bodies that are run otherwise: that of this simulated rank, which is known to the harness
 * from then on, and that of this MPI rank, without `comm`. */
test_world world_of_sim(dtensor_sim *sim);
test_world world_of_mpi(void);

dtensor_status world_mesh(const test_world *world, int ndim, const int64_t shape[],
                          const dtensor_mesh_opts *opts, dtensor_mesh **mesh);
dtensor_status world_mesh_from_ranks(const test_world *world, int ndim, const int64_t shape[],
                                     const int ranks[], const dtensor_mesh_opts *opts,
                                     dtensor_mesh **mesh);

/* All ranks in one dimension; and in two, 2 x size/2 if that can be, else 1 x size. */
dtensor_status world_line(const test_world *world, dtensor_mesh **mesh);
dtensor_status world_grid(const test_world *world, dtensor_mesh **mesh);

/* Returns when all ranks have come. */
void world_barrier(const test_world *world);

#endif
