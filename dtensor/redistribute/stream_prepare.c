/* The streams of a leg before anything moves: who gets what, in which messages, with which buffers.
 */
#include <stdlib.h>

#include "dtensor/base/alloc.h"
#include "dtensor/base/fail.h"
#include "dtensor/redistribute/message.h"
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

/* ---- Streams, their messages and buffers ---- */

static int64_t longest_list_of_runs(const traffic_list *list, const dti_leg *leg, int receives) {
  int64_t longest = 1;
  for (int64_t i = 0; i < list->n; i++) {
    const dti_segment s = {.part = list->item[i].part, .index = list->item[i].index};
    const dti_exchange *x = leg->part[s.part].exchange;
    const dti_region *sides[] = {dti_segment_region(leg, &s, receives),
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
      s->chunks = dti_chunks_of(dti_segment_region(leg, s, receives),
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
    const int64_t chunks = dti_message_take(leg, stream, &at, &bytes);
    if (dti_message_place(leg, stream, begin, chunks, receives) >= 0) continue;
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
    dti_message_take(leg, stream, &at, &message);
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
