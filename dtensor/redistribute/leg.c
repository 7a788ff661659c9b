#include "dtensor/redistribute/leg.h"

#include <stdlib.h>

#include "dtensor/base/alloc.h"
#include "dtensor/redistribute/hierarchy.h"
#include "dtensor/redistribute/members.h"
#include "dtensor/redistribute/near.h"

int dti_leg_rank(const dti_leg *leg, const dti_leg_side *side, int64_t place) {
  if (place == DTI_SELF) return dti_comm_rank(leg->comm);
  return leg->ranks_are_places ? (int)place : dti_mesh_root_rank(side->mesh, place);
}

static int is_hierarchical(const dti_leg *leg) { return leg->engine == DTI_ENGINE_HIERARCHICAL; }

dtensor_status dti_leg_prepare(dti_leg *leg) {
  if (dti_leg_is_collective(leg)) return dti_collective_prepare(leg);
  if (is_hierarchical(leg)) return dti_hierarchy_leg_prepare(leg);
  return dti_leg_is_gather(leg) ? dti_gather_leg_prepare(leg) : dti_exchange_leg_prepare(leg);
}

int dti_leg_post(dti_leg *leg, int64_t verdict) {
  if (leg->node && !leg->posted) leg->posted = dti_near_post(leg, verdict);
  return !leg->node || leg->posted;
}

int dti_leg_all_posted(const dti_leg *leg, int64_t *verdict) {
  if (!leg->node) return 1;
  if (!leg->posted || !dti_node_all_posted(leg->node, leg->meeting)) return 0;
  const int64_t theirs = dti_near_verdict(leg);
  if (theirs < *verdict) *verdict = theirs;
  return 1;
}

dtensor_status dti_leg_start(dti_leg *leg) {
  if (dti_leg_is_collective(leg)) return dti_collective_start(leg);
  if (is_hierarchical(leg)) return dti_hierarchy_leg_start(leg);
  return dti_leg_is_gather(leg) ? dti_gather_leg_start(leg) : dti_exchange_leg_start(leg);
}

dtensor_status dti_leg_release(dti_leg *leg, dti_hold hold) {
  if (leg->hold <= hold) return DTENSOR_OK;
  leg->hold = hold;
  return dti_streams_push(leg);
}

dtensor_status dti_leg_advance(dti_leg *leg, int *done) {
  if (dti_leg_is_collective(leg)) return dti_collective_advance(leg, done);
  if (is_hierarchical(leg)) return dti_hierarchy_leg_advance(leg, done);
  return dti_leg_is_gather(leg) ? dti_gather_leg_advance(leg, done)
                                : dti_exchange_leg_advance(leg, done);
}

/* Another member that has not posted, or, if all have, one that has not left. While this rank has
 * no room to post, it waits for members in an earlier meeting, who cannot have posted either. */
static int awaited_member(const dti_leg *leg) {
  const int members = dti_node_size(leg->node);
  for (int m = 0; m < members; m++)
    if (m != dti_node_rank(leg->node) && !dti_node_has_posted(leg->node, leg->meeting, m)) return m;
  for (int m = 0; leg->left && m < members; m++)
    if (!dti_node_has_left(leg->node, leg->meeting, m)) return m;
  return leg->hierarchy ? dti_hierarchy_awaited_member(leg) : -1;
}

dtensor_status dti_leg_check(const dti_leg *leg) {
  if (!leg->node) return DTENSOR_OK;
  const int member = awaited_member(leg);
  if (member < 0) return DTENSOR_OK;
  const dtensor_status status = dti_node_check(leg->node, member);
  /* It may have come in the meantime, and ended after that. */
  return status == DTENSOR_OK || awaited_member(leg) != member ? DTENSOR_OK : status;
}

void dti_leg_fail(dti_leg *leg, dtensor_status failure) {
  if (failure == DTENSOR_OK || leg->failure != DTENSOR_OK) return;
  leg->failure = failure;
  dti_batch_fail(leg->streams.batch, failure);
  dti_batch_fail(leg->batch, failure);
  if (leg->hierarchy) dti_batch_fail(leg->hierarchy->batch, failure);
}

static void lose(dti_batch **batch, dtensor_status failure) {
  dti_batch_give_up(*batch, failure);
  dti_batch_destroy(batch);
}

void dti_leg_give_up(dti_leg *leg, dtensor_status failure) {
  dti_leg_fail(leg, failure);
  lose(&leg->streams.batch, failure);
  lose(&leg->batch, failure);
  if (leg->hierarchy) {
    lose(&leg->hierarchy->batch, failure);
    leg->hierarchy->receives_open = 0;
  }
  if (dti_leg_is_collective(leg)) {
    lose(&leg->collective.batch, failure);
    dti_turn_leave(&leg->collective.turn);
  }
}

int dti_leg_is_forsaken(dti_leg *leg) {
  if (!leg->node) return 1;
  const int is_read = leg->posted;
  if (is_read) dti_near_retract(leg);
  if (!dti_leg_post(leg, dti_agree_value(leg->failure, dti_comm_rank(leg->comm)))) return 0;
  if (!leg->left) dti_node_leave(leg->node, leg->meeting);
  leg->left = 1;
  return !is_read || dti_node_all_left(leg->node, leg->meeting);
}

/* What a rank brings to a gather, and what it gets from all others. */
static int64_t own_bytes(const dti_leg *leg) { return leg->elements * (int64_t)leg->part->element; }

static int64_t gather_bytes(const dti_leg *leg) {
  return (dti_members(leg->part->to.mesh, leg->gathers) - 1) * own_bytes(leg);
}

int64_t dti_leg_bytes_received(const dti_leg *leg) {
  if (dti_leg_is_gather(leg)) return gather_bytes(leg);
  int64_t bytes = 0;
  for (int p = 0; p < leg->parts; p++) {
    const dti_leg_part *part = &leg->part[p];
    const int64_t copied = part->copies ? part->copies->elements_received : 0;
    bytes += (part->exchange->elements_received + copied) * (int64_t)part->element;
  }
  return bytes;
}

int64_t dti_leg_bytes_sent(const dti_leg *leg) {
  if (dti_leg_is_gather(leg)) return gather_bytes(leg);
  int64_t bytes = 0;
  for (int p = 0; p < leg->parts; p++) {
    const dti_leg_part *part = &leg->part[p];
    const int64_t copied = part->copies ? part->copies->elements_sent : 0;
    bytes += (part->exchange->elements_sent + copied) * (int64_t)part->element;
  }
  return bytes;
}

int64_t dti_leg_workspace(const dti_leg *leg) {
  if (dti_leg_is_gather(leg)) return gather_bytes(leg) + own_bytes(leg);
  const int64_t carried = leg->hierarchy ? leg->hierarchy->workspace : 0;
  return leg->streams.bytes_in_buffers + leg->bytes_lent + leg->collective.bytes_in_buffers +
         carried;
}

void dti_leg_free(dti_leg *leg) {
  if (!leg->part && !leg->node) return; /* once is enough */
  dti_hierarchy_free(leg);
  if (leg->node && !leg->left) dti_node_leave(leg->node, leg->meeting);
  if (leg->has_far_peers) dti_streams_free(&leg->streams);
  if (dti_leg_is_collective(leg)) dti_collective_free(&leg->collective);
  dti_batch_destroy(&leg->batch);
  for (int p = 0; leg->part && p < leg->parts; p++) {
    dti_free(leg->part[p].lent_from);
    dti_free(leg->part[p].lent_to);
  }
  if (leg->input != leg->few[0]) free(leg->input);
  if (leg->output != leg->few[1]) free(leg->output);
  dti_free(leg->entries);
  dti_free(leg->gathered);
  leg->part = NULL;
  leg->node = NULL;
}
