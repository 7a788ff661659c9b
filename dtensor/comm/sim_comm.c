#include <stdlib.h>

#include "dtensor/base/fail.h"
#include "dtensor/comm/sim_world.h"

static void close_comm(dti_comm *comm) { (void)comm; }

static void destroy_comm(dti_comm *base) {
  sim_world *world = ((sim_comm *)base)->me->world;
  free(base);
  dti_sim_world_release(&world);
}

static dtensor_status group_comm(dti_comm *parent_, int n, const int ranks[], int rank,
                                 dti_comm **comm) {
  const sim_comm *parent = (sim_comm *)parent_;
  int *of_world = malloc((size_t)n * sizeof *of_world);
  DTI_CHECK(of_world, DTENSOR_ENOMEM, "a group of %d ranks", n);
  for (int i = 0; i < n; i++) of_world[i] = parent->group->rank[ranks[i]];
  sim_group *group;
  const dtensor_status status =
      dti_sim_group(parent->me->world, parent->group, n, of_world, &group);
  free(of_world);
  DTI_TRY(status);
  return dti_sim_comm_create(parent->me, group, rank, comm);
}

static MPI_Comm no_mpi(const dti_comm *comm) {
  (void)comm;
  return MPI_COMM_NULL;
}

static dtensor_status node_size(dti_comm *comm, int *size) {
  *size = comm->size;
  return DTENSOR_OK;
}

static const dti_backend backend = {
    .close = close_comm,
    .destroy = destroy_comm,
    .group = group_comm,
    .mpi = no_mpi,
    .node_size = node_size,
    .batch_create = dti_sim_batch_create,
    .send = dti_sim_send,
    .recv = dti_sim_recv,
    .allreduce = dti_sim_allreduce,
    .allgather = dti_sim_allgather,
    .test = dti_sim_test,
    .idle = dti_sim_idle,
    .batch_destroy = dti_sim_batch_destroy,
};

dtensor_status dti_sim_comm_create(dtensor_sim *me, sim_group *group, int rank, dti_comm **out) {
  *out = NULL;
  sim_comm *comm = calloc(1, sizeof *comm);
  DTI_CHECK(comm, DTENSOR_ENOMEM, "a communicator of %d ranks", group->size);
  comm->me = me;
  comm->group = group;
  const dtensor_status status = dti_comm_init(&comm->base, &backend, rank, group->size);
  if (status != DTENSOR_OK) {
    free(comm);
    return status;
  }
  dti_refcount_retain(&me->world->refs);
  *out = &comm->base;
  return DTENSOR_OK;
}

dti_comm *dti_sim_comm(dtensor_sim *rank) { return rank->comm; }
