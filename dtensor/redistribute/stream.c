/* The streams of a leg on their way. */
#include "dtensor/redistribute/stream.h"

#include <stdlib.h>

#include "dtensor/base/alloc.h"
#include "dtensor/base/fail.h"
#include "dtensor/kernels/strided.h"
#include "dtensor/redistribute/message.h"

static dti_slot *slot_of(const dti_stream *stream, int64_t message) {
  return &stream->slot[message % stream->window];
}

static int has_room(const dti_stream *stream) {
  return stream->started < stream->messages && stream->started - stream->finished < stream->window;
}

static void pack_message(dti_leg *leg, const dti_stream *stream, dti_position at, int64_t chunks,
                         char *message) {
  for (int64_t i = 0; i < chunks; i++, dti_position_step(stream, &at)) {
    const dti_segment *s = &stream->segment[at.segment];
    const dti_leg_part *part = &leg->part[s->part];
    const dti_region region = dti_chunk_region(&s->chunks, dti_segment_region(leg, s, 0), at.chunk,
                                               &leg->streams.room[0]);
    dti_pack(message, part->from.data, part->from.stride, &region, part->element, leg->threads);
    message += (size_t)region.elements * part->element;
  }
}

/* The next message of a stream: send it, or post its receive. */
static dtensor_status start_message(dti_leg *leg, dti_stream *stream, int receives) {
  dti_streams *streams = &leg->streams;
  const dti_position begin = stream->next;
  size_t bytes;
  const int64_t chunks = dti_message_take(leg, stream, &stream->next, &bytes);
  const int64_t place = dti_message_place(leg, stream, begin, chunks, receives);
  dti_slot *slot = slot_of(stream, stream->started);
  slot->is_in_place = place >= 0;
  slot->is_done = 0;
  slot->bytes = bytes;
  char *memory = place >= 0
                     ? dti_message_address(leg, &stream->segment[begin.segment], place, receives)
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
  stream->offset += dti_segment_chunk_bytes(leg, &stream->segment[at.segment], at.chunk);
  dti_position_step(stream, &stream->at);
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
