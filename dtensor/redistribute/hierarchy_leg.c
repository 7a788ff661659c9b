/* A leg by way of carriers, as it runs. */
#include <string.h>

#include "dtensor/base/event.h"
#include "dtensor/base/fail.h"
#include "dtensor/kernels/strided.h"
#include "dtensor/redistribute/arrivals.h"
#include "dtensor/redistribute/hierarchy.h"
#include "dtensor/redistribute/near.h"
#include "dtensor/redistribute/packed.h"

dtensor_status dti_hierarchy_leg_prepare(dti_leg *leg) {
  DTI_TRY(dti_leg_make_lists(leg));
  if (leg->node) DTI_TRY(dti_near_prepare(leg));
  return dti_hierarchy_prepare(leg);
}

/* ---- Messages ---- */

static int64_t piece_bytes(const dti_freight *f, int64_t begin) {
  const int64_t left = f->manifest.bytes - begin;
  return left < DTI_STREAM_CHUNK ? left : DTI_STREAM_CHUNK;
}

/* Fill up to `end` what no item does. */
static void fill_gap(dti_freight *f, int64_t end) {
  memset(f->buffer + f->packed, 0, (size_t)(end - f->packed));
  f->packed = end;
}

static void pack_chunk(const dti_leg *leg, dti_freight *f) {
  const dti_manifest *m = &f->manifest;
  while (f->item < m->items && m->item[f->item].is_again) f->item++;
  if (f->item == m->items) {
    fill_gap(f, m->bytes);
    return;
  }
  const dti_manifest_item *item = &m->item[f->item];
  const dti_leg_part *part = &leg->part[item->part];
  const int rank = leg->hierarchy->plans.rank[item->source];
  dti_near_array from = {part->from.data, part->from.stride};
  if (dti_is_near(leg, rank)) from = dti_near_source(leg, item->part, rank);
  if (f->chunk == 0) fill_gap(f, item->offset);
  const dti_chunks chunks = dti_chunks_of(item->region, DTI_STREAM_CHUNK / (int64_t)part->element);
  const dti_region region =
      dti_chunk_region(&chunks, item->region, f->chunk, &leg->hierarchy->room);
  dti_pack(f->buffer + f->packed, from.data, from.stride, &region, part->element, leg->threads);
  f->packed += region.elements * (int64_t)part->element;
  if (++f->chunk < chunks.count) return;
  f->chunk = 0;
  f->item++;
}

/* Pack and send one more piece of a freight. */
static dtensor_status send_piece(const dti_leg *leg, dti_freight *f, size_t bytes) {
  while (f->packed < f->started + (int64_t)bytes && leg->failure == DTENSOR_OK) pack_chunk(leg, f);
  return dti_batch_send(leg->hierarchy->batch, f->buffer + f->started, bytes, f->carrier, leg->tag);
}

static dtensor_status receive_piece(const dti_leg *leg, dti_freight *f, size_t bytes) {
  return dti_batch_recv(leg->hierarchy->batch, f->buffer + f->started, bytes, f->carrier, leg->tag);
}

/* One piece of each freight. *more: something is left. */
static dtensor_status start_pieces(const dti_leg *leg, dti_freight *freight, int n, int receives,
                                   int *more) {
  dti_hierarchy *h = leg->hierarchy;
  for (dti_freight *f = freight; f < freight + n && h->batch; f++) {
    if (f->started == f->manifest.bytes) continue;
    const int64_t bytes = piece_bytes(f, f->started);
    h->is_receive[h->operations++] = (char)receives;
    DTI_TRY(receives ? receive_piece(leg, f, (size_t)bytes) : send_piece(leg, f, (size_t)bytes));
    f->started += bytes;
    *more |= f->started < f->manifest.bytes;
  }
  return DTENSOR_OK;
}

/* Of what goes to other nodes, then of what comes: sends are announced first (stream.h). */
static dtensor_status start_some(const dti_leg *leg, int *more) {
  dti_hierarchy *h = leg->hierarchy;
  *more = 0;
  DTI_TRY(start_pieces(leg, h->send, h->sends, 0, more));
  return start_pieces(leg, h->receive, h->receives, 1, more);
}

/* ---- Parcels ---- */

static int is_far(const dti_leg *leg, const dti_leg_part *part, int64_t source) {
  const int rank = dti_leg_rank(leg, &part->from, source);
  return rank != dti_comm_rank(leg->comm) && !dti_is_near(leg, rank);
}

static int comes_from_afar(const dti_leg *leg, const dti_leg_part *part, const dti_parcel *parcel) {
  for (int64_t k = 0; k < parcel->contributions; k++)
    if (is_far(leg, part, parcel->sources[k])) return 1;
  return 0;
}

static void settle_parcel(const dti_leg *leg, int p, const dti_parcel *parcel) {
  const dti_leg_part *part = &leg->part[p];
  const dti_exchange *x = part->exchange;
  dti_packed packed;
  dti_packed_set(&packed, &parcel->region);
  for (int64_t k = 0; k < parcel->contributions; k++) {
    const int64_t source = parcel->sources[k];
    if (!is_far(leg, part, source)) {
      leg->input[k] = dti_leg_source(leg, p, source, &parcel->theirs);
      continue;
    }
    const void *data = dti_arrivals_take(leg, p, dti_leg_rank(leg, &part->from, source));
    leg->input[k] = (dti_part){(void *)(uintptr_t)data, packed.stride, &packed.region};
  }
  const dti_part out = {part->to.data, part->to.stride, &parcel->region};
  dti_combine(part->dtype, x->op, x->divisor, (int)parcel->contributions, leg->input, 1, &out,
              leg->threads);
}

static void settle(const dti_leg *leg, int from_afar) {
  for (int p = 0; p < leg->parts; p++) {
    const dti_leg_part *part = &leg->part[p];
    for (int64_t i = 0; i < part->exchange->parcels; i++) {
      const dti_parcel *parcel = &part->exchange->parcel[i];
      if (comes_from_afar(leg, part, parcel) == from_afar) settle_parcel(leg, p, parcel);
    }
  }
}

/* ---- Running ---- */

/* Counted is what this rank has and wants, whoever carries it. */
static void count(const dti_leg *leg) {
  dti_counters *counters = dti_event_counters();
  for (int p = 0; p < leg->parts; p++) {
    const dti_exchange *x = leg->part[p].exchange;
    const int64_t element = (int64_t)leg->part[p].element;
    counters->messages_sent += x->sends;
    counters->bytes_sent += x->elements_sent * element;
    counters->messages_received += x->messages_received;
    counters->bytes_received += x->elements_received * element;
  }
}

dtensor_status dti_hierarchy_leg_start(dti_leg *leg) {
  dti_leg_fill(leg);
  count(leg);
  return DTENSOR_OK;
}

/* Neighbours that had failed before they posted have nothing that could be sent. */
static void check_neighbours(dti_leg *leg) {
  if (leg->node && leg->failure == DTENSOR_OK)
    dti_leg_fail(leg, dti_agree_verdict(DTENSOR_OK, dti_near_verdict(leg)));
}

/* Start what this rank carries, then read what lies on this node, as soon as all of its ranks are
 * here. *done: all of that has happened. */
static dtensor_status collect(dti_leg *leg, int *done) {
  dti_hierarchy *h = leg->hierarchy;
  *done = h->is_collected;
  if (h->is_collected) return DTENSOR_OK;
  if (!dti_leg_post(leg, dti_agree_value(leg->failure, dti_comm_rank(leg->comm))))
    return DTENSOR_OK;
  if (leg->node && !dti_node_all_posted(leg->node, leg->meeting)) return DTENSOR_OK;
  check_neighbours(leg);
  int more;
  DTI_TRY(start_some(leg, &more));
  if (more) return DTENSOR_OK;
  if (leg->failure == DTENSOR_OK) settle(leg, 0);
  *done = h->is_collected = 1;
  return DTENSOR_OK;
}

static dtensor_status test_messages(dti_leg *leg, int64_t *open) {
  dti_hierarchy *h = leg->hierarchy;
  int64_t n;
  *open = 0;
  if (!h->batch) return DTENSOR_OK;
  DTI_TRY(dti_batch_test(h->batch, h->done, &n, open));
  dti_leg_fail(leg, dti_batch_failure(h->batch));
  for (int64_t i = 0; i < n; i++) h->receives_open -= h->is_receive[h->done[i]];
  return DTENSOR_OK;
}

/* When all messages for this node have come: take what is this rank's. */
static void unload(dti_leg *leg, int64_t open) {
  dti_hierarchy *h = leg->hierarchy;
  if (h->receives_open > 0) return;
  if (!h->has_told) dti_arrivals_tell(leg);
  h->has_told = 1;
  if (open > 0 || dti_arrivals_awaited(leg) >= 0) return;
  if (leg->failure == DTENSOR_OK) dti_leg_fail(leg, dti_arrivals_check(leg));
  if (leg->failure == DTENSOR_OK) settle(leg, 1);
  if (leg->node) dti_node_leave(leg->node, leg->meeting);
  leg->left = 1;
}

/* Whether nobody reads this rank's arrays and buffers any more. */
static int is_released(const dti_leg *leg) {
  const int is_awaited = leg->node && (leg->hierarchy->index || dti_near_is_awaited(leg));
  return !is_awaited || dti_node_all_left(leg->node, leg->meeting);
}

dtensor_status dti_hierarchy_leg_advance(dti_leg *leg, int *done) {
  int64_t open;
  int collected;
  *done = 0;
  DTI_TRY(collect(leg, &collected));
  DTI_TRY(test_messages(leg, &open));
  if (collected && !leg->left) unload(leg, open);
  *done = leg->left && is_released(leg);
  return DTENSOR_OK;
}

int dti_hierarchy_awaited_member(const dti_leg *leg) {
  return leg->hierarchy->has_told && !leg->left ? dti_arrivals_awaited(leg) : -1;
}
