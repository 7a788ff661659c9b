#include "dtensor/redistribute/collective.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "dtensor/base/alloc.h"
#include "dtensor/base/event.h"
#include "dtensor/base/fail.h"
#include "dtensor/kernels/strided.h"
#include "dtensor/redistribute/leg.h"
#include "dtensor/redistribute/members.h"
#include "dtensor/redistribute/packed.h"

dtensor_status dti_collective_init(dti_collective *c, const dtensor_mesh *mesh) {
  c->members = dti_members(mesh, c->mesh_dims);
  c->me = dti_members_index(mesh, c->mesh_dims, mesh->rank);
  c->rank = malloc((size_t)c->members * sizeof *c->rank);
  DTI_CHECK(c->rank, DTENSOR_ENOMEM, "no memory for a list of %d ranks", c->members);
  for (int i = 0; i < c->members; i++) c->rank[i] = (int)dti_members_place(mesh, c->mesh_dims, i);
  return DTENSOR_OK;
}

/* ---- Loads ---- */

static dtensor_status make_loads(const dti_collective *c, int64_t n, dti_loads *loads) {
  const size_t members = (size_t)c->members;
  loads->item = malloc(((size_t)n + 1) * sizeof *loads->item);
  loads->bytes = calloc(2 * members, sizeof *loads->bytes);
  DTI_CHECK(loads->item && loads->bytes, DTENSOR_ENOMEM,
            "no memory for tables of %d ranks and %lld regions", c->members, (long long)n);
  loads->begin = loads->bytes + members;
  return DTENSOR_OK;
}

static int member_at(const dti_leg *leg, int64_t place) {
  const dti_collective *c = &leg->collective;
  return place == DTI_SELF ? c->me : dti_members_index(leg->part->to.mesh, c->mesh_dims, place);
}

enum { LONGEST_ELEMENT = 16 };

static dtensor_status list_sends(dti_leg *leg) {
  dti_collective *c = &leg->collective;
  int64_t n = 0;
  for (int p = 0; p < leg->parts; p++) n += leg->part[p].exchange->sends;
  DTI_TRY(make_loads(c, n, &c->send));
  for (int p = 0; p < leg->parts; p++) {
    const dti_exchange *x = leg->part[p].exchange;
    for (int64_t i = 0; i < x->sends; i++) {
      if (c->is_all_gather && x->send[i].peer != x->send[0].peer) continue;
      const int member = c->is_all_gather ? c->me : member_at(leg, x->send[i].peer);
      c->send.item[c->send.n++] =
          (dti_load){.part = p, .member = member, .region = &x->send[i].region};
    }
  }
  return DTENSOR_OK;
}

static dtensor_status list_receives(dti_leg *leg) {
  dti_collective *c = &leg->collective;
  int64_t n = 0, most = 1;
  for (int p = 0; p < leg->parts; p++) {
    const dti_exchange *x = leg->part[p].exchange;
    for (int64_t i = 0; i < x->parcels; i++) {
      n += x->parcel[i].contributions;
      if (x->parcel[i].contributions > most) most = x->parcel[i].contributions;
    }
  }
  DTI_TRY(make_loads(c, n, &c->receive));
  leg->input = malloc((size_t)most * sizeof *leg->input);
  DTI_CHECK(leg->input, DTENSOR_ENOMEM, "no memory for a table of %lld arrays", (long long)most);
  for (int p = 0; p < leg->parts; p++) {
    const dti_exchange *x = leg->part[p].exchange;
    for (int64_t i = 0; i < x->parcels; i++)
      for (int64_t k = 0; k < x->parcel[i].contributions; k++) {
        if (x->parcel[i].sources[k] == DTI_SELF && !c->is_all_gather) continue;
        c->receive.item[c->receive.n++] =
            (dti_load){.part = p,
                       .member = member_at(leg, x->parcel[i].sources[k]),
                       .region = &x->parcel[i].region};
      }
  }
  return DTENSOR_OK;
}

static int is_summed(const dti_leg *leg) {
  for (int p = 0; p < leg->parts; p++)
    if (leg->part[p].exchange->parcels > 0 && leg->part[p].exchange->parcel[0].contributions > 1)
      return 1;
  return 0;
}

/* Whether each member's load is one stretch of the array; begin: where, in bytes. */
static int find_places(const dti_leg *leg, dti_loads *loads, const int64_t stride[]) {
  if (leg->parts != 1) return 0;
  for (int64_t i = 0; i < loads->n; i++) {
    const dti_load *load = &loads->item[i];
    const int64_t place = dti_region_contiguous(stride, load->region);
    const int64_t begin = place * (int64_t)leg->part->element;
    if (load->at > 0 || place < 0 || begin > INT_MAX) return 0;
    loads->begin[load->member] = (int)begin;
  }
  return 1;
}

static dtensor_status make_buffer(dti_leg *leg, dti_loads *loads) {
  /* Of one part, any multiple of its elements is a place for them. */
  const int64_t align = leg->parts > 1 ? LONGEST_ELEMENT : 1;
  int64_t total = 0;
  for (int r = 0; r < leg->collective.members; r++) {
    total = (total + align - 1) / align * align;
    DTI_CHECK(total + loads->bytes[r] <= INT_MAX, DTENSOR_EUNSUPPORTED,
              "%lld bytes are more than a collective can take", (long long)total + loads->bytes[r]);
    loads->begin[r] = (int)total;
    total += loads->bytes[r];
  }
  for (int64_t i = 0; i < loads->n; i++) loads->item[i].at += loads->begin[loads->item[i].member];
  if (total == 0) return DTENSOR_OK;
  loads->buffer = dti_alloc((size_t)total);
  DTI_CHECK(loads->buffer, DTENSOR_ENOMEM, "no memory for %lld bytes of a collective",
            (long long)total);
  leg->collective.bytes_in_buffers += total;
  return DTENSOR_OK;
}

/* Long elements before short ones: their sizes are powers of two, so that each lies where its type
 * may. */
static dtensor_status lay(dti_leg *leg, dti_loads *loads, int may_be_in_place,
                          const int64_t stride[]) {
  for (size_t element = LONGEST_ELEMENT; element > 0; element /= 2)
    for (int64_t i = 0; i < loads->n; i++) {
      dti_load *load = &loads->item[i];
      if (leg->part[load->part].element != element) continue;
      load->at = loads->bytes[load->member];
      loads->bytes[load->member] += (int)(load->region->elements * (int64_t)element);
    }
  loads->is_in_place = may_be_in_place && find_places(leg, loads, stride);
  return loads->is_in_place ? DTENSOR_OK : make_buffer(leg, loads);
}

dtensor_status dti_collective_prepare(dti_leg *leg) {
  dti_collective *c = &leg->collective;
  DTI_TRY(list_sends(leg));
  DTI_TRY(list_receives(leg));
  DTI_TRY(lay(leg, &c->send, 1, leg->part->from.stride));
  DTI_TRY(lay(leg, &c->receive, !is_summed(leg), leg->part->to.stride));
  DTI_TRY(dti_batch_create(c->lane, 2, NULL, &c->batch));
  dti_turn_take(c->lane, &c->turn);
  return DTENSOR_OK;
}

/* ---- Running ---- */

static void pack(const dti_leg *leg) {
  const dti_loads *send = &leg->collective.send;
  for (int64_t i = 0; i < send->n && !send->is_in_place; i++) {
    const dti_load *load = &send->item[i];
    const dti_leg_part *part = &leg->part[load->part];
    dti_pack(send->buffer + load->at, part->from.data, part->from.stride, load->region,
             part->element, leg->threads);
  }
}

/* Parcels that need nobody else, or those that do. */
static void settle(dti_leg *leg, int own) {
  const dti_collective *c = &leg->collective;
  const dti_load *load = c->receive.item;
  for (int p = 0; p < leg->parts; p++) {
    const dti_leg_part *part = &leg->part[p];
    const dti_exchange *x = part->exchange;
    for (int64_t i = 0; i < x->parcels; i++) {
      const dti_parcel *parcel = &x->parcel[i];
      dti_packed packed;
      dti_packed_set(&packed, &parcel->region);
      int is_own = 1;
      for (int64_t k = 0; k < parcel->contributions; k++) {
        const int is_self = parcel->sources[k] == DTI_SELF;
        is_own &= is_self;
        if (is_self)
          leg->input[k] = (dti_part){part->from.data, part->from.stride, &parcel->theirs};
        else if (!c->receive.is_in_place)
          leg->input[k] = (dti_part){c->receive.buffer + load->at, packed.stride, &packed.region};
        load += !is_self || c->is_all_gather;
      }
      if (is_own != own) continue;
      const dti_part out = {part->to.data, part->to.stride, &parcel->region};
      dti_combine(part->dtype, x->op, x->divisor, (int)parcel->contributions, leg->input, 1, &out,
                  leg->threads);
    }
  }
}

/* As messages between any two ranks that share elements, which is what a plan promises. */
static void count(const dti_leg *leg) {
  dti_counters *counters = dti_event_counters();
  counters->collectives++;
  for (int p = 0; p < leg->parts; p++) {
    const dti_exchange *x = leg->part[p].exchange;
    const int64_t element = (int64_t)leg->part[p].element;
    counters->messages_sent += x->sends;
    counters->messages_received += x->messages_received;
    counters->bytes_sent += x->elements_sent * element;
    counters->bytes_received += x->elements_received * element;
  }
}

static dtensor_status launch(dti_leg *leg) {
  dti_collective *c = &leg->collective;
  if (c->is_started || !c->batch || !dti_turn_has_come(&c->turn)) return DTENSOR_OK;
  const char *in = c->send.is_in_place ? leg->part->from.data : c->send.buffer;
  char *out = c->receive.is_in_place ? leg->part->to.data : c->receive.buffer;
  if (c->is_all_gather) {
    if (in) in += c->send.begin[c->me];
    DTI_TRY(dti_batch_allgatherv(c->batch, in, c->send.bytes[c->me], out, c->receive.bytes,
                                 c->receive.begin));
  } else {
    DTI_TRY(dti_batch_alltoallv(c->batch, in, c->send.bytes, c->send.begin, out, c->receive.bytes,
                                c->receive.begin));
  }
  c->verdict = dti_agree_value(leg->failure, dti_comm_rank(leg->comm));
  if (leg->is_later) DTI_TRY(dti_batch_allreduce(c->batch, &c->verdict, 1, DTI_COMM_MIN));
  c->is_started = 1;
  dti_turn_leave(&c->turn);
  return DTENSOR_OK;
}

dtensor_status dti_collective_start(dti_leg *leg) {
  const dti_collective *c = &leg->collective;
  dti_leg_fill(leg);
  count(leg);
  pack(leg);
  DTI_TRY(launch(leg));
  /* An all-gather in place brings a rank its own part too. */
  if (!(c->is_all_gather && c->receive.is_in_place)) settle(leg, 1);
  return DTENSOR_OK;
}

dtensor_status dti_collective_advance(dti_leg *leg, int *done) {
  dti_collective *c = &leg->collective;
  *done = 0;
  DTI_TRY(launch(leg));
  if (c->batch) {
    if (!c->is_started) return DTENSOR_OK;
    int64_t finished[2], n, open;
    DTI_TRY(dti_batch_test(c->batch, finished, &n, &open));
    if (open) return DTENSOR_OK;
    dti_leg_fail(leg, dti_batch_failure(c->batch));
    if (leg->failure == DTENSOR_OK) dti_leg_fail(leg, dti_agree_verdict(DTENSOR_OK, c->verdict));
    if (leg->failure == DTENSOR_OK && !c->receive.is_in_place) settle(leg, 0);
  }
  *done = 1;
  return DTENSOR_OK;
}

static void free_loads(dti_loads *loads) {
  free(loads->item);
  free(loads->bytes);
  dti_free(loads->buffer);
}

void dti_collective_free(dti_collective *c) {
  dti_turn_leave(&c->turn);
  dti_batch_destroy(&c->batch);
  free_loads(&c->send);
  free_loads(&c->receive);
  free(c->rank);
  *c = (dti_collective){0};
}
