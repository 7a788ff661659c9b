/* When each rank computed and when it communicated: the library's trace, gathered. */
#ifndef PURIFY_TIMELINE_H_
#define PURIFY_TIMELINE_H_

#include <dtensor/dtensor.h>
#include <stdint.h>

#include "outcome.h"

enum {
  TIMELINE_RANKS = 32,
  TIMELINE_EVENTS = 20000
}; /* recorded: the first ranks, events of each */

typedef struct timeline_event {
  double begin, end; /* seconds since timeline_start() */
  int64_t bytes;
  int rank, kind; /* dtensor_trace_kind */
  char name[24];
} timeline_event;

typedef struct timeline {
  timeline_event *events; /* on rank 0 after timeline_gather(): sorted by rank */
  int64_t count, capacity;
  int rank, ranks; /* ranks: how many were recorded */
  int is_cut;      /* there were more events than that */
  double origin;
} timeline;

/* Record what this thread does from now on. Collective: the ranks' clocks are set to 0 together. */
void timeline_start(MPI_Comm comm, timeline *t);
void timeline_stop(void);

/* Move the events of the first TIMELINE_RANKS ranks to rank 0. Collective. */
outcome timeline_gather(MPI_Comm comm, timeline *t);
void timeline_free(timeline *t);

#endif
