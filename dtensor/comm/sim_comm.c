#include <stdlib.h>

#include "dtensor/base/fail.h"
#include "dtensor/comm/node_internal.h"
#include "dtensor/comm/sim_world.h"

static void close_comm(dti_comm *comm) { (void)comm; }

static void destroy_comm(dti_comm *base) {
  sim_world *world = ((sim_comm *)base)->me->world;
  free(base);
  dti_sim_world_release(&world);
}

static dtensor_status group_comm(dti_comm *parent_, int n, const int ranks[], int rank, int is_lane,
                                 dtensor_status mine, dti_comm **comm) {
  const sim_comm *parent = (sim_comm *)parent_;
  DTI_TRY(mine);
  int *of_world = malloc((size_t)n * sizeof *of_world);
  DTI_CHECK(of_world, DTENSOR_ENOMEM, "a group of %d ranks", n);
  for (int i = 0; i < n; i++) of_world[i] = parent->group->rank[ranks[i]];
  sim_group *group;
  const dtensor_status status =
      dti_sim_group(parent->me->world, parent->group, n, of_world, is_lane, &group);
  free(of_world);
  DTI_TRY(status);
  return dti_sim_comm_create(parent->me, group, rank, comm);
}

static MPI_Comm no_mpi(const dti_comm *comm) {
  (void)comm;
  return MPI_COMM_NULL;
}

/* Threads share all memory: an address is its own name. */
static void card_of(dti_card *card) { (void)card; }

static void reach(dti_comm *comm, const dti_card *card, dti_member *member, dti_reason *reason) {
  (void)card, (void)reason;
  const sim_comm *mine = (sim_comm *)comm;
  member->memory = NULL;
  member->peer = &mine->me->world->rank[mine->group->rank[member->rank]];
}

static void let_go(dti_member *member) { (void)member; }

static int64_t export_memory(const void *data, size_t bytes) {
  (void)bytes;
  return (int64_t)(uintptr_t)data;
}

static dtensor_status check(dti_comm *comm, const dti_member *member) {
  return dti_sim_check(((sim_comm *)comm)->me, member->peer);
}

static const dti_backend backend = {
    .close = close_comm,
    .destroy = destroy_comm,
    .group = group_comm,
    .mpi = no_mpi,
    .card = card_of,
    .reach = reach,
    .let_go = let_go,
    .export_memory = export_memory,
    .check = check,
    .batch_create = dti_sim_batch_create,
    .send = dti_sim_send,
    .recv = dti_sim_recv,
    .allreduce = dti_sim_allreduce,
    .allgather = dti_sim_allgather,
    .alltoallv = dti_sim_alltoallv,
    .allgatherv = dti_sim_allgatherv,
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
