/* Collectives of simulated ranks: the last to arrive combines the values of all. */
#include <string.h>

#include "dtensor/comm/sim_world.h"

static sim_group *group_of(const sim_operation *operation) {
  return ((sim_comm *)operation->batch->base.comm)->group;
}

/* Over the first of a round and all who came after it. */
static sim_operation *next_of_round(const sim_operation *first, const sim_operation *at) {
  return at == first ? first->arrived : at->next;
}

static void combine(int64_t *into, const int64_t *value, size_t n, dti_comm_op op) {
  for (size_t i = 0; i < n; i++) {
    const int64_t a = into[i], b = value[i];
    switch (op) {
      case DTI_COMM_MIN:
        into[i] = a < b ? a : b;
        break;
      case DTI_COMM_MAX:
        into[i] = a > b ? a : b;
        break;
      case DTI_COMM_SUM:
        into[i] = (int64_t)((uint64_t)a + (uint64_t)b);
        break;
    }
  }
}

/* Make the result in the first one's memory, then copy it to the others. */
static void compute(sim_operation *first) {
  const int reduce = first->kind == SIM_ALLREDUCE;
  for (sim_operation *at = first; at; at = next_of_round(first, at)) {
    if (!reduce && first->bytes > 0)
      memcpy((char *)first->out + (size_t)at->source * first->bytes, at->in, first->bytes);
    else if (reduce && at != first)
      combine(first->out, at->in, first->bytes / sizeof(int64_t), first->op);
  }
  const size_t bytes = reduce ? first->bytes : first->bytes * (size_t)first->n_arrived;
  if (bytes == 0) return;
  for (sim_operation *at = first->arrived; at; at = at->next) memcpy(at->out, first->out, bytes);
}

static int moves_data(const sim_operation *operation) {
  return operation->kind == SIM_ALLTOALLV || operation->kind == SIM_ALLGATHERV;
}

/* What `from` gives to `to`. */
static size_t bytes_between(const sim_operation *from, const sim_operation *to) {
  return from->in_bytes ? (size_t)from->in_bytes[to->source] : from->bytes;
}

/* Whether each gives as much as the other expects. */
static int is_balanced(const sim_operation *first) {
  for (const sim_operation *to = first; to; to = next_of_round(first, to))
    for (const sim_operation *from = first; from; from = next_of_round(first, from))
      if (bytes_between(from, to) != (size_t)to->out_bytes[from->source]) return 0;
  return 1;
}

static void deliver(const sim_operation *first) {
  for (const sim_operation *to = first; to; to = next_of_round(first, to))
    for (const sim_operation *from = first; from; from = next_of_round(first, from)) {
      const size_t bytes = bytes_between(from, to);
      const int at = from->in_at ? from->in_at[to->source] : 0;
      if (bytes > 0)
        memcpy((char *)to->out + to->out_at[from->source], (const char *)from->in + at, bytes);
    }
}

static void fail_round(sim_operation *first, const sim_group *group) {
  for (sim_operation *at = first, *next; at; at = next) {
    next = next_of_round(first, at);
    dti_sim_fail(at, group->failure, group->culprit, group->reason);
  }
}

/* No collective of the group can end any more. */
static void break_group(sim_group *group, dtensor_status status, int culprit, const char *reason) {
  group->failure = status;
  group->culprit = culprit;
  group->reason = reason;
  while (group->rounds) {
    sim_operation *first = group->rounds;
    group->rounds = first->next;
    fail_round(first, group);
  }
}

static int has_member(const sim_group *group, int rank) {
  for (int i = 0; i < group->size; i++)
    if (group->rank[i] == rank) return 1;
  return 0;
}

/* A member that has ended has not arrived in a round that is still open, and never will. */
static void look_for_ended_members(const sim_world *world, sim_group *group) {
  if (world->n_ended == 0 || group->failure != DTENSOR_OK) return;
  for (int i = 0; i < group->size; i++)
    if (world->rank[group->rank[i]].ended) {
      break_group(group, DTENSOR_EMPI, group->rank[i], NULL);
      return;
    }
}

void dti_sim_post_collective(sim_operation *operation) {
  sim_group *group = group_of(operation);
  look_for_ended_members(((sim_comm *)operation->batch->base.comm)->me->world, group);
  if (group->failure != DTENSOR_OK) {
    dti_sim_fail(operation, group->failure, group->culprit, group->reason);
    return;
  }
  operation->next = operation->arrived = NULL;
  operation->n_arrived = 1;
  sim_operation **link = &group->rounds;
  while (*link && (*link)->round != operation->round) link = &(*link)->next;
  sim_operation *first = *link;
  if (!first) {
    *link = first = operation;
  } else {
    operation->next = first->arrived;
    first->arrived = operation;
    first->n_arrived++;
  }
  if (first->kind != operation->kind || first->op != operation->op ||
      (first->bytes != operation->bytes && !moves_data(first))) {
    break_group(group, DTENSOR_EDIVERGED, -1, "the ranks are in different collective calls");
    return;
  }
  if (first->n_arrived < group->size) return;
  if (moves_data(first) && !is_balanced(first)) {
    break_group(group, DTENSOR_EDIVERGED, -1, "a rank sends more or less than another expects");
    return;
  }
  *link = first->next;
  if (moves_data(first))
    deliver(first);
  else
    compute(first);
  for (sim_operation *at = first, *next; at; at = next) {
    next = next_of_round(first, at);
    dti_sim_finish(at);
  }
}

void dti_sim_withdraw_collective(sim_operation *operation) {
  const sim_comm *comm = (sim_comm *)operation->batch->base.comm;
  break_group(comm->group, DTENSOR_EMPI, comm->me->rank, "has given up a collective call");
}

void dti_sim_release_waiting_collectives(dtensor_sim *ended) {
  for (sim_group *group = ended->world->groups; group; group = group->next)
    if (group->rounds && has_member(group, ended->rank))
      break_group(group, DTENSOR_EMPI, ended->rank, NULL);
}
