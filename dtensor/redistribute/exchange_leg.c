#include <stdlib.h>

#include "dtensor/base/alloc.h"
#include "dtensor/base/fail.h"
#include "dtensor/kernels/strided.h"
#include "dtensor/redistribute/halves.h"
#include "dtensor/redistribute/leg.h"

static void *at(void *data, int64_t offset, size_t element) {
  return (char *)data + offset * (int64_t)element;
}

/* The process that stands at a place of the other side's mesh, as a rank of the leg's communicator.
 */
static int rank_at(const dti_leg *leg, const dti_leg_side *side, int64_t place) {
  return leg->ranks_are_places ? (int)place : dti_mesh_root_rank(side->mesh, place);
}

static int64_t source_place_of(int64_t to_place, const void *ctx) {
  const dti_leg *leg = ctx;
  return dti_mesh_place(leg->from.mesh, dti_mesh_root_rank(leg->to.mesh, to_place));
}

/* Where a parcel's value can be put together without a buffer: its place, if that is contiguous. */
static void *place_of(const dti_leg *leg, const dti_parcel *parcel) {
  const int64_t offset = dti_region_contiguous(leg->to.stride, &parcel->region);
  return offset < 0 ? NULL : at(leg->to.data, offset, leg->element);
}

/* The first contribution that comes in a message. The sum is made where it is, so it is received
 * straight into the parcel's place if that is contiguous. */
static int64_t first_message(const dti_parcel *parcel) {
  return parcel->sources[0] == DTI_SELF ? 1 : 0;
}

/* Own contributions that do not lie contiguously are added in slices of this many elements, or of
 * one row if that is more. */
enum { SLICE = 8192 };

static int64_t elements_per_row(const dti_region *region) {
  int64_t rows = 0;
  for (int64_t r = 0; region->ndim > 0 && r < region->count[0]; r++)
    rows += region->runs[0][r].length;
  return rows > 0 ? region->elements / rows : region->elements;
}

static int64_t slice_rows(const dti_region *region) {
  const int64_t row = elements_per_row(region);
  return row < SLICE ? SLICE / row : 1;
}

static dtensor_status prepare_sends(dti_leg *leg, size_t bytes[]) {
  const dti_exchange *x = &leg->exchange;
  leg->send_buffer = calloc((size_t)x->sends + 1, sizeof *leg->send_buffer);
  DTI_CHECK(leg->send_buffer, DTENSOR_ENOMEM, "no memory for a table of %lld messages",
            (long long)x->sends);
  for (int64_t i = 0; i < x->sends; i++) {
    const dti_region *region = &x->send[i].region;
    bytes[i] = (size_t)region->elements * leg->element;
    if (dti_region_contiguous(leg->from.stride, region) >= 0) continue;
    leg->send_buffer[i] = dti_alloc(bytes[i]);
    DTI_CHECK(leg->send_buffer[i], DTENSOR_ENOMEM, "no memory to pack %zu bytes", bytes[i]);
  }
  return DTENSOR_OK;
}

/* How large a slice of this process' own contribution to a sum is; halves are reduced all at once.
 */
static int64_t scratch_elements(const dti_leg *leg, const dti_parcel *parcel) {
  if (parcel->contributions == 1 || parcel->own.elements == 0) return 0;
  if (dti_region_contiguous(leg->from.stride, &parcel->own) >= 0) return 0;
  if (dti_is_half(leg->dtype)) return parcel->own.elements;
  const int64_t slice = slice_rows(&parcel->own) * elements_per_row(&parcel->own);
  return slice < parcel->own.elements ? slice : parcel->own.elements;
}

static dtensor_status prepare_receives(dti_leg *leg, size_t bytes[]) {
  const dti_exchange *x = &leg->exchange;
  const size_t receives = (size_t)x->messages_received + 1, parcels = (size_t)x->parcels + 1;
  leg->receive_buffer = calloc(receives, sizeof *leg->receive_buffer);
  leg->parcel_of = malloc(receives * sizeof *leg->parcel_of);
  leg->missing = calloc(parcels, sizeof *leg->missing);
  leg->first = malloc(parcels * sizeof *leg->first);
  DTI_CHECK(leg->receive_buffer && leg->parcel_of && leg->missing && leg->first, DTENSOR_ENOMEM,
            "no memory for a table of %lld messages", (long long)x->messages_received);
  int64_t index = 0, scratch = 0;
  if (x->parcels > 0 && dti_is_half(leg->dtype)) {
    leg->parts = malloc((size_t)x->parcel[0].contributions * sizeof *leg->parts);
    DTI_CHECK(leg->parts, DTENSOR_ENOMEM, "no memory for a table of %lld contributions",
              (long long)x->parcel[0].contributions);
  }
  for (int64_t i = 0; i < x->parcels; i++) {
    const dti_parcel *parcel = &x->parcel[i];
    const void *place = place_of(leg, parcel);
    const int64_t wanted = scratch_elements(leg, parcel);
    if (wanted > scratch) scratch = wanted;
    leg->first[i] = index;
    for (int64_t k = 0; k < parcel->contributions; k++) {
      if (parcel->sources[k] == DTI_SELF) continue;
      bytes[index] = (size_t)parcel->region.elements * leg->element;
      leg->parcel_of[index] = i;
      leg->missing[i]++;
      if (!place || k != first_message(parcel)) {
        leg->receive_buffer[index] = dti_alloc(bytes[index]);
        DTI_CHECK(leg->receive_buffer[index], DTENSOR_ENOMEM, "no memory to receive %zu bytes",
                  bytes[index]);
      }
      index++;
    }
  }
  if (scratch == 0) return DTENSOR_OK;
  leg->scratch = dti_alloc((size_t)scratch * leg->element);
  DTI_CHECK(leg->scratch, DTENSOR_ENOMEM, "no memory to reduce %lld elements", (long long)scratch);
  return DTENSOR_OK;
}

dtensor_status dti_exchange_leg_prepare(dti_leg *leg) {
  dti_exchange *x = &leg->exchange;
  const dti_exchange_ends ends = {.from = &leg->from.layout,
                                  .to = &leg->to.layout,
                                  .box = &leg->box,
                                  .from_place = leg->from.mesh->rank,
                                  .to_place = leg->to.mesh->rank,
                                  .same_mesh = leg->same_mesh,
                                  .source_place_of = source_place_of,
                                  .ctx = leg};
  DTI_TRY(dti_exchange_plan(&ends, x));
  const int64_t operations = x->messages_received + x->sends;
  size_t *bytes = malloc(((size_t)operations + 1) * sizeof *bytes);
  leg->done = malloc(((size_t)operations + 1) * sizeof *leg->done);
  dtensor_status status = DTENSOR_OK;
  if (!bytes || !leg->done)
    status =
        DTI_FAIL(DTENSOR_ENOMEM, "no memory for a table of %lld messages", (long long)operations);
  if (status == DTENSOR_OK) status = prepare_receives(leg, bytes);
  if (status == DTENSOR_OK) status = prepare_sends(leg, bytes + x->messages_received);
  if (status == DTENSOR_OK && operations > 0)
    status = dti_batch_create(leg->comm, operations, bytes, &leg->batch);
  free(bytes);
  return status;
}

static dtensor_status post_receives(dti_leg *leg) {
  const dti_exchange *x = &leg->exchange;
  int64_t index = 0;
  for (int64_t i = 0; i < x->parcels; i++) {
    const dti_parcel *parcel = &x->parcel[i];
    for (int64_t k = 0; k < parcel->contributions; k++) {
      if (parcel->sources[k] == DTI_SELF) continue;
      void *buffer = leg->receive_buffer[index++];
      DTI_TRY(dti_batch_recv(leg->batch, buffer ? buffer : place_of(leg, parcel),
                             (size_t)parcel->region.elements * leg->element,
                             rank_at(leg, &leg->from, parcel->sources[k]), leg->tag));
    }
  }
  return DTENSOR_OK;
}

/* The first message goes to the next peer after this place, so that not all ranks begin with rank
 * 0. */
static int64_t first_send(const dti_leg *leg) {
  const dti_exchange *x = &leg->exchange;
  for (int64_t i = 0; i < x->sends; i++)
    if (x->send[i].peer > leg->from.mesh->rank) return i;
  return 0;
}

static dtensor_status pack_and_send(dti_leg *leg) {
  const dti_exchange *x = &leg->exchange;
  const int64_t start = first_send(leg);
  for (int64_t n = 0; n < x->sends; n++) {
    const int64_t i = (start + n) % x->sends;
    const dti_region *region = &x->send[i].region;
    const void *message = leg->send_buffer[i];
    if (message)
      dti_pack(leg->send_buffer[i], leg->from.data, leg->from.stride, region, leg->element,
               leg->threads);
    else
      message = at(leg->from.data, dti_region_contiguous(leg->from.stride, region), leg->element);
    DTI_TRY(dti_batch_send(leg->batch, message, (size_t)region->elements * leg->element,
                           rank_at(leg, &leg->to, x->send[i].peer), leg->tag));
  }
  return DTENSOR_OK;
}

static void fill_identity(const dti_leg *leg) {
  _Alignas(16) unsigned char identity[16];
  dti_identity(leg->dtype, leg->exchange.fill_op, identity);
  dti_array array = {.data = leg->to.data, .ndim = leg->to.layout.ndim};
  int64_t begin[DTENSOR_MAX_NDIM], offset = 0;
  dti_layout_local_box(&leg->to.layout, leg->to.mesh->coord, leg->box.to, leg->box.shape, begin,
                       array.shape);
  for (int d = 0; d < array.ndim; d++) {
    array.stride[d] = leg->to.stride[d];
    offset += begin[d] * array.stride[d];
  }
  array.data = at(leg->to.data, offset, leg->element);
  dti_fill(&array, identity, leg->element, leg->threads);
}

/* sum += this process' own contribution. */
static void add_own(dti_leg *leg, const dti_region *own, void *sum, dtensor_reduce_op op) {
  const int64_t offset = dti_region_contiguous(leg->from.stride, own);
  if (offset >= 0) {
    dti_accumulate(sum, at(leg->from.data, offset, leg->element), own->elements, leg->dtype, op,
                   leg->threads);
    return;
  }
  const int64_t row = elements_per_row(own), most = slice_rows(own);
  int64_t done = 0;
  for (int64_t r = 0; r < own->count[0]; r++) {
    const dti_run *run = &own->runs[0][r];
    for (int64_t begin = 0; begin < run->length; begin += most) {
      const int64_t rows = run->length - begin < most ? run->length - begin : most;
      const dti_run cut = {run->begin + begin, rows};
      dti_region slice = *own;
      slice.runs[0] = &cut;
      slice.count[0] = 1;
      slice.elements = rows * row;
      dti_pack(leg->scratch, leg->from.data, leg->from.stride, &slice, leg->element, leg->threads);
      dti_accumulate(at(sum, done, leg->element), leg->scratch, slice.elements, leg->dtype, op,
                     leg->threads);
      done += slice.elements;
    }
  }
}

/* `message` is the one behind that where the sum is made. */
static void reduce_half_parcel(dti_leg *leg, const dti_parcel *parcel, void *sum, int64_t message) {
  const dti_exchange *x = &leg->exchange;
  for (int64_t k = 0; k < parcel->contributions; k++) {
    if (k == first_message(parcel)) {
      leg->parts[k] = sum;
    } else if (parcel->sources[k] != DTI_SELF) {
      leg->parts[k] = leg->receive_buffer[message++];
    } else {
      const int64_t offset = dti_region_contiguous(leg->from.stride, &parcel->own);
      leg->parts[k] = offset >= 0 ? at(leg->from.data, offset, leg->element) : leg->scratch;
      if (offset < 0)
        dti_pack(leg->scratch, leg->from.data, leg->from.stride, &parcel->own, leg->element,
                 leg->threads);
    }
  }
  dti_reduce_halves(sum, leg->parts, parcel->contributions, parcel->region.elements, leg->dtype,
                    x->op, x->divisor, leg->threads);
}

static void reduce_whole_parcel(dti_leg *leg, const dti_parcel *parcel, void *sum,
                                int64_t message) {
  const dti_exchange *x = &leg->exchange;
  const int64_t n = parcel->region.elements;
  for (int64_t k = 0; k < parcel->contributions; k++) {
    if (k == first_message(parcel)) continue;
    if (parcel->sources[k] == DTI_SELF)
      add_own(leg, &parcel->own, sum, x->op);
    else
      dti_accumulate(sum, leg->receive_buffer[message++], n, leg->dtype, x->op, leg->threads);
  }
  if (x->divisor > 1) dti_divide(sum, n, x->divisor, leg->dtype, leg->threads);
}

/* Reduce in the order of the contributions, whatever order they arrived in. (That the sum starts
 * with the first message, even if this process' own contribution stands before it, changes no bit:
 * two operands commute.) */
static void reduce_parcel(dti_leg *leg, int64_t i) {
  const dti_parcel *parcel = &leg->exchange.parcel[i];
  const int64_t message = leg->first[i];
  void *place = place_of(leg, parcel), *sum = place ? place : leg->receive_buffer[message];
  (dti_is_half(leg->dtype) ? reduce_half_parcel : reduce_whole_parcel)(leg, parcel, sum,
                                                                       message + 1);
  if (sum != place)
    dti_unpack(leg->to.data, leg->to.stride, &parcel->region, sum, leg->element, leg->threads);
}

static void settle_parcel(dti_leg *leg, int64_t i) {
  const dti_parcel *parcel = &leg->exchange.parcel[i];
  if (parcel->contributions > 1) {
    reduce_parcel(leg, i);
  } else if (parcel->sources[0] == DTI_SELF) {
    dti_copy_region(leg->to.data, leg->to.stride, &parcel->region, leg->from.data, leg->from.stride,
                    &parcel->own, leg->element, leg->threads);
  } else if (leg->receive_buffer[leg->first[i]]) {
    dti_unpack(leg->to.data, leg->to.stride, &parcel->region, leg->receive_buffer[leg->first[i]],
               leg->element, leg->threads);
  }
}

dtensor_status dti_exchange_leg_start(dti_leg *leg) {
  const dti_exchange *x = &leg->exchange;
  if (x->fill) fill_identity(leg);
  if (leg->batch) {
    DTI_TRY(post_receives(leg));
    DTI_TRY(pack_and_send(leg));
  }
  for (int64_t i = 0; i < x->parcels; i++)
    if (leg->missing[i] == 0) settle_parcel(leg, i);
  return DTENSOR_OK;
}

dtensor_status dti_exchange_leg_advance(dti_leg *leg, int *done) {
  *done = 1;
  if (!leg->batch) return DTENSOR_OK;
  int64_t n, open;
  DTI_TRY(dti_batch_test(leg->batch, leg->done, &n, &open));
  for (int64_t i = 0; i < n; i++) {
    if (leg->done[i] >= leg->exchange.messages_received) continue; /* a send */
    const int64_t parcel = leg->parcel_of[leg->done[i]];
    if (--leg->missing[parcel] == 0) settle_parcel(leg, parcel);
  }
  *done = open == 0;
  return DTENSOR_OK;
}
