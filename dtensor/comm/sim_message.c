/* Messages of simulated ranks: a send and a receive meet in the mailbox of the receiving rank. */
#include <string.h>

#include "dtensor/comm/sim_world.h"

static sim_group *group_of(const sim_operation *operation) {
  return ((sim_comm *)operation->batch->base.comm)->group;
}

static sim_world *world_of(const sim_operation *operation) {
  return ((sim_comm *)operation->batch->base.comm)->me->world;
}

static dtensor_sim *rank_of(const sim_operation *operation, int rank) {
  return &world_of(operation)->rank[group_of(operation)->rank[rank]];
}

static sim_queue *queue_of(const sim_operation *operation, sim_kind kind) {
  dtensor_sim *target = rank_of(operation, operation->target);
  const size_t hash = (size_t)group_of(operation) / sizeof(sim_group) +
                      (size_t)operation->source * 7 + (size_t)operation->tag;
  return &(kind == SIM_SEND ? target->sends : target->receives)[hash % SIM_QUEUES];
}

static int matches(const sim_operation *a, const sim_operation *b) {
  return a->source == b->source && a->tag == b->tag && group_of(a) == group_of(b);
}

static void count_receives(const sim_operation *operation, int change) {
  if (operation->kind == SIM_RECV)
    rank_of(operation, operation->target)->waiting_receives += change;
}

static void push(sim_queue *queue, sim_operation *operation) {
  operation->next = NULL;
  if (queue->last)
    queue->last->next = operation;
  else
    queue->first = operation;
  queue->last = operation;
  count_receives(operation, 1);
}

/* Take out what follows `before`; NULL: the first. */
static sim_operation *take_after(sim_queue *queue, sim_operation *before) {
  sim_operation **link = before ? &before->next : &queue->first;
  sim_operation *taken = *link;
  *link = taken->next;
  if (queue->last == taken) queue->last = before;
  count_receives(taken, -1);
  return taken;
}

static sim_operation *take_partner(const sim_operation *operation) {
  sim_queue *queue = queue_of(operation, operation->kind == SIM_SEND ? SIM_RECV : SIM_SEND);
  sim_operation *before = NULL;
  for (sim_operation *at = queue->first; at; before = at, at = at->next)
    if (matches(at, operation)) return take_after(queue, before);
  return NULL;
}

static void meet(sim_operation *a, sim_operation *b) {
  const sim_operation *send = a->kind == SIM_SEND ? a : b;
  sim_operation *receive = a->kind == SIM_SEND ? b : a;
  if (send->bytes != receive->bytes) {
    receive->batch->misfit = receive;
    receive->batch->misfit_bytes = send->bytes;
    dti_sim_finish(a);
    dti_sim_finish(b);
    return;
  }
  a->state = b->state = SIM_MEETING;
  sim_world *world = world_of(a);
  pthread_mutex_unlock(&world->lock);
  if (send->bytes > 0) memcpy(receive->out, send->in, send->bytes);
  pthread_mutex_lock(&world->lock);
  dti_sim_finish(a);
  dti_sim_finish(b);
}

void dti_sim_post_message(sim_operation *operation) {
  sim_operation *partner = take_partner(operation);
  if (partner) {
    meet(operation, partner);
    return;
  }
  const int peer = operation->kind == SIM_SEND ? operation->target : operation->source;
  const dtensor_sim *other = rank_of(operation, peer);
  if (other->ended)
    dti_sim_fail(operation, DTENSOR_EMPI, other->rank, NULL);
  else
    push(queue_of(operation, operation->kind), operation);
}

void dti_sim_withdraw_message(sim_operation *operation) {
  sim_queue *queue = queue_of(operation, operation->kind);
  sim_operation *before = NULL;
  for (sim_operation *at = queue->first; at != operation; at = at->next) before = at;
  const sim_comm *comm = (sim_comm *)operation->batch->base.comm;
  dti_sim_fail(take_after(queue, before), DTENSOR_EMPI, comm->me->rank, "has given up a message");
}

/* Fail what stands in a queue and has `ended` as its source, or all of it. */
static void release_queue(sim_queue *queue, const dtensor_sim *ended, int all) {
  sim_operation *before = NULL;
  for (sim_operation *at = queue->first; at;) {
    sim_operation *next = at->next;
    if (all || rank_of(at, at->source) == ended)
      dti_sim_fail(take_after(queue, before), DTENSOR_EMPI, ended->rank, NULL);
    else
      before = at;
    at = next;
  }
}

void dti_sim_release_waiting_messages(dtensor_sim *ended) {
  sim_world *world = ended->world;
  for (int q = 0; q < SIM_QUEUES; q++) release_queue(&ended->sends[q], ended, 1);
  for (int r = 0; r < world->size; r++) {
    if (world->rank[r].waiting_receives == 0) continue;
    for (int q = 0; q < SIM_QUEUES; q++) release_queue(&world->rank[r].receives[q], ended, 0);
  }
}
