#include <stdlib.h>

#include "benchmarks/network/network.h"

void network_print_header(const network *w) {
  if (w->rank != 0) return;
  printf(
      "\n%d nodes x 1 rank x %d thread%s; medians, slowest rank; every result is checked first\n",
      w->ranks, w->threads, w->threads > 1 ? "s" : "");
  printf("%-20s %-19s %-22s %11s %16s  %-32s %s\n", "op", "shape", "layouts", "millisec", "rate",
         "peer: millisec (ratio)", "figure (goal)");
}

void network_print(network *w, const network_row *r) {
  const int has_goal = r->goal > 0 && !w->quick, missed = has_goal && r->value > r->goal;
  w->missed += missed;
  if (w->rank != 0) return;
  char rate[32] = "", peer[64] = "", figure[96] = "";
  if (r->unit) snprintf(rate, sizeof rate, "%.2f %s", r->rate, r->unit);
  if (r->peer)
    snprintf(peer, sizeof peer, "%s: %.3f (%.2f)", r->peer, 1e3 * r->peer_seconds,
             r->seconds / r->peer_seconds);
  if (r->what)
    snprintf(figure, sizeof figure, "%s %.3f%s", r->what, r->value,
             !has_goal ? ""
             : missed  ? " MISSED"
                       : " ok");
  else if (r->least > 0)
    snprintf(figure, sizeof figure, "bytes / least %.3f", r->bytes / r->least);
  printf("%-20s %-19s %-22s %11.3f %16s  %-32s %s", r->op, r->shape, r->layouts ? r->layouts : "",
         1e3 * r->seconds, rate, peer, figure);
  if (has_goal) printf(" (goal %.3g)", r->goal);
  printf("\n");
  fflush(stdout);
  if (w->csv)
    fprintf(w->csv, "%s,%s,\"%s\",%d,%d,%.9g,%.0f,%.0f,%.6g,%s,%s,%.9g,%s,%.6g,%.6g\n", r->op,
            r->shape, r->layouts ? r->layouts : "", w->ranks, w->threads, r->seconds, r->bytes,
            r->least, r->rate, r->unit ? r->unit : "", r->peer ? r->peer : "", r->peer_seconds,
            r->what ? r->what : "", r->value, r->goal);
}

void network_ok(const network *w, dtensor_status status, const char *what) {
  if (status == DTENSOR_OK) return;
  fprintf(stderr, "rank %d: %s: %s\n", w->rank, what, dtensor_last_error());
  MPI_Abort(w->comm, 1);
}

void network_check(network *w, int right, const char *what) {
  MPI_Allreduce(MPI_IN_PLACE, &right, 1, MPI_INT, MPI_MIN, w->comm);
  if (right) return;
  w->failed++;
  if (w->rank == 0) fprintf(stderr, "WRONG RESULT: %s\n", what);
}

static double once(const network *w, const network_body *body) {
  MPI_Barrier(w->comm);
  double seconds = -MPI_Wtime();
  body->run(body->ctx);
  seconds += MPI_Wtime();
  MPI_Allreduce(MPI_IN_PLACE, &seconds, 1, MPI_DOUBLE, MPI_MAX, w->comm);
  return seconds;
}

static int by_value(const void *a, const void *b) {
  const double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

void network_time(const network *w, int repeats, network_body body[], int n) {
  enum { REPEATS_MOST = 15, BODIES_MOST = 8 };
  static double times[BODIES_MOST][REPEATS_MOST];
  if (w->quick) repeats = 1;
  if (repeats > REPEATS_MOST) repeats = REPEATS_MOST;
  for (int i = w->quick ? 0 : -1; i < repeats; i++)
    for (int j = 0; j < n; j++) {
      const double seconds = once(w, &body[j]);
      if (i >= 0) times[j][i] = seconds;
    }
  for (int j = 0; j < n; j++) {
    qsort(times[j], (size_t)repeats, sizeof(double), by_value);
    body[j].seconds = times[j][repeats / 2];
  }
}
