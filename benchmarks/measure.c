#include "benchmarks/measure.h"

#include <stdlib.h>

double measure_slowest(MPI_Comm comm, measure_body f, void *ctx, int calls) {
  MPI_Barrier(comm);
  double seconds = -MPI_Wtime();
  for (int i = 0; i < calls; i++) f(ctx);
  seconds += MPI_Wtime();
  MPI_Allreduce(MPI_IN_PLACE, &seconds, 1, MPI_DOUBLE, MPI_MAX, comm);
  return seconds;
}

static int by_value(const void *a, const void *b) {
  const double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

double measure_median(double times[], int count) {
  qsort(times, (size_t)count, sizeof times[0], by_value);
  return times[count / 2];
}

static int rank_in(MPI_Comm comm) {
  int rank;
  MPI_Comm_rank(comm, &rank);
  return rank;
}

void measure_ok(MPI_Comm comm, dtensor_status status, const char *what) {
  if (status == DTENSOR_OK) return;
  fprintf(stderr, "rank %d: %s: %s\n", rank_in(comm), what, dtensor_last_error());
  MPI_Abort(comm, 1);
}

int measure_is_right(MPI_Comm comm, int right, const char *what) {
  MPI_Allreduce(MPI_IN_PLACE, &right, 1, MPI_INT, MPI_MIN, comm);
  if (!right && rank_in(comm) == 0) fprintf(stderr, "WRONG RESULT: %s\n", what);
  return right;
}

void measure_print_header(const measure_columns *c, int ranks, int threads) {
  char peer[64];
  snprintf(peer, sizeof peer, "peer: %s (ratio)", c->unit);
  printf("\n%d rank%s x %d thread%s; medians, slowest rank; every result is checked first\n", ranks,
         ranks > 1 ? "s" : "", threads, threads > 1 ? "s" : "");
  printf("%-*s %-*s %-*s %*s %16s  %-*s %s\n", c->op, "op", c->shape, "shape", c->layouts,
         "layouts", c->time, c->unit, "rate", c->peer, peer, "figure (goal)");
}

void measure_print(const measure_columns *c, const bench_row *r, int has_goal) {
  char time[32] = "-", rate[32] = "", peer[64] = "", figure[96] = "";
  has_goal = has_goal && r->goal > 0;
  if (r->seconds > 0) snprintf(time, sizeof time, "%.*f", c->decimals, c->per_second * r->seconds);
  if (r->unit) snprintf(rate, sizeof rate, "%.2f %s", r->rate, r->unit);
  if (r->peer)
    snprintf(peer, sizeof peer, "%s: %.*f (%.2f)", r->peer, c->decimals,
             c->per_second * r->peer_seconds, r->seconds / r->peer_seconds);
  if (r->what)
    snprintf(figure, sizeof figure, "%s %.3f%s", r->what, r->value,
             !has_goal            ? ""
             : r->value > r->goal ? " MISSED"
                                  : " ok");
  else if (r->least > 0)
    snprintf(figure, sizeof figure, "bytes / least %.3f", r->bytes / r->least);
  printf("%-*s %-*s %-*s %*s %16s  %-*s %s", c->op, r->op, c->shape, r->shape, c->layouts,
         r->layouts ? r->layouts : "", c->time, time, rate, c->peer, peer, figure);
  if (has_goal && r->floor > 0)
    printf(" (goal %.3g, floor %.3f)", r->goal, r->floor);
  else if (has_goal)
    printf(" (goal %.3g)", r->goal);
  printf("\n");
  fflush(stdout);
}
