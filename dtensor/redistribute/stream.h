/* Messages with the ranks of other nodes. All that a rank sends to one peer in a leg, of all of its
 * tensors, is one stream: the regions in the order of the tensors, cut into chunks, as many chunks
 * to a message as fit. Both ends cut alike, so one message is packed while the one before it is on
 * the wire, and unpacked while the next one arrives.
 *
 * Without a limit to the buffers all messages are started at once, sends first. Where messages are
 * long, MPI shakes hands before each, and a handshake that comes late waits behind megabytes of
 * other messages: over TCP the two directions of a pair then run one after the other. Where
 * messages are cut to fit a limit, DTI_CUT_WINDOW of them are under way with each peer at a time,
 * and the transfer goes in rounds; what all of them would hold together is never less than the
 * buffers of a window, so that spec/buffers.h knows what a rank needs at most.
 *
 * Long messages that are under way together also share the wire, so that all of them end at the
 * end. Transfers that are waited for one by one while others follow (dti_transfers_begin()) go in
 * short messages, which keep their order and need no handshake. */
#ifndef DTENSOR_REDISTRIBUTE_STREAM_H_
#define DTENSOR_REDISTRIBUTE_STREAM_H_

#include "dtensor/comm/comm.h"
#include "dtensor/spec/chunk.h"

/* Bytes of a message where nobody has set a limit. */
#define DTI_STREAM_CHUNK ((int64_t)4 << 20)

/* Of one that MPI sends at once, without shaking hands: its header fits into 64 KiB too. */
#define DTI_STREAM_SHORT ((int64_t)65000 / 16 * 16)

/* One region of the traffic with a peer. */
typedef struct dti_segment {
  int part;
  int64_t index; /* of the exchange's sends or parcels */
  dti_chunks chunks;
} dti_segment;

typedef struct dti_position {
  int64_t segment, chunk;
} dti_position;

/* A message under way. */
typedef struct dti_slot {
  size_t offset, bytes; /* its place among the buffers */
  int is_in_place;      /* no buffer: it is sent from, or received into, the tensor itself */
  int is_done;
} dti_slot;

typedef struct dti_stream {
  int peer;
  int64_t segments;
  dti_segment *segment;
  int64_t messages, started, finished; /* finished: in order, and their buffers are free again */
  dti_position next;                   /* what the next message begins with */
  int64_t window;
  dti_slot *slot; /* of message i: number i modulo the window */
  char *buffers;  /* NULL: all messages lie in place */
  /* Receives: what is put in its place next, and where it is in the oldest message. */
  dti_position at;
  size_t offset;
} dti_stream;

typedef struct dti_streams {
  int64_t sends, receives;
  dti_stream *send, *receive;
  dti_batch *batch; /* NULL: no messages, or they were given up */
  int64_t *done;    /* room for what a test reports */
  struct dti_operation {
    dti_stream *stream;
    int64_t message;
  } * operation;
  int64_t operations;     /* started */
  dti_chunk_room room[2]; /* for one chunk of either side of an exchange */
  int64_t bytes_in_buffers;
} dti_streams;

struct dti_leg;

/* stream_prepare.c: find the peers, cut, allocate. After the parts' exchanges are planned. */
dtensor_status dti_streams_prepare(struct dti_leg *leg);

/* Send, then post receives, as far as the windows have room and leg->hold permits. */
dtensor_status dti_streams_push(struct dti_leg *leg);

/* Find out what has arrived or left; *found: whether anything has. */
dtensor_status dti_streams_test(struct dti_leg *leg, int *found);

/* 1 if the chunk at the head of a receiving stream is there. */
int dti_stream_has_chunk(const dti_stream *stream);

/* It: NULL if it was received into its place. */
const void *dti_stream_chunk(const dti_stream *stream);

/* It was used: on to the next one. */
void dti_stream_advance(struct dti_leg *leg, dti_stream *stream);

/* The stream that a rank's contributions come by; NULL if there is none. */
dti_stream *dti_streams_from(const dti_streams *streams, int rank);

int dti_streams_are_over(const dti_streams *streams);

void dti_streams_free(dti_streams *streams);

#endif
