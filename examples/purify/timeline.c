#include "timeline.h"

#include <stdio.h>
#include <stdlib.h>

static void record(const dtensor_trace_event *event, void *ctx) {
  timeline *t = ctx;
  if (t->count == t->capacity) {
    const int64_t capacity = t->capacity ? 2 * t->capacity : 1024;
    timeline_event *larger = NULL;
    if (t->count < TIMELINE_EVENTS) larger = realloc(t->events, (size_t)capacity * sizeof *larger);
    if (!larger) {
      t->is_cut = 1;
      return;
    }
    t->events = larger;
    t->capacity = capacity;
  }
  timeline_event *copy = &t->events[t->count++];
  *copy = (timeline_event){.begin = event->begin - t->origin,
                           .end = event->end - t->origin,
                           .bytes = event->bytes,
                           .rank = t->rank,
                           .kind = (int)event->kind};
  snprintf(copy->name, sizeof copy->name, "%s", event->name);
}

void timeline_start(MPI_Comm comm, timeline *t) {
  *t = (timeline){0};
  MPI_Comm_rank(comm, &t->rank);
  MPI_Comm_size(comm, &t->ranks);
  if (t->ranks > TIMELINE_RANKS) t->ranks = TIMELINE_RANKS;
  MPI_Barrier(comm);
  t->origin = dtensor_trace_clock();
  if (t->rank < t->ranks) dtensor_trace_listen(record, t);
}

void timeline_stop(void) { dtensor_trace_listen(NULL, NULL); }

outcome timeline_gather(MPI_Comm comm, timeline *t) {
  int size = 0;
  MPI_Comm_size(comm, &size);
  const int mine = (int)(t->count * (int64_t)sizeof *t->events);
  int *bytes = calloc((size_t)size, sizeof *bytes), *begin = calloc((size_t)size, sizeof *begin);
  int is_cut = t->is_cut;
  MPI_Allreduce(MPI_IN_PLACE, &is_cut, 1, MPI_INT, MPI_MAX, comm);
  outcome result = outcome_fine();
  if (!bytes || !begin) result = outcome_fail(OUTCOME_FAILED, "no memory for the time line");
  result = outcome_agree(comm, result);
  if (result.code) goto done;

  MPI_Allgather(&mine, 1, MPI_INT, bytes, 1, MPI_INT, comm);
  int total = bytes[0];
  for (int r = 1; r < size; r++) {
    begin[r] = total;
    total += bytes[r];
  }
  timeline_event *all = t->rank == 0 ? malloc((size_t)total + 1) : NULL;
  if (t->rank == 0 && !all) result = outcome_fail(OUTCOME_FAILED, "no memory for the time line");
  result = outcome_agree(comm, result);
  if (result.code) goto done;
  MPI_Gatherv(t->events, mine, MPI_BYTE, all, bytes, begin, MPI_BYTE, 0, comm);
  free(t->events);
  t->events = all;
  t->count = t->rank == 0 ? total / (int64_t)sizeof *all : 0;
  t->capacity = t->count;
  t->is_cut = is_cut;
done:
  free(bytes);
  free(begin);
  return result;
}

void timeline_free(timeline *t) {
  free(t->events);
  *t = (timeline){0};
}
