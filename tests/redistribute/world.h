/* Tests that run the same under MPI and on simulated ranks.
 *
 *   DTEST_WORLD(Requests, WaitInAnyOrder, 1, 3, 6) {
 *     dtensor_mesh *mesh = NULL;
 *     REQUIRE_OK(world_line(world, &mesh));
 *     ...
 *
 * In a dtensor_mpi_test() the body runs once, on the ranks that there are; in a dtensor_test() once
 * for each of the listed numbers of simulated ranks. */
#ifndef DTENSOR_TESTS_REDISTRIBUTE_WORLD_H_
#define DTENSOR_TESTS_REDISTRIBUTE_WORLD_H_

#include <dtensor/mesh.h>
#include <dtensor/sim.h>
#include <dtensor/tensor.h>
#include <stdbool.h>

#include "tests/harness/dtest.h"

typedef struct test_world {
  dtensor_sim *sim; /* NULL: MPI */
  int rank, size;
} test_world;

/* An arrangement of simulated ranks. */
typedef struct test_nodes {
  int ranks, per_node;
} test_nodes;

#define DTEST_WORLD(suite_, name_, ...)                                               \
  static void world_body_##suite_##_##name_(const test_world *world);                 \
  static dtensor_status world_rank_##suite_##_##name_(dtensor_sim *sim, void *ctx) {  \
    (void)ctx;                                                                        \
    dtest_set_sim_rank(dtensor_sim_rank(sim), dtensor_sim_size(sim));                 \
    world_body_##suite_##_##name_(                                                    \
        &(test_world){sim, dtensor_sim_rank(sim), dtensor_sim_size(sim)});            \
    return DTENSOR_OK;                                                                \
  }                                                                                   \
  DTEST(suite_, name_) {                                                              \
    static const int ranks_[] = {__VA_ARGS__};                                        \
    if (dtest_comm() != MPI_COMM_NULL)                                                \
      world_body_##suite_##_##name_(&(test_world){NULL, dtest_rank(), dtest_size()}); \
    else                                                                              \
      for (size_t i_ = 0; i_ < sizeof ranks_ / sizeof *ranks_; i_++)                  \
        EXPECT_OK(dtensor_sim_run(ranks_[i_], world_rank_##suite_##_##name_, NULL));  \
  }                                                                                   \
  static void world_body_##suite_##_##name_(const test_world *world)

/* The same where the ranks live on nodes, once for each of the listed arrangements:
 *
 *   DTEST_NODES(Batch, OneMessagePerPeer, {4, 1}, {4, 2}) {
 *
 * Under MPI the nodes are those that there are, or that DTENSOR_RANKS_PER_NODE makes. */
#define DTEST_NODES(suite_, name_, ...)                                               \
  static void world_body_##suite_##_##name_(const test_world *world);                 \
  static dtensor_status world_rank_##suite_##_##name_(dtensor_sim *sim, void *ctx) {  \
    (void)ctx;                                                                        \
    dtest_set_sim_rank(dtensor_sim_rank(sim), dtensor_sim_size(sim));                 \
    world_body_##suite_##_##name_(                                                    \
        &(test_world){sim, dtensor_sim_rank(sim), dtensor_sim_size(sim)});            \
    return DTENSOR_OK;                                                                \
  }                                                                                   \
  DTEST(suite_, name_) {                                                              \
    static const test_nodes nodes_[] = {__VA_ARGS__};                                 \
    if (dtest_comm() != MPI_COMM_NULL)                                                \
      world_body_##suite_##_##name_(&(test_world){NULL, dtest_rank(), dtest_size()}); \
    else                                                                              \
      for (size_t i_ = 0; i_ < sizeof nodes_ / sizeof *nodes_; i_++)                  \
        EXPECT_OK(dtensor_sim_run_nodes(nodes_[i_].ranks, nodes_[i_].per_node,        \
                                        world_rank_##suite_##_##name_, NULL));        \
  }                                                                                   \
  static void world_body_##suite_##_##name_(const test_world *world)

/* ranks NULL: all, in order. */
dtensor_status world_mesh(const test_world *world, int ndim, const int64_t shape[],
                          const int ranks[], dtensor_mesh **mesh);

/* All ranks in one dimension; and in two, 2 x size/2 if that can be, else 1 x size. */
dtensor_status world_line(const test_world *world, dtensor_mesh **mesh);
dtensor_status world_grid(const test_world *world, dtensor_mesh **mesh);

/* Returns when all ranks have come. */
void world_barrier(const test_world *world);

/* Whether this rank's part of x, f64 and not Partial, holds the global row-major index of each
 * element: what dtensor_arange() makes. */
bool holds_arange(const dtensor *x);

/* An f64 tensor with these values. Where p is Partial, every coordinate has a share in them. */
dtensor_status make_arange(dtensor_mesh *mesh, int ndim, const int64_t shape[], const char *p,
                           dtensor **x);

#endif
