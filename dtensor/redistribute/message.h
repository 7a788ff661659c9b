/* Cutting a stream into messages. Both ends do it alike: what a message holds follows from the
 * segments and from the most bytes of one (dti_leg.chunk_bytes). */
#ifndef DTENSOR_REDISTRIBUTE_MESSAGE_H_
#define DTENSOR_REDISTRIBUTE_MESSAGE_H_

#include "dtensor/redistribute/leg.h"

/* This rank's side of a segment. */
const dti_region *dti_segment_region(const dti_leg *leg, const dti_segment *s, int receives);

/* The bytes of a chunk of it. */
size_t dti_segment_chunk_bytes(const dti_leg *leg, const dti_segment *s, int64_t chunk);

/* On to the next chunk. */
void dti_position_step(const dti_stream *stream, dti_position *at);

/* The message that begins at *at: how many chunks and bytes; *at moves behind it. */
int64_t dti_message_take(const dti_leg *leg, const dti_stream *stream, dti_position *at,
                         size_t *bytes);

/* The offset of a message in this rank's own array, in elements, if it can be sent from there or
 * received into it; else -1: it needs a buffer. */
int64_t dti_message_place(dti_leg *leg, const dti_stream *stream, dti_position at, int64_t chunks,
                          int receives);

/* The memory at such an offset. */
char *dti_message_address(const dti_leg *leg, const dti_segment *s, int64_t offset, int receives);

#endif
