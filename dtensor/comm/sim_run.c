#define _POSIX_C_SOURCE 200809L /* pthread_attr_setstacksize */
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "dtensor/base/fail.h"
#include "dtensor/comm/sim_world.h"

#define STACK_BYTES ((size_t)4 << 20) /* address space: pages that are not touched cost nothing */

int dtensor_sim_rank(const dtensor_sim *rank) { return rank->rank; }

int dtensor_sim_size(const dtensor_sim *rank) { return rank->world->size; }

/* Leave, and let go all who wait for this rank. */
static void end(dtensor_sim *me, dtensor_status status) {
  sim_world *world = me->world;
  pthread_mutex_lock(&world->lock);
  me->status = status;
  if (status != DTENSOR_OK) snprintf(me->message, sizeof me->message, "%s", dtensor_last_error());
  if (status != DTENSOR_EMPI || !me->released) me->origin = me->rank;
  for (sim_batch *batch = me->batches; batch; batch = batch->next) dti_sim_withdraw_batch(batch);
  me->ended = 1;
  world->n_ended++;
  dti_sim_release_waiting_messages(me);
  dti_sim_release_waiting_collectives(me);
  pthread_mutex_unlock(&world->lock);
}

static void *run_rank(void *rank) {
  dtensor_sim *me = rank;
  sim_world *world = me->world;
  pthread_mutex_lock(&world->lock);
  while (world->started == 0) pthread_cond_wait(&world->start, &world->lock);
  const int started = world->started;
  pthread_mutex_unlock(&world->lock);
  if (started < 0) return NULL;
  dti_fail_set_rank(me->rank, world->size);
  end(me, world->body(me, world->ctx));
  return NULL;
}

static dtensor_status create_comms(sim_world *world) {
  int *everybody = malloc(2 * (size_t)world->size * sizeof *everybody);
  DTI_CHECK(everybody, DTENSOR_ENOMEM, "a world of %d ranks", world->size);
  for (int i = 0; i < world->size; i++) everybody[i] = i;
  sim_group *group;
  dtensor_status status = dti_sim_group(world, NULL, world->size, everybody, 0, &group);
  for (int i = 0; i < world->size && status == DTENSOR_OK; i++)
    status = dti_sim_comm_create(&world->rank[i], group, i, &world->rank[i].comm);
  for (int i = 0; i < world->size; i++) everybody[i] = i / world->ranks_per_node;
  for (int i = 0; i < world->size && status == DTENSOR_OK; i++)
    dti_comm_set_nodes(world->rank[i].comm, everybody, world->size, everybody + world->size);
  free(everybody);
  return status;
}

static void close_comms(sim_world *world) {
  for (int i = 0; i < world->size; i++) {
    dti_comm *comm = world->rank[i].comm;
    if (!comm) continue;
    dti_comm_close(comm);
    dti_comm_release(&comm);
  }
}

/* All threads or none: they wait at the start until the last one is there. */
static dtensor_status run_threads(sim_world *world) {
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, STACK_BYTES);
  int n = 0;
  while (n < world->size &&
         pthread_create(&world->rank[n].thread, &attributes, run_rank, &world->rank[n]) == 0)
    n++;
  pthread_attr_destroy(&attributes);

  pthread_mutex_lock(&world->lock);
  world->started = n == world->size ? 1 : -1;
  pthread_cond_broadcast(&world->start);
  pthread_mutex_unlock(&world->lock);
  for (int i = 0; i < n; i++) pthread_join(world->rank[i].thread, NULL);
  DTI_CHECK(n == world->size, DTENSOR_ENOMEM, "thread %d of %d could not be started", n,
            world->size);
  return DTENSOR_OK;
}

/* The first that failed by itself, rather than because another one had. */
static const dtensor_sim *first_failure(const sim_world *world) {
  const dtensor_sim *first = NULL;
  for (int i = world->size - 1; i >= 0; i--) {
    const dtensor_sim *rank = &world->rank[i];
    if (rank->status == DTENSOR_OK) continue;
    if (!first || rank->origin == i || first->origin != first->rank) first = rank;
  }
  return first;
}

dtensor_status dtensor_sim_run(int ranks, dtensor_status (*body)(dtensor_sim *rank, void *ctx),
                               void *ctx) {
  DTI_API();
  return dtensor_sim_run_nodes(ranks, INT_MAX, body, ctx);
}

dtensor_status dtensor_sim_run_nodes(int ranks, int ranks_per_node,
                                     dtensor_status (*body)(dtensor_sim *rank, void *ctx),
                                     void *ctx) {
  DTI_API();
  DTI_CHECK(ranks >= 1, DTENSOR_EINVAL, "%d ranks; there must be at least one", ranks);
  DTI_CHECK(ranks_per_node >= 1, DTENSOR_EINVAL, "%d ranks per node; there must be at least one",
            ranks_per_node);
  DTI_CHECK(body, DTENSOR_EINVAL, "there is no body to run");
  sim_world *world;
  DTI_TRY(dti_sim_world_create(ranks, ranks_per_node, &world));
  world->body = body;
  world->ctx = ctx;
  dtensor_status status = create_comms(world);
  if (status == DTENSOR_OK) status = run_threads(world);
  const dtensor_sim *failed = status == DTENSOR_OK ? first_failure(world) : NULL;
  if (failed)
    status = DTI_FAIL(failed->status, "rank %d: %s", failed->rank,
                      failed->message[0] ? failed->message : "no message");
  close_comms(world);
  dti_sim_world_release(&world);
  return status;
}
