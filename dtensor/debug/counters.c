#include "dtensor/base/event.h"
#include "dtensor/debug.h"

void dtensor_comm_stats(dtensor_comm_counts *counts) {
  if (!counts) return;
  const dti_counters *now = dti_event_counters();
  *counts = (dtensor_comm_counts){
      .messages_sent = now->messages_sent,
      .messages_received = now->messages_received,
      .bytes_sent = now->bytes_sent,
      .bytes_received = now->bytes_received,
      .agreements = now->agreements,
  };
}

void dtensor_comm_stats_reset(void) { *dti_event_counters() = (dti_counters){0}; }
