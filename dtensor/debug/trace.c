#include <stddef.h>

#include "dtensor/base/event.h"
#include "dtensor/debug.h"

static _Thread_local dtensor_trace_listener user_listener;

/* The library's own event type stays free to change: the user's is a copy of it. */
static void forward(const dti_event *event, void *ctx) {
  static const dtensor_trace_kind kinds[] = {
      [DTI_EVENT_OP] = DTENSOR_TRACE_OP,
      [DTI_EVENT_COMPUTE] = DTENSOR_TRACE_COMPUTE,
      [DTI_EVENT_TRANSFER] = DTENSOR_TRACE_TRANSFER,
  };
  const dtensor_trace_event copy = {
      .name = event->name,
      .kind = kinds[event->kind],
      .begin = event->begin,
      .end = event->end,
      .bytes = event->bytes,
      .flops = event->flops,
  };
  user_listener(&copy, ctx);
}

void dtensor_trace_listen(dtensor_trace_listener listener, void *ctx) {
  user_listener = listener;
  dti_event_listen(listener ? forward : NULL, listener ? ctx : NULL);
}

double dtensor_trace_clock(void) { return dti_event_clock(); }
