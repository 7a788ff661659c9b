#include <stdlib.h>
#include <string.h>

#include "dtensor/base/event.h"
#include "dtensor/base/fail.h"
#include "dtensor/kernels/strided.h"
#include "dtensor/redistribute/leg.h"
#include "dtensor/redistribute/near.h"
#include "dtensor/redistribute/packed.h"
#include "dtensor/redistribute/share_out.h"

dtensor_status dti_leg_make_lists(dti_leg *leg) {
  int64_t inputs = 1, outputs = 1;
  for (int p = 0; p < leg->parts; p++) {
    const dti_exchange *x = leg->part[p].exchange;
    if (x->parcels > 0 && x->parcel[0].contributions > inputs) inputs = x->parcel[0].contributions;
    const dti_exchange *copies = leg->part[p].copies;
    if (copies && copies->sends >= outputs) outputs = copies->sends + 1;
  }
  leg->input = leg->few[0];
  leg->output = leg->few[1];
  if (inputs > DTI_LEG_FEW) leg->input = malloc((size_t)inputs * sizeof *leg->input);
  if (outputs > DTI_LEG_FEW) leg->output = malloc((size_t)outputs * sizeof *leg->output);
  DTI_CHECK(leg->input && leg->output, DTENSOR_ENOMEM, "no memory for a table of %lld arrays",
            (long long)(inputs + outputs));
  return DTENSOR_OK;
}

dtensor_status dti_exchange_leg_prepare(dti_leg *leg) {
  DTI_TRY(dti_leg_make_lists(leg));
  if (leg->node) DTI_TRY(dti_near_prepare(leg));
  return leg->has_far_peers ? dti_streams_prepare(leg) : DTENSOR_OK;
}

/* ---- Parcels ---- */

static void fill_box(const dti_leg *leg, const dti_leg_part *part, const dti_box *box,
                     const void *value) {
  dti_array array = {.data = part->to.data, .ndim = part->to.layout->ndim};
  int64_t begin[DTENSOR_MAX_NDIM], offset = 0;
  dti_layout_local_box(part->to.layout, part->to.mesh->coord, box->to, box->shape, begin,
                       array.shape);
  for (int d = 0; d < array.ndim; d++) {
    array.stride[d] = part->to.stride[d];
    offset += begin[d] * array.stride[d];
  }
  array.data = (char *)array.data + offset * (int64_t)part->element;
  dti_fill(&array, value, part->element, leg->threads);
}

static void fill_part(const dti_leg *leg, const dti_leg_part *part) {
  _Alignas(16) unsigned char identity[16];
  dti_identity(part->dtype, part->exchange->fill_op, identity);
  dti_box box = part->box;
  if (!box.runs) fill_box(leg, part, &box, identity);
  for (int64_t i = 0; box.runs && i < box.cuts; i++) {
    box.to[box.cut_dim] = part->box.to[box.cut_dim] + box.runs[i].begin;
    box.shape[box.cut_dim] = box.runs[i].length;
    fill_box(leg, part, &box, identity);
  }
}

/* The stream that brings the contributions of a source; NULL if they are on this node. */
static dti_stream *stream_of(const dti_leg *leg, const dti_leg_part *part, int64_t source) {
  if (leg->streams.receives == 0 || source == DTI_SELF) return NULL;
  return dti_streams_from(&leg->streams, dti_leg_rank(leg, &part->from, source));
}

static int comes_by_stream(const dti_leg *leg, const dti_leg_part *part, const dti_parcel *parcel) {
  for (int64_t k = 0; k < parcel->contributions; k++)
    if (stream_of(leg, part, parcel->sources[k])) return 1;
  return 0;
}

dti_part dti_leg_source(const dti_leg *leg, int p, int64_t source, const dti_region *region) {
  const dti_leg_part *part = &leg->part[p];
  if (source == DTI_SELF) return (dti_part){part->from.data, part->from.stride, region};
  const dti_near_array near = dti_near_source(leg, p, dti_leg_rank(leg, &part->from, source));
  return (dti_part){near.data, near.stride, region};
}

void dti_leg_list_inputs(const dti_leg *leg, int p, const dti_parcel *parcel) {
  for (int64_t k = 0; k < parcel->contributions; k++)
    leg->input[k] = dti_leg_source(leg, p, parcel->sources[k], &parcel->theirs);
}

/* A parcel of which all sources are on this node. */
static void settle_parcel(dti_leg *leg, int p, const dti_parcel *parcel) {
  const dti_leg_part *part = &leg->part[p];
  const dti_exchange *x = part->exchange;
  dti_leg_list_inputs(leg, p, parcel);
  if (!leg->input[0].data) { /* its owner delivers it */
    leg->takes_delivery = 1;
    return;
  }
  const dti_part out = {part->to.data, part->to.stride, &parcel->region};
  dti_combine(part->dtype, x->op, x->divisor, (int)parcel->contributions, leg->input, 1, &out,
              leg->threads);
}

/* Everything that has its sources on this node: begins with other parcels on other ranks, so that
 * not all of them read the same memory at once. */
static void settle_near(dti_leg *leg) {
  for (int p = 0; p < leg->parts; p++) {
    const dti_leg_part *part = &leg->part[p];
    const dti_exchange *x = part->exchange;
    if (part->kind == DTI_PART_SHARE_OUT) {
      dti_share_out(leg, p);
      continue;
    }
    const int64_t first = x->parcels * dti_comm_rank(leg->comm) / dti_comm_size(leg->comm);
    for (int64_t i = 0; i < x->parcels; i++) {
      const dti_parcel *parcel = &x->parcel[(first + i) % x->parcels];
      if (!comes_by_stream(leg, part, parcel)) settle_parcel(leg, p, parcel);
    }
    if (leg->node) dti_near_deliver(leg, p);
  }
}

/* ---- Chunks that come in messages ---- */

static int is_at(const dti_stream *stream, int part, int64_t index, int64_t chunk) {
  const dti_segment *s = &stream->segment[stream->at.segment];
  return s->part == part && s->index == index && stream->at.chunk == chunk;
}

/* Whether the contributions to the chunk at the head of a stream are all there. */
static int is_complete(const dti_leg *leg, const dti_stream *stream) {
  const dti_segment *s = &stream->segment[stream->at.segment];
  const dti_leg_part *part = &leg->part[s->part];
  const dti_parcel *parcel = &part->exchange->parcel[s->index];
  for (int64_t k = 0; k < parcel->contributions && parcel->contributions > 1; k++) {
    const dti_stream *other = stream_of(leg, part, parcel->sources[k]);
    if (other &&
        !(dti_stream_has_chunk(other) && is_at(other, s->part, s->index, stream->at.chunk)))
      return 0;
  }
  return 1;
}

/* Put the chunk at the head of a stream, and what belongs to it from others, in its place. */
static void place_chunk(dti_leg *leg, const dti_stream *stream) {
  const dti_segment s = stream->segment[stream->at.segment];
  const int64_t chunk = stream->at.chunk;
  const dti_leg_part *part = &leg->part[s.part];
  const dti_exchange *x = part->exchange;
  const dti_parcel *parcel = &x->parcel[s.index];
  dti_chunk_room *room = leg->streams.room;
  const dti_region region = dti_chunk_region(&s.chunks, &parcel->region, chunk, &room[0]);
  const dti_region theirs = dti_chunk_region(&s.chunks, &parcel->theirs, chunk, &room[1]);
  dti_packed packed;
  dti_packed_set(&packed, &region);

  int is_in_place = 0;
  for (int64_t k = 0; k < parcel->contributions; k++) {
    const dti_stream *from = stream_of(leg, part, parcel->sources[k]);
    if (!from) {
      leg->input[k] = dti_leg_source(leg, s.part, parcel->sources[k], &theirs);
      continue;
    }
    const void *data = dti_stream_chunk(from);
    is_in_place = !data;
    leg->input[k] = (dti_part){(void *)(uintptr_t)data, packed.stride, &packed.region};
  }
  if (is_in_place) return;
  const dti_part out = {part->to.data, part->to.stride, &region};
  dti_combine(part->dtype, x->op, x->divisor, (int)parcel->contributions, leg->input, 1, &out,
              leg->threads);
}

/* After that all of these streams move on. */
static void settle_chunk(dti_leg *leg, const dti_stream *stream) {
  const dti_segment s = stream->segment[stream->at.segment];
  const dti_leg_part *part = &leg->part[s.part];
  const dti_parcel *parcel = &part->exchange->parcel[s.index];
  if (leg->failure == DTENSOR_OK) place_chunk(leg, stream);
  for (int64_t k = 0; k < parcel->contributions; k++) {
    dti_stream *from = stream_of(leg, part, parcel->sources[k]);
    if (from) dti_stream_advance(leg, from);
  }
}

static int settle_streams(dti_leg *leg) {
  int settled = 0;
  for (int64_t i = 0; i < leg->streams.receives; i++) {
    dti_stream *stream = &leg->streams.receive[i];
    for (; dti_stream_has_chunk(stream) && is_complete(leg, stream); settled = 1)
      settle_chunk(leg, stream);
  }
  return settled;
}

/* ---- Running ---- */

/* What goes through shared memory is counted like messages: it is moved all the same. */
static void count_near(const dti_leg *leg) {
  dti_counters *counters = dti_event_counters();
  for (int p = 0; p < leg->parts; p++) {
    const dti_leg_part *part = &leg->part[p];
    const dti_exchange *exchanges[] = {part->exchange, part->copies};
    for (int e = 0; e < 2 && exchanges[e]; e++) {
      const dti_exchange *x = exchanges[e];
      if (!leg->has_far_peers) {
        counters->messages_sent += x->sends;
        counters->messages_received += x->messages_received;
        counters->bytes_sent += x->elements_sent * (int64_t)part->element;
        counters->bytes_received += x->elements_received * (int64_t)part->element;
        continue;
      }
      for (int64_t i = 0; i < x->sends; i++) {
        if (!dti_is_near(leg, dti_leg_rank(leg, &part->to, x->send[i].peer))) continue;
        counters->messages_sent++;
        counters->bytes_sent += x->send[i].region.elements * (int64_t)part->element;
      }
      for (int64_t i = 0; i < x->parcels; i++)
        for (int64_t k = 0; k < x->parcel[i].contributions; k++) {
          if (!dti_is_near(leg, dti_leg_rank(leg, &part->from, x->parcel[i].sources[k]))) continue;
          counters->messages_received++;
          counters->bytes_received += x->parcel[i].region.elements * (int64_t)part->element;
        }
    }
  }
}

void dti_leg_fill(dti_leg *leg) {
  for (int p = 0; p < leg->parts && !leg->is_filled; p++)
    if (leg->part[p].exchange->fill) fill_part(leg, &leg->part[p]);
  leg->is_filled = 1;
}

dtensor_status dti_exchange_leg_start(dti_leg *leg) {
  dti_leg_fill(leg);
  if (leg->node) count_near(leg);
  return dti_streams_push(leg);
}

/* Read what lies on this node, as soon as all of its ranks are here: 1 if it was. A rank that fails
 * after its post does its part for the neighbours all the same, as its own array is good; one that
 * failed before has none, and they fail with it. */
static int collect(dti_leg *leg) {
  if (leg->collected) return 1;
  int64_t verdict = DTI_ALL_IS_WELL;
  if (leg->hold >= DTI_HOLD_OWN ||
      !dti_leg_post(leg, dti_agree_value(leg->failure, dti_comm_rank(leg->comm))) ||
      !dti_leg_all_posted(leg, &verdict))
    return 0;
  if (verdict == DTI_ALL_IS_WELL)
    settle_near(leg);
  else if (leg->failure == DTENSOR_OK)
    dti_leg_fail(leg, dti_agree_verdict(DTENSOR_OK, verdict));
  leg->collected = 1;
  return 1;
}

/* Tell the neighbours that this rank reads nothing more. 0: they still read this rank's arrays. */
static int leave(dti_leg *leg) {
  if (!leg->node) return 1;
  if (!leg->left) {
    leg->awaited = dti_near_is_awaited(leg); /* what they have posted may go once all have left */
    dti_node_leave(leg->node, leg->meeting);
    leg->left = 1;
  }
  if (leg->awaited && !dti_node_all_left(leg->node, leg->meeting)) return 0;
  if (leg->failure == DTENSOR_OK) dti_near_take_back(leg);
  return 1;
}

dtensor_status dti_exchange_leg_advance(dti_leg *leg, int *done) {
  *done = 0;
  int found;
  DTI_TRY(dti_streams_test(leg, &found));
  if (!collect(leg)) return DTENSOR_OK;
  if (settle_streams(leg) || found) DTI_TRY(dti_streams_push(leg));
  if (dti_streams_are_over(&leg->streams)) *done = leave(leg);
  return DTENSOR_OK;
}
