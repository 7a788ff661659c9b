#define _POSIX_C_SOURCE 200809L /* clock_gettime */
#include "dtensor/base/event.h"

#include <time.h>

static _Thread_local dti_event_listener current_listener;
static _Thread_local void *current_ctx;
static _Thread_local dti_counters counters;

void dti_event_listen(dti_event_listener listener, void *ctx) {
  current_listener = listener;
  current_ctx = ctx;
}

int dti_event_listening(void) { return current_listener != NULL; }

void dti_event_emit(const dti_event *event) {
  if (current_listener) current_listener(event, current_ctx);
}

double dti_event_clock(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

dti_counters *dti_event_counters(void) { return &counters; }
