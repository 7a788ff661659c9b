#include "dtensor/redistribute/near.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "dtensor/base/alloc.h"
#include "dtensor/base/fail.h"
#include "dtensor/kernels/strided.h"
#include "dtensor/tensor/tensor.h"

/* An array as its owner posts it. */
typedef struct entry {
  int64_t address; /* exported; ON_DESK: it lies packed on the desk; NOWHERE: there is none */
  int64_t stride[DTENSOR_MAX_NDIM]; /* of its dimensions */
} entry;
enum { NOWHERE = -1, ON_DESK = -2 };

typedef struct entries {
  entry from, to;
} entries;

/* What lies on a desk: the entries of up to DESK_PARTS parts themselves, those of more elsewhere.
 */
enum { DESK_PARTS = 2, DESK_DATA = 192 };
typedef struct posting {
  _Atomic int64_t verdict; /* changes if this rank fails after it has posted */
  int64_t elsewhere;       /* exported address of the entries; NOWHERE: they are here */
  _Atomic int64_t arrival;
  entries here[DESK_PARTS];
  int64_t gap[7]; /* so that the data begin at a cache line */
  _Alignas(16) unsigned char data[DESK_DATA];
} posting;
_Static_assert(sizeof(posting) <= DTI_MEETING_BYTES, "a posting fits on a desk");

int dti_is_near(const dti_leg *leg, int rank) {
  return leg->node && rank != dti_comm_rank(leg->comm) && dti_node_member(leg->node, rank) >= 0;
}

static dti_array packed_like(const dti_array *array, void *data) {
  dti_array packed = *array;
  packed.data = data;
  int64_t step = 1;
  for (int d = packed.ndim - 1; d >= 0; d--) {
    packed.stride[d] = step;
    step *= packed.shape[d];
  }
  return packed;
}

static int64_t bytes_of(const dti_leg_part *part, const dti_leg_side *side) {
  return side->elements * (int64_t)part->element;
}

static int64_t whole_lines(int64_t bytes) { return (bytes + 63) & ~INT64_C(63); }

/* Whether a neighbour reads this rank's source, be it to carry it. */
static int is_read(const dti_leg *leg, const dti_leg_part *part) {
  if (part->kind == DTI_PART_SHARE_OUT) return 1;
  if (!leg->has_far_peers || leg->engine == DTI_ENGINE_HIERARCHICAL)
    return part->exchange->sends > 0;
  for (int64_t i = 0; i < part->exchange->sends; i++)
    if (dti_is_near(leg, dti_leg_rank(leg, &part->to, part->exchange->send[i].peer))) return 1;
  return 0;
}

/* A few bytes travel on the desk itself: then nobody has to wait until they were read. */
static int fits_desk(const dti_leg *leg, const dti_leg_part *part) {
  return leg->parts == 1 && part->kind == DTI_PART_EXCHANGE &&
         bytes_of(part, &part->from) <= DESK_DATA;
}

static int is_read_in_place(const dti_leg *leg, const dti_leg_part *part) {
  return is_read(leg, part) && !fits_desk(leg, part) && !part->delivers && !leg->is_copied;
}

int dti_near_lends_source(const dti_leg *leg) {
  for (int p = 0; p < leg->parts; p++)
    if (is_read_in_place(leg, &leg->part[p])) return 1;
  return 0;
}

int dti_near_is_awaited(const dti_leg *leg) {
  for (int p = 0; p < leg->parts; p++) {
    const dti_leg_part *part = &leg->part[p];
    if (is_read_in_place(leg, part) && (!leg->sources_stay || part->lent_from)) return 1;
    if (part->kind == DTI_PART_SHARE_OUT) return 1;
  }
  return leg->takes_delivery;
}

static int is_reachable(const dti_leg *leg, const dti_leg_part *part, const dti_leg_side *side) {
  return bytes_of(part, side) == 0 || !side->data || dti_node_export(leg->node, side->data, 1) >= 0;
}

static dtensor_status lend(dti_leg *leg, const dti_leg_part *part, const dti_leg_side *side,
                           void **lent) {
  const int64_t bytes = bytes_of(part, side);
  if (is_reachable(leg, part, side)) return DTENSOR_OK;
  *lent = dti_alloc((size_t)bytes);
  DTI_CHECK(*lent, DTENSOR_ENOMEM, "no memory to lend %lld bytes to the ranks of this node",
            (long long)bytes);
  leg->bytes_lent += bytes;
  return DTENSOR_OK;
}

/* Of entries that a desk has no place for. */
static int64_t table_bytes(const dti_leg *leg) {
  return leg->parts > DESK_PARTS ? whole_lines(leg->parts * (int64_t)sizeof(entries)) : 0;
}

dtensor_status dti_near_prepare(dti_leg *leg) {
  for (int p = 0; p < leg->parts; p++) {
    dti_leg_part *part = &leg->part[p];
    if (is_read(leg, part) && !fits_desk(leg, part)) {
      part->delivers = part->kind == DTI_PART_EXCHANGE && part->exchange->contributions == 1 &&
                       leg->engine != DTI_ENGINE_HIERARCHICAL && !part->is_private &&
                       !is_reachable(leg, part, &part->from);
      if (!part->delivers) DTI_TRY(lend(leg, part, &part->from, &part->lent_from));
    }
    if (part->kind == DTI_PART_SHARE_OUT) DTI_TRY(lend(leg, part, &part->to, &part->lent_to));
  }
  if (leg->parts <= DESK_PARTS) return DTENSOR_OK;
  leg->entries = dti_alloc((size_t)table_bytes(leg));
  DTI_CHECK(leg->entries, DTENSOR_ENOMEM, "no memory for a table of %d tensors", leg->parts);
  return DTENSOR_OK;
}

/* The array itself, or what is lent in its place. */
static void post_array(const dti_leg *leg, const dti_leg_side *side, void *lent, entry *e) {
  e->address = NOWHERE;
  if (!side->data || !dti_mesh_is_member(side->mesh)) return;
  const int ndim = side->layout->ndim;
  e->address = dti_node_export(leg->node, lent ? lent : side->data, 1);
  if (lent)
    dti_packed_strides(ndim, side->shape, e->stride);
  else
    memcpy(e->stride, side->stride, (size_t)ndim * sizeof *e->stride);
}

/* 1 if an array that is not empty spans no more memory than its elements take, in whatever order.
 */
static int is_compact(const dti_leg_side *side) {
  int64_t last = 0;
  for (int d = 0; d < side->layout->ndim; d++) {
    if (side->stride[d] < 0) return 0;
    last += (side->shape[d] - 1) * side->stride[d];
  }
  return last == side->elements - 1;
}

static void post_copy(const dti_leg *leg, const dti_leg_part *part, int64_t address, void *copy,
                      entry *e) {
  const dti_leg_side *from = &part->from;
  const int ndim = from->layout->ndim;
  e->address = address;
  if (is_compact(from)) {
    memcpy(e->stride, from->stride, (size_t)ndim * sizeof *e->stride);
    memcpy(copy, from->data, (size_t)bytes_of(part, from));
    return;
  }
  const dti_array array = dti_leg_array(from), packed = packed_like(&array, copy);
  dti_packed_strides(ndim, from->shape, e->stride);
  dti_copy(&packed, &array, part->element, leg->threads);
}

/* Room for copies of all that the neighbours read, each at a cache line, behind the table that
 * tells where they are, if there is one; NULL if it is read in place. */
static char *room_for_copies(const dti_leg *leg) {
  int64_t bytes = 0;
  for (int p = 0; p < leg->parts; p++) {
    const dti_leg_part *part = &leg->part[p];
    if (part->kind == DTI_PART_SHARE_OUT || part->delivers || part->lent_from) return NULL;
    if (is_read(leg, part)) bytes += whole_lines(bytes_of(part, &part->from));
  }
  if (bytes == 0) return NULL;
  return dti_node_room_for_copy(leg->node, leg->meeting, (size_t)(bytes + table_bytes(leg)));
}

static int is_whole(const dti_leg_part *part) {
  for (int d = 0; d < part->to.layout->ndim; d++)
    if (part->box.shape[d] != part->to.layout->shape[d]) return 0;
  return !part->box.runs;
}

int dti_near_post(dti_leg *leg, int64_t verdict) {
  if (!dti_node_can_post(leg->node, leg->meeting)) return 0;
  posting *desk = dti_node_desk(leg->node, leg->meeting);
  atomic_store_explicit(&desk->verdict, verdict, memory_order_relaxed);
  atomic_init(&desk->arrival, DTI_ARRIVAL_PENDING);
  if (verdict == DTI_ALL_IS_WELL) dti_leg_fill(leg);
  const int on_desk = leg->parts == 1 && fits_desk(leg, leg->part);
  char *room = verdict == DTI_ALL_IS_WELL && !on_desk ? room_for_copies(leg) : NULL;
  leg->is_copied = room != NULL;
  void *table = leg->entries && room ? room : leg->entries;
  if (room) room += table_bytes(leg);
  desk->elsewhere = table ? dti_node_export(leg->node, table, 1) : NOWHERE;
  entries *all = table ? table : desk->here;
  for (int p = 0; p < leg->parts && verdict == DTI_ALL_IS_WELL; p++) {
    const dti_leg_part *part = &leg->part[p];
    if (part->lent_from) {
      const dti_array array = dti_leg_array(&part->from),
                      copy = packed_like(&array, part->lent_from);
      dti_copy(&copy, &array, part->element, leg->threads);
    }
    if (part->lent_to && !is_whole(part)) { /* what lies outside of the box comes back unchanged */
      const dti_array array = dti_leg_array(&part->to), copy = packed_like(&array, part->lent_to);
      dti_copy(&copy, &array, part->element, leg->threads);
    }
    if (on_desk && is_read(leg, part)) {
      post_copy(leg, part, ON_DESK, desk->data, &all[p].from);
    } else if (room && is_read(leg, part)) {
      post_copy(leg, part, dti_node_export(leg->node, room, 1), room, &all[p].from);
      room += whole_lines(bytes_of(part, &part->from));
    } else {
      post_array(leg, &part->from, part->lent_from, &all[p].from);
    }
    post_array(leg, &part->to, part->lent_to, &all[p].to);
  }
  dti_node_post(leg->node, leg->meeting);
  return 1;
}

static const posting *posting_of(const dti_leg *leg, int member) {
  return dti_node_brought(leg->node, leg->meeting, member);
}

void dti_near_arrive(const dti_leg *leg, int64_t arrival) {
  posting *desk = dti_node_desk(leg->node, leg->meeting);
  atomic_store_explicit(&desk->arrival, arrival, memory_order_release);
}

int64_t dti_near_arrival(const dti_leg *leg, int member) {
  return atomic_load_explicit(&posting_of(leg, member)->arrival, memory_order_acquire);
}

int64_t dti_near_verdict(const dti_leg *leg) {
  int64_t least = DTI_ALL_IS_WELL;
  for (int m = 0; m < dti_node_size(leg->node); m++) {
    const int64_t verdict =
        atomic_load_explicit(&posting_of(leg, m)->verdict, memory_order_relaxed);
    if (verdict < least) least = verdict;
  }
  return least;
}

void dti_near_retract(const dti_leg *leg) {
  posting *desk = dti_node_desk(leg->node, leg->meeting);
  atomic_store_explicit(&desk->verdict, dti_agree_value(DTENSOR_EMPI, dti_comm_rank(leg->comm)),
                        memory_order_relaxed);
}

static const entries *entries_of(const dti_leg *leg, int part, int member) {
  const posting *desk = posting_of(leg, member);
  if (desk->elsewhere == NOWHERE) return &desk->here[part];
  const entries *all = dti_node_import(leg->node, member, desk->elsewhere);
  return &all[part];
}

static dti_near_array array_at(const dti_leg *leg, const entry *e, int member) {
  void *data = e->address == NOWHERE   ? NULL
               : e->address == ON_DESK ? (void *)(uintptr_t)posting_of(leg, member)->data
                                       : dti_node_import(leg->node, member, e->address);
  return (dti_near_array){data, e->stride};
}

dti_near_array dti_near_source(const dti_leg *leg, int part, int rank) {
  const int member = dti_node_member(leg->node, rank);
  return array_at(leg, &entries_of(leg, part, member)->from, member);
}

dti_near_array dti_near_target(const dti_leg *leg, int part, int rank) {
  const int member = dti_node_member(leg->node, rank);
  return array_at(leg, &entries_of(leg, part, member)->to, member);
}

void dti_near_deliver(const dti_leg *leg, int p) {
  const dti_leg_part *part = &leg->part[p];
  const dti_exchange *x = part->exchange;
  for (int64_t i = 0; part->delivers && i < x->sends; i++) {
    const int rank = dti_leg_rank(leg, &part->to, x->send[i].peer);
    if (!dti_is_near(leg, rank)) continue;
    const dti_near_array to = dti_near_target(leg, p, rank);
    const dti_part in = {part->from.data, part->from.stride, &x->send[i].region};
    const dti_part out = {to.data, to.stride, &x->send[i].theirs};
    dti_combine(part->dtype, x->op, 1, 1, &in, 1, &out, leg->threads);
  }
}

void dti_near_take_back(const dti_leg *leg) {
  for (int p = 0; p < leg->parts; p++) {
    const dti_leg_part *part = &leg->part[p];
    if (!part->lent_to) continue;
    const dti_array array = dti_leg_array(&part->to), lent = packed_like(&array, part->lent_to);
    dti_copy(&array, &lent, part->element, leg->threads);
  }
}
