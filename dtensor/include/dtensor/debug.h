/* Seeing what the library does: communication counters, a time line, pictures of layouts. */
#ifndef DTENSOR_DEBUG_H_
#define DTENSOR_DEBUG_H_

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "dtensor/status.h"
#include "dtensor/tensor.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What the calling rank moved, payload only, through the library's data transfers (not its few-word
 * agreements, which are counted on their own). A transfer from a rank to itself is no message. */
typedef struct dtensor_comm_counts {
  int64_t messages_sent, messages_received;
  int64_t bytes_sent, bytes_received;
  int64_t agreements; /* small all-reduces and all-gathers of control data */
} dtensor_comm_counts;

/* Read and reset this rank's counters (this thread's, in simulated ranks). Local. */
void dtensor_comm_stats(dtensor_comm_counts *counts);
void dtensor_comm_stats_reset(void);

typedef enum dtensor_trace_kind {
  DTENSOR_TRACE_OP = 1,  /* a public operator, from call to return */
  DTENSOR_TRACE_COMPUTE, /* a local kernel */
  DTENSOR_TRACE_TRANSFER /* waiting for, packing or unpacking a transfer */
} dtensor_trace_kind;

typedef struct dtensor_trace_event {
  const char *name; /* of the operator or step; static */
  dtensor_trace_kind kind;
  double begin, end; /* seconds of this rank's monotonic clock */
  int64_t bytes;     /* TRANSFER: sent and received */
  double flops;      /* COMPUTE: floating-point operations, 0 where they are not counted */
} dtensor_trace_event;

/* Called on the rank's own thread at the end of each event. One listener per thread; NULL stops it.
 * With no listener, tracing costs a test of a thread-local pointer. Local. */
typedef void (*dtensor_trace_listener)(const dtensor_trace_event *event, void *ctx);
void dtensor_trace_listen(dtensor_trace_listener listener, void *ctx);

/* Seconds of the clock that events use. Local. */
double dtensor_trace_clock(void);

/* Write which part of x each mesh coordinate owns: a grid of the first two dimensions (a vector is
 * one row; further dimensions are left out), blocks labelled by row-major mesh ranks. Equal on
 * every rank; meant for one of them.
 *
 * Local.
 *
 *   TEXT  a table of characters, as PyTorch's visualize_sharding prints
 *   SVG   a picture, one <svg> element without outside references
 *
 * Errors: DTENSOR_EINVAL  x or out is NULL, bad format
 *         DTENSOR_ESHAPE  a scalar has no picture
 *         DTENSOR_EIO     writing to out failed */
typedef enum dtensor_picture { DTENSOR_PICTURE_TEXT, DTENSOR_PICTURE_SVG } dtensor_picture;
dtensor_status dtensor_visualize_sharding(const dtensor *x, dtensor_picture format, FILE *out);

#ifdef __cplusplus
}
#endif
#endif
