#include "dtensor/redistribute/message.h"

#include "dtensor/kernels/strided.h"

const dti_region *dti_segment_region(const dti_leg *leg, const dti_segment *s, int receives) {
  const dti_exchange *x = leg->part[s->part].exchange;
  return receives ? &x->parcel[s->index].region : &x->send[s->index].region;
}

size_t dti_segment_chunk_bytes(const dti_leg *leg, const dti_segment *s, int64_t chunk) {
  return (size_t)dti_chunk_elements(&s->chunks, chunk) * leg->part[s->part].element;
}

void dti_position_step(const dti_stream *stream, dti_position *at) {
  if (++at->chunk < stream->segment[at->segment].chunks.count) return;
  at->chunk = 0;
  at->segment++;
}

int64_t dti_message_take(const dti_leg *leg, const dti_stream *stream, dti_position *at,
                         size_t *bytes) {
  int64_t chunks = 0;
  *bytes = 0;
  while (at->segment < stream->segments) {
    const size_t more = dti_segment_chunk_bytes(leg, &stream->segment[at->segment], at->chunk);
    if (chunks > 0 && *bytes + more > (size_t)leg->chunk_bytes) break;
    *bytes += more;
    chunks++;
    dti_position_step(stream, at);
  }
  return chunks;
}

int64_t dti_message_place(dti_leg *leg, const dti_stream *stream, dti_position at, int64_t chunks,
                          int receives) {
  const dti_segment *s = &stream->segment[at.segment];
  const dti_leg_part *part = &leg->part[s->part];
  if (chunks != 1 || (receives && part->exchange->parcel[s->index].contributions > 1)) return -1;
  const dti_region region = dti_chunk_region(&s->chunks, dti_segment_region(leg, s, receives),
                                             at.chunk, &leg->streams.room[0]);
  return dti_region_contiguous(receives ? part->to.stride : part->from.stride, &region);
}

char *dti_message_address(const dti_leg *leg, const dti_segment *s, int64_t offset, int receives) {
  const dti_leg_part *part = &leg->part[s->part];
  return (char *)(receives ? part->to.data : part->from.data) + offset * (int64_t)part->element;
}
