/* The event stream that tracing listens to, and the counters of what a rank moved. */
#ifndef DTENSOR_BASE_EVENT_H_
#define DTENSOR_BASE_EVENT_H_

#include <stddef.h>
#include <stdint.h>

typedef enum dti_event_kind {
  DTI_EVENT_OP = 1,
  DTI_EVENT_COMPUTE,
  DTI_EVENT_TRANSFER
} dti_event_kind;

typedef struct dti_event {
  const char *name; /* static */
  dti_event_kind kind;
  double begin, end;
  int64_t bytes;
  double flops;
} dti_event;

typedef void (*dti_event_listener)(const dti_event *event, void *ctx);

/* One listener per thread; NULL for none. */
void dti_event_listen(dti_event_listener listener, void *ctx);
int dti_event_listening(void);
void dti_event_emit(const dti_event *event);
double dti_event_clock(void); /* seconds, monotonic */

typedef struct dti_counters {
  int64_t messages_sent, messages_received;
  int64_t bytes_sent, bytes_received;
  int64_t agreements;
  /* Messages that a rank sent on behalf of its whole node: what they bring is counted above, by the
   * ranks that have it and those that want it. */
  int64_t messages_carried, bytes_carried;
  int64_t collectives; /* that moved data; what they brought is counted above as messages */
} dti_counters;

/* This thread's counters. */
dti_counters *dti_event_counters(void);

#endif
