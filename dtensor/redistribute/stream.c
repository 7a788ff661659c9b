#include "dtensor/redistribute/stream.h"

#include <stdlib.h>

#include "dtensor/base/alloc.h"
#include "dtensor/base/fail.h"
#include "dtensor/kernels/strided.h"
#include "dtensor/redistribute/leg.h"
#include "dtensor/spec/buffers.h"

/* A region that goes to or comes from a peer, while the streams are put together. */
typedef struct traffic {
  int peer, part;
  int64_t index;
  size_t element;
} traffic;

typedef struct traffic_list {
  int64_t n;
  traffic *item;
} traffic_list;

/* Long elements before short ones: their sizes are powers of two, so that each lies in the message
 * where its type may. */
static int by_peer_then_order(const void *a, const void *b) {
  const traffic *x = a, *y = b;
  if (x->peer != y->peer) return x->peer < y->peer ? -1 : 1;
  if (x->element != y->element) return x->element > y->element ? -1 : 1;
  if (x->part != y->part) return x->part < y->part ? -1 : 1;
  return x->index < y->index ? -1 : x->index > y->index;
}

static int is_far(const dti_leg *leg, int rank) {
  if (rank == dti_comm_rank(leg->comm)) return 0;
  return !leg->node || dti_node_member(leg->node, rank) < 0;
}

static int64_t most_traffic(const dti_leg *leg) {
  int64_t most = 1; /* never zero: NULL must mean no memory */
  for (int p = 0; p < leg->parts; p++) {
    const dti_exchange *x = leg->part[p].exchange;
    most += x->sends > x->messages_received ? x->sends : x->messages_received;
  }
  return most;
}

static void list_sends(const dti_leg *leg, traffic_list *list) {
  list->n = 0;
  for (int p = 0; p < leg->parts; p++) {
    const dti_leg_part *part = &leg->part[p];
    for (int64_t i = 0; i < part->exchange->sends; i++) {
      const int peer = dti_leg_rank(leg, &part->to, part->exchange->send[i].peer);
      if (is_far(leg, peer)) list->item[list->n++] = (traffic){peer, p, i, part->element};
    }
  }
}

static void list_receives(const dti_leg *leg, traffic_list *list) {
  list->n = 0;
  for (int p = 0; p < leg->parts; p++) {
    const dti_leg_part *part = &leg->part[p];
    for (int64_t i = 0; i < part->exchange->parcels; i++) {
      const dti_parcel *parcel = &part->exchange->parcel[i];
      for (int64_t k = 0; k < parcel->contributions; k++) {
        const int peer = dti_leg_rank(leg, &part->from, parcel->sources[k]);
        if (is_far(leg, peer)) list->item[list->n++] = (traffic){peer, p, i, part->element};
      }
    }
  }
}

/* ---- Cutting ---- */

static const dti_region *region_of(const dti_leg *leg, const dti_segment *s, int receives) {
  const dti_exchange *x = leg->part[s->part].exchange;
  return receives ? &x->parcel[s->index].region : &x->send[s->index].region;
}

static size_t chunk_bytes(const dti_leg *leg, const dti_segment *s, int64_t chunk) {
  return (size_t)dti_chunk_elements(&s->chunks, chunk) * leg->part[s->part].element;
}

static void step(const dti_stream *stream, dti_position *at) {
  if (++at->chunk < stream->segment[at->segment].chunks.count) return;
  at->chunk = 0;
  at->segment++;
}

/* The message that begins at *at: how many chunks and bytes; *at moves behind it. */
static int64_t take_message(const dti_leg *leg, const dti_stream *stream, dti_position *at,
                            size_t *bytes) {
  int64_t chunks = 0;
  *bytes = 0;
  while (at->segment < stream->segments) {
    const size_t more = chunk_bytes(leg, &stream->segment[at->segment], at->chunk);
    if (chunks > 0 && *bytes + more > (size_t)leg->chunk_bytes) break;
    *bytes += more;
    chunks++;
    step(stream, at);
  }
  return chunks;
}

/* The offset of a message in this rank's own array, in elements, if it can be sent from there or
 * received into it; else -1: it needs a buffer. */
static int64_t place_of(dti_leg *leg, const dti_stream *stream, dti_position at, int64_t chunks,
                        int receives) {
  const dti_segment *s = &stream->segment[at.segment];
  const dti_leg_part *part = &leg->part[s->part];
  if (chunks != 1 || (receives && part->exchange->parcel[s->index].contributions > 1)) return -1;
  const dti_region region =
      dti_chunk_region(&s->chunks, region_of(leg, s, receives), at.chunk, &leg->streams.room[0]);
  return dti_region_contiguous(receives ? part->to.stride : part->from.stride, &region);
}

static char *address_of(const dti_leg *leg, const dti_segment *s, int64_t offset, int receives) {
  const dti_leg_part *part = &leg->part[s->part];
  return (char *)(receives ? part->to.data : part->from.data) + offset * (int64_t)part->element;
}

static int64_t longest_list_of_runs(const traffic_list *list, const dti_leg *leg, int receives) {
  int64_t longest = 1;
  for (int64_t i = 0; i < list->n; i++) {
    const dti_segment s = {.part = list->item[i].part, .index = list->item[i].index};
    const dti_exchange *x = leg->part[s.part].exchange;
    const dti_region *sides[] = {region_of(leg, &s, receives),
                                 receives ? &x->parcel[s.index].theirs : NULL};
    for (int k = 0; k < 2; k++)
      for (int d = 0; sides[k] && d < sides[k]->ndim; d++)
        if (sides[k]->count[d] > longest) longest = sides[k]->count[d];
  }
  return longest;
}

static dtensor_status make_room(dti_streams *streams, int64_t runs) {
  for (int k = 0; k < 2; k++) {
    free(streams->room[k].cut);
    streams->room[k].cut = malloc((size_t)runs * sizeof(dti_run));
    DTI_CHECK(streams->room[k].cut, DTENSOR_ENOMEM, "no memory for %lld index runs",
              (long long)runs);
  }
  return DTENSOR_OK;
}

/* One direction's streams of a sorted list. */
static dtensor_status make_streams(dti_leg *leg, const traffic_list *list, int receives,
                                   dti_stream **out, int64_t *n) {
  int64_t peers = 0;
  for (int64_t i = 0; i < list->n; i++)
    peers += i == 0 || list->item[i].peer != list->item[i - 1].peer;
  dti_stream *streams = calloc((size_t)peers + 1, sizeof *streams);
  *out = streams;
  *n = 0;
  DTI_CHECK(streams, DTENSOR_ENOMEM, "no memory for %lld streams", (long long)peers);
  for (int64_t i = 0; i < list->n;) {
    dti_stream *stream = &streams[(*n)++];
    stream->peer = list->item[i].peer;
    int64_t end = i;
    while (end < list->n && list->item[end].peer == stream->peer) end++;
    stream->segment = malloc((size_t)(end - i) * sizeof *stream->segment);
    DTI_CHECK(stream->segment, DTENSOR_ENOMEM, "no memory for %lld segments", (long long)(end - i));
    for (; i < end; i++) {
      dti_segment *s = &stream->segment[stream->segments++];
      *s = (dti_segment){.part = list->item[i].part, .index = list->item[i].index};
      s->chunks = dti_chunks_of(region_of(leg, s, receives),
                                leg->chunk_bytes / (int64_t)leg->part[s->part].element);
    }
  }
  return DTENSOR_OK;
}

/* Bytes of buffers for a stream: slots are filled in, and their offsets. */
static size_t lay_buffers(dti_leg *leg, dti_stream *stream, int receives) {
  size_t total = 0, largest = 0;
  dti_position at = {0, 0};
  for (int64_t i = 0; i < stream->messages; i++) {
    const dti_position begin = at;
    size_t bytes;
    const int64_t chunks = take_message(leg, stream, &at, &bytes);
    if (place_of(leg, stream, begin, chunks, receives) >= 0) continue;
    if (stream->window == stream->messages) stream->slot[i].offset = total;
    /* The next one begins where its elements may: of one part, anywhere behind whole ones. */
    const size_t room = leg->parts > 1 ? (bytes + 15) / 16 * 16 : bytes;
    total += i + 1 < stream->messages ? room : bytes;
    if (room > largest) largest = room;
  }
  if (stream->window == stream->messages) return total;
  for (int64_t i = 0; i < stream->window; i++) stream->slot[i].offset = (size_t)i * largest;
  return (size_t)stream->window * largest;
}

/* Count the messages, and allocate the buffers of those that do not lie in place. */
static dtensor_status size_stream(dti_leg *leg, dti_stream *stream, int receives) {
  dti_position at = {0, 0};
  size_t all = 0;
  for (size_t message; at.segment < stream->segments; stream->messages++, all += message)
    take_message(leg, stream, &at, &message);
  stream->window = stream->messages;
  if (leg->is_limited && all > DTI_CUT_WINDOW * (size_t)leg->chunk_bytes &&
      stream->window > DTI_CUT_WINDOW)
    stream->window = DTI_CUT_WINDOW;
  stream->slot = calloc((size_t)stream->window, sizeof *stream->slot);
  DTI_CHECK(stream->slot, DTENSOR_ENOMEM, "no memory for a table of %lld messages",
            (long long)stream->window);
  const size_t bytes = lay_buffers(leg, stream, receives);
  if (bytes == 0) return DTENSOR_OK;
  stream->buffers = dti_alloc(bytes);
  DTI_CHECK(stream->buffers, DTENSOR_ENOMEM, "no memory for %zu bytes of messages", bytes);
  leg->streams.bytes_in_buffers += (int64_t)bytes;
  return DTENSOR_OK;
}

static dtensor_status make_batch(dti_leg *leg) {
  dti_streams *streams = &leg->streams;
  int64_t operations = 0;
  for (int64_t i = 0; i < streams->sends; i++) operations += streams->send[i].messages;
  for (int64_t i = 0; i < streams->receives; i++) operations += streams->receive[i].messages;
  if (operations == 0) return DTENSOR_OK;
  streams->done = malloc((size_t)operations * sizeof *streams->done);
  streams->operation = malloc((size_t)operations * sizeof *streams->operation);
  size_t *bytes = malloc((size_t)operations * sizeof *bytes);
  dtensor_status status = DTENSOR_OK;
  if (!streams->done || !streams->operation || !bytes)
    status =
        DTI_FAIL(DTENSOR_ENOMEM, "no memory for a table of %lld messages", (long long)operations);
  if (status == DTENSOR_OK) {
    for (int64_t i = 0; i < operations; i++) bytes[i] = (size_t)leg->chunk_bytes;
    status = dti_batch_create(leg->comm, operations, bytes, &streams->batch);
  }
  free(bytes);
  return status;
}

dtensor_status dti_streams_prepare(dti_leg *leg) {
  dti_streams *streams = &leg->streams;
  traffic_list list = {.item = malloc((size_t)most_traffic(leg) * sizeof *list.item)};
  DTI_CHECK(list.item, DTENSOR_ENOMEM, "no memory for a table of messages");
  dtensor_status status = DTENSOR_OK;
  int64_t runs = 1;
  for (int receives = 0; receives < 2 && status == DTENSOR_OK; receives++) {
    (receives ? list_receives : list_sends)(leg, &list);
    qsort(list.item, (size_t)list.n, sizeof *list.item, by_peer_then_order);
    const int64_t longest = longest_list_of_runs(&list, leg, receives);
    if (longest > runs) runs = longest;
    status = receives ? make_streams(leg, &list, 1, &streams->receive, &streams->receives)
                      : make_streams(leg, &list, 0, &streams->send, &streams->sends);
  }
  free(list.item);
  DTI_TRY(status);
  if (streams->sends == 0 && streams->receives == 0) return DTENSOR_OK;
  DTI_TRY(make_room(streams, runs));
  for (int64_t i = 0; i < streams->sends; i++) DTI_TRY(size_stream(leg, &streams->send[i], 0));
  for (int64_t i = 0; i < streams->receives; i++)
    DTI_TRY(size_stream(leg, &streams->receive[i], 1));
  return make_batch(leg);
}

/* ---- Moving ---- */

static dti_slot *slot_of(const dti_stream *stream, int64_t message) {
  return &stream->slot[message % stream->window];
}

static int has_room(const dti_stream *stream) {
  return stream->started < stream->messages && stream->started - stream->finished < stream->window;
}

static void pack_message(dti_leg *leg, const dti_stream *stream, dti_position at, int64_t chunks,
                         char *message) {
  for (int64_t i = 0; i < chunks; i++, step(stream, &at)) {
    const dti_segment *s = &stream->segment[at.segment];
    const dti_leg_part *part = &leg->part[s->part];
    const dti_region region =
        dti_chunk_region(&s->chunks, region_of(leg, s, 0), at.chunk, &leg->streams.room[0]);
    dti_pack(message, part->from.data, part->from.stride, &region, part->element, leg->threads);
    message += (size_t)region.elements * part->element;
  }
}

/* The next message of a stream: send it, or post its receive. */
static dtensor_status start_message(dti_leg *leg, dti_stream *stream, int receives) {
  dti_streams *streams = &leg->streams;
  const dti_position begin = stream->next;
  size_t bytes;
  const int64_t chunks = take_message(leg, stream, &stream->next, &bytes);
  const int64_t place = place_of(leg, stream, begin, chunks, receives);
  dti_slot *slot = slot_of(stream, stream->started);
  slot->is_in_place = place >= 0;
  slot->is_done = 0;
  slot->bytes = bytes;
  char *memory = place >= 0 ? address_of(leg, &stream->segment[begin.segment], place, receives)
                            : stream->buffers + slot->offset;
  if (!receives && place < 0 && leg->failure == DTENSOR_OK)
    pack_message(leg, stream, begin, chunks, memory);
  streams->operation[streams->operations++] = (struct dti_operation){stream, stream->started++};
  return receives ? dti_batch_recv(streams->batch, memory, bytes, stream->peer, leg->tag)
                  : dti_batch_send(streams->batch, memory, bytes, stream->peer, leg->tag);
}

/* The first message goes to the next peer after this rank, so that not all begin with rank 0; and
 * one to each before the second to any. */
static dtensor_status push_sends(dti_leg *leg) {
  dti_streams *streams = &leg->streams;
  const int me = dti_comm_rank(leg->comm);
  int64_t first = 0;
  while (first < streams->sends && streams->send[first].peer < me) first++;
  for (int busy = 1; busy;) {
    busy = 0;
    for (int64_t n = 0; n < streams->sends; n++) {
      dti_stream *stream = &streams->send[(first + n) % streams->sends];
      if (!has_room(stream)) continue;
      DTI_TRY(start_message(leg, stream, 0));
      busy = 1;
    }
  }
  return DTENSOR_OK;
}

dtensor_status dti_streams_push(dti_leg *leg) {
  dti_streams *streams = &leg->streams;
  if (!streams->batch) return DTENSOR_OK;
  if (leg->hold != DTI_HOLD_SOURCE) DTI_TRY(push_sends(leg));
  if (leg->hold == DTI_HOLD_RECEIVES) return DTENSOR_OK;
  for (int64_t i = 0; i < streams->receives; i++)
    while (has_room(&streams->receive[i])) DTI_TRY(start_message(leg, &streams->receive[i], 1));
  return DTENSOR_OK;
}

int dti_stream_has_chunk(const dti_stream *stream) {
  return stream->finished < stream->started && slot_of(stream, stream->finished)->is_done;
}

/* Sends are finished when they are done, in order; receives when their chunks are used. */
static void finish_sends(dti_stream *stream) {
  while (dti_stream_has_chunk(stream)) stream->finished++;
}

dtensor_status dti_streams_test(dti_leg *leg, int *found) {
  dti_streams *streams = &leg->streams;
  *found = 0;
  if (!streams->batch) return DTENSOR_OK;
  int64_t n, open;
  DTI_TRY(dti_batch_test(streams->batch, streams->done, &n, &open));
  for (int64_t i = 0; i < n; i++) {
    const struct dti_operation *operation = &streams->operation[streams->done[i]];
    slot_of(operation->stream, operation->message)->is_done = 1;
  }
  dti_leg_fail(leg, dti_batch_failure(streams->batch));
  for (int64_t i = 0; i < streams->sends && n > 0; i++) finish_sends(&streams->send[i]);
  *found = n > 0;
  return DTENSOR_OK;
}

const void *dti_stream_chunk(const dti_stream *stream) {
  const dti_slot *slot = slot_of(stream, stream->finished);
  return slot->is_in_place ? NULL : stream->buffers + slot->offset + stream->offset;
}

void dti_stream_advance(dti_leg *leg, dti_stream *stream) {
  const dti_position at = stream->at;
  stream->offset += chunk_bytes(leg, &stream->segment[at.segment], at.chunk);
  step(stream, &stream->at);
  if (stream->offset < slot_of(stream, stream->finished)->bytes) return;
  stream->finished++;
  stream->offset = 0;
}

dti_stream *dti_streams_from(const dti_streams *streams, int rank) {
  int64_t begin = 0, end = streams->receives;
  while (begin < end) {
    const int64_t middle = (begin + end) / 2;
    if (streams->receive[middle].peer < rank)
      begin = middle + 1;
    else
      end = middle;
  }
  const int found = begin < streams->receives && streams->receive[begin].peer == rank;
  return found ? &streams->receive[begin] : NULL;
}

static int are_over(const dti_stream *stream, int64_t n) {
  for (int64_t i = 0; i < n; i++)
    if (stream[i].finished < stream[i].messages) return 0;
  return 1;
}

int dti_streams_are_over(const dti_streams *streams) {
  if (!streams->batch) return 1;
  return are_over(streams->send, streams->sends) && are_over(streams->receive, streams->receives);
}

static void free_streams(dti_stream *stream, int64_t n) {
  for (int64_t i = 0; i < n; i++) {
    free(stream[i].segment);
    free(stream[i].slot);
    dti_free(stream[i].buffers);
  }
  free(stream);
}

void dti_streams_free(dti_streams *streams) {
  dti_batch_destroy(&streams->batch);
  free_streams(streams->send, streams->sends);
  free_streams(streams->receive, streams->receives);
  for (int k = 0; k < 2; k++) free(streams->room[k].cut);
  free(streams->operation);
  free(streams->done);
  *streams = (dti_streams){0};
}
