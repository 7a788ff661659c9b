#include <inttypes.h>
#include <stdlib.h>

#include "dtensor/base/fail.h"
#include "dtensor/comm/sim_world.h"

static dtensor_sim *me_of(const dti_batch *batch) { return ((sim_comm *)batch->comm)->me; }

dtensor_status dti_sim_batch_create(dti_comm *comm, int64_t operations, const size_t bytes[],
                                    dti_batch **out) {
  (void)bytes;
  sim_batch *batch = calloc(1, sizeof *batch + (size_t)operations * sizeof batch->operation[0]);
  DTI_CHECK(batch, DTENSOR_ENOMEM, "a batch of %" PRId64 " messages", operations);
  batch->culprit = -1;
  dtensor_sim *me = ((sim_comm *)comm)->me;
  pthread_mutex_lock(&me->world->lock);
  batch->next = me->batches;
  me->batches = batch;
  pthread_mutex_unlock(&me->world->lock);
  *out = &batch->base;
  return DTENSOR_OK;
}

void dti_sim_finish(sim_operation *operation) {
  sim_batch *batch = operation->batch;
  operation->state = SIM_DONE;
  operation->next = NULL;
  if (batch->finished)
    batch->last_finished->next = operation;
  else
    batch->finished = operation;
  batch->last_finished = operation;
  pthread_cond_signal(&me_of(&batch->base)->changed);
}

void dti_sim_fail(sim_operation *operation, dtensor_status status, int culprit,
                  const char *reason) {
  sim_batch *batch = operation->batch;
  operation->state = SIM_DONE;
  batch->failure = status;
  batch->culprit = culprit;
  batch->reason = reason;
  pthread_cond_signal(&me_of(&batch->base)->changed);
}

static void post(dti_batch *base, sim_operation what, void (*how)(sim_operation *)) {
  sim_batch *batch = (sim_batch *)base;
  sim_operation *operation = &batch->operation[what.index];
  pthread_mutex_t *lock = &me_of(base)->world->lock;
  pthread_mutex_lock(lock);
  *operation = what;
  operation->batch = batch;
  how(operation);
  pthread_mutex_unlock(lock);
}

dtensor_status dti_sim_send(dti_batch *batch, int64_t index, const void *data, size_t bytes,
                            int peer, int tag) {
  post(batch,
       (sim_operation){.kind = SIM_SEND,
                       .index = index,
                       .in = data,
                       .bytes = batch->failed == DTENSOR_OK ? bytes : 0,
                       .source = batch->comm->rank,
                       .target = peer,
                       .tag = tag},
       dti_sim_post_message);
  return DTENSOR_OK;
}

dtensor_status dti_sim_recv(dti_batch *batch, int64_t index, void *data, size_t bytes, int peer,
                            int tag) {
  post(batch,
       (sim_operation){.kind = SIM_RECV,
                       .index = index,
                       .out = data,
                       .bytes = bytes,
                       .source = peer,
                       .target = batch->comm->rank,
                       .tag = tag},
       dti_sim_post_message);
  return DTENSOR_OK;
}

dtensor_status dti_sim_allreduce(dti_batch *batch, int64_t index, int64_t values[], int n,
                                 dti_comm_op op) {
  post(batch,
       (sim_operation){.kind = SIM_ALLREDUCE,
                       .index = index,
                       .in = values,
                       .out = values,
                       .bytes = (size_t)n * sizeof *values,
                       .source = batch->comm->rank,
                       .round = ((sim_comm *)batch->comm)->round++,
                       .op = op},
       dti_sim_post_collective);
  return DTENSOR_OK;
}

dtensor_status dti_sim_allgather(dti_batch *batch, int64_t index, const void *in, size_t bytes,
                                 void *out) {
  post(batch,
       (sim_operation){.kind = SIM_ALLGATHER,
                       .index = index,
                       .in = in,
                       .out = out,
                       .bytes = bytes,
                       .source = batch->comm->rank,
                       .round = ((sim_comm *)batch->comm)->round++},
       dti_sim_post_collective);
  return DTENSOR_OK;
}

dtensor_status dti_sim_alltoallv(dti_batch *batch, int64_t index, const void *in,
                                 const int in_bytes[], const int in_at[], void *out,
                                 const int out_bytes[], const int out_at[]) {
  post(batch,
       (sim_operation){.kind = SIM_ALLTOALLV,
                       .index = index,
                       .in = in,
                       .in_bytes = in_bytes,
                       .in_at = in_at,
                       .out = out,
                       .out_bytes = out_bytes,
                       .out_at = out_at,
                       .source = batch->comm->rank,
                       .round = ((sim_comm *)batch->comm)->round++},
       dti_sim_post_collective);
  return DTENSOR_OK;
}

dtensor_status dti_sim_allgatherv(dti_batch *batch, int64_t index, const void *in, int bytes,
                                  void *out, const int out_bytes[], const int out_at[]) {
  post(batch,
       (sim_operation){.kind = SIM_ALLGATHERV,
                       .index = index,
                       .in = in,
                       .out = out,
                       .bytes = (size_t)bytes,
                       .out_bytes = out_bytes,
                       .out_at = out_at,
                       .source = batch->comm->rank,
                       .round = ((sim_comm *)batch->comm)->round++},
       dti_sim_post_collective);
  return DTENSOR_OK;
}

dtensor_status dti_sim_blame(dtensor_sim *me, const dtensor_sim *culprit, dtensor_status failure,
                             const char *reason) {
  culprit = &me->world->rank[culprit->origin];
  me->released = 1;
  me->origin = culprit->rank;
  if (!culprit->ended)
    return DTI_FAIL(failure, "rank %d %s", culprit->rank, reason ? reason : "has given up");
  if (culprit->status == DTENSOR_OK)
    return DTI_FAIL(failure, "rank %d has ended, and this rank waits for it", culprit->rank);
  return DTI_FAIL(failure, "rank %d has ended with %s: %s", culprit->rank,
                  dtensor_status_name(culprit->status), culprit->message);
}

static dtensor_status failure_of(const sim_batch *batch, dtensor_sim *me) {
  if (batch->culprit < 0) return DTI_FAIL(batch->failure, "%s", batch->reason);
  return dti_sim_blame(me, &me->world->rank[batch->culprit], batch->failure, batch->reason);
}

dtensor_status dti_sim_check(dtensor_sim *me, const dtensor_sim *awaited) {
  dtensor_status status = DTENSOR_OK;
  pthread_mutex_lock(&me->world->lock);
  if (awaited->ended) status = dti_sim_blame(me, awaited, DTENSOR_EMPI, NULL);
  pthread_mutex_unlock(&me->world->lock);
  return status;
}

dtensor_status dti_sim_test(dti_batch *base, int64_t done[], int64_t *n) {
  sim_batch *batch = (sim_batch *)base;
  dtensor_sim *me = me_of(base);
  dtensor_status status = DTENSOR_OK;
  pthread_mutex_lock(&me->world->lock);
  for (const sim_operation *at = batch->finished; at; at = at->next) {
    if (done) done[*n] = at->index;
    ++*n;
  }
  batch->finished = batch->last_finished = NULL;
  const sim_operation *misfit = batch->misfit;
  if (misfit && base->failed == DTENSOR_OK)
    base->failed =
        dti_message_failure(misfit->source, (int64_t)batch->misfit_bytes, (int64_t)misfit->bytes);
  if (batch->failure != DTENSOR_OK) status = failure_of(batch, me);
  pthread_mutex_unlock(&me->world->lock);
  return status;
}

void dti_sim_idle(dti_batch *base, int64_t round) {
  (void)round; /* it sleeps until there is news */
  const sim_batch *batch = (sim_batch *)base;
  dtensor_sim *me = me_of(base);
  pthread_mutex_lock(&me->world->lock);
  while (!batch->finished && batch->failure == DTENSOR_OK)
    pthread_cond_wait(&me->changed, &me->world->lock);
  pthread_mutex_unlock(&me->world->lock);
}

void dti_sim_withdraw_batch(sim_batch *batch) {
  dtensor_sim *me = me_of(&batch->base);
  for (int64_t i = 0; i < batch->base.started; i++) {
    sim_operation *operation = &batch->operation[i];
    while (operation->state == SIM_MEETING) pthread_cond_wait(&me->changed, &me->world->lock);
    if (operation->state == SIM_DONE) continue;
    if (operation->kind == SIM_SEND || operation->kind == SIM_RECV)
      dti_sim_withdraw_message(operation);
    else
      dti_sim_withdraw_collective(operation);
  }
}

void dti_sim_batch_destroy(dti_batch *base) {
  sim_batch *batch = (sim_batch *)base;
  dtensor_sim *me = me_of(base);
  pthread_mutex_lock(&me->world->lock);
  dti_sim_withdraw_batch(batch);
  sim_batch **link = &me->batches;
  while (*link != batch) link = &(*link)->next;
  *link = batch->next;
  pthread_mutex_unlock(&me->world->lock);
  free(batch);
}
