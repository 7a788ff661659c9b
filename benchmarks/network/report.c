#include "benchmarks/network/network.h"

static const measure_columns columns = {20, 19, 22, 11, 32, "millisec", 1e3, 3};

void network_print_header(const network *w) {
  if (w->rank == 0) measure_print_header(&columns, w->ranks, w->threads);
}

void network_print(network *w, const network_row *r) {
  w->missed += !w->quick && r->goal > 0 && r->value > r->goal;
  if (w->rank != 0) return;
  measure_print(&columns, r, !w->quick);
  const double limit = r->value > 0 ? r->seconds * r->floor / r->value : 0;
  measure_csv_row(w->csv, w->ranks, w->threads, r, limit, r->peer, "", r->peer_seconds);
}

void network_ok(const network *w, dtensor_status status, const char *what) {
  measure_ok(w->comm, status, what);
}

void network_check(network *w, int right, const char *what) {
  w->failed += !measure_is_right(w->comm, right, what);
}

void network_time(const network *w, int repeats, network_body body[], int n) {
  enum { REPEATS_MOST = 15, BODIES_MOST = 8 };
  static double times[BODIES_MOST][REPEATS_MOST];
  if (w->quick) repeats = 1;
  if (repeats > REPEATS_MOST) repeats = REPEATS_MOST;
  for (int i = w->quick ? 0 : -1; i < repeats; i++)
    for (int j = 0; j < n; j++) {
      const double seconds = measure_slowest(w->comm, body[j].run, body[j].ctx, 1);
      if (i >= 0) times[j][i] = seconds;
    }
  for (int j = 0; j < n; j++) body[j].seconds = measure_median(times[j], repeats);
}
