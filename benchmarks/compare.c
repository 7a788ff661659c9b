/* Several ways of doing the same, side by side. */
#include <stdlib.h>
#include <string.h>

#include "benchmarks/bench.h"

enum { MOST_WAYS = 24, MOST_TIMES = 401, LEAST_TIMES = 5 };

void bench_table(bench *b, const char *title, const char *const peers[]) {
  b->columns = peers;
  if (b->rank != 0) return;
  printf("\n%s: %d ranks x %d thread%s\n", title, b->ranks, b->threads, b->threads > 1 ? "s" : "");
  printf("microseconds; beside a peer's: dtensor's time over it; last: how the peers did it\n");
  printf("%-13s %-13s %10s %8s", "shape", "layouts", "dtensor", "rate");
  for (int i = 0; peers[i]; i++) printf(" %17s", peers[i]);
  printf("\n");
}

/* The fastest way of a peer, NULL if it has none with a right result. */
static const bench_way *fastest(const bench_way ways[], int count, const char *peer) {
  const bench_way *best = NULL;
  for (int i = 0; i < count; i++)
    if (strcmp(ways[i].peer, peer) == 0 && ways[i].seconds > 0 &&
        (!best || ways[i].seconds < best->seconds))
      best = &ways[i];
  return best;
}

/* What is known of one way while the rounds go on. */
typedef struct series {
  double times[MOST_TIMES], least, spent;
  int count;
  int calls; /* per time that is taken; 0: the result was wrong */
  int warm;  /* runs before them that are not timed */
} series;

/* Run and look at the result; if it is right, choose how to time. */
static void check(bench *b, const bench_row *row, bench_way *w, series *s, double budget) {
  if (w->prepare) w->prepare(w->ctx);
  /* It begins with a barrier: nobody reads what is still being prepared. */
  s->least = measure_slowest(b->comm, w->run, w->ctx, 1);
  int right = w->right(w->ctx);
  MPI_Allreduce(MPI_IN_PLACE, &right, 1, MPI_INT, MPI_MIN, b->comm);
  if (!right) {
    if (b->rank == 0)
      fprintf(stderr, "WRONG RESULT: %s (%s), %s %s %s\n", w->peer, w->method, row->op, row->shape,
              row->layouts);
    b->failed += strcmp(w->peer, "dtensor") == 0 || strcmp(w->peer, "limit") == 0;
    return;
  }
  if (s->least < 0.1 * budget) s->least = measure_slowest(b->comm, w->run, w->ctx, 1); /* warm */
  const double calls = 100e-6 / s->least;
  s->calls = b->smoke || calls < 1 ? 1 : calls > 500 ? 500 : (int)calls;
  /* What fits into a cache is found there when the same was done several times before, and what
   * others have left there is gone. */
  const double runs = 2e-3 / s->least;
  s->warm = s->least > 0.1 * budget ? 0 : runs < 3 ? 3 : runs > 8 ? 8 : (int)runs;
}

/* Whether this way has had its share of the time, or another of the same peer is so much faster
 * that it need not be timed further. */
static int finished(const bench_way ways[], const series all[], int count, int which,
                    double budget) {
  if (all[which].count > 0 && all[which].spent > 0.5 * budget) return 1;
  if (all[which].count < 2) return 0;
  for (int i = 0; i < count; i++)
    if (i != which && all[i].count >= 2 && strcmp(ways[i].peer, ways[which].peer) == 0 &&
        all[i].least < 0.7 * all[which].least)
      return 1;
  return 0;
}

/* All ranks see the same times, so they agree on what is timed and when that ends. */
static void time_in_turn(const bench *b, bench_way ways[], series all[], int count, double budget) {
  const int least = b->smoke ? 1 : LEAST_TIMES, most = b->smoke ? 1 : MOST_TIMES;
  double spent = 0;
  for (int round = 0; round < most && (round < least || spent < budget); round++) {
    for (int i = 0; i < count; i++) {
      series *s = &all[i];
      if (s->calls == 0 || finished(ways, all, count, i, budget)) continue;
      if (s->warm > 0) measure_slowest(b->comm, ways[i].run, ways[i].ctx, s->warm);
      const double seconds = measure_slowest(b->comm, ways[i].run, ways[i].ctx, s->calls);
      const double all_runs = seconds / s->calls * (s->calls + s->warm);
      s->spent += all_runs;
      spent += all_runs;
      s->times[s->count++] = seconds / s->calls;
      if (s->count == 1 || seconds / s->calls < s->least) s->least = seconds / s->calls;
    }
  }
  for (int i = 0; i < count; i++)
    if (all[i].count > 0) ways[i].seconds = measure_median(all[i].times, all[i].count);
}

static void print_row(const bench *b, const bench_row *row, const bench_way ways[], int count,
                      int missed) {
  printf("%-13s %-13s %10.1f %8.2f", row->shape, row->layouts, 1e6 * row->seconds, row->rate);
  for (int i = 0; b->columns[i]; i++) {
    const bench_way *peer = fastest(ways, count, b->columns[i]);
    if (peer)
      printf(" %10.1f %6.2f", 1e6 * peer->seconds, row->seconds / peer->seconds);
    else
      printf(" %10s %6s", "-", "");
  }
  printf("  %s", row->goal <= 0 ? "" : missed ? "MISSED " : "ok     ");
  const char *between = "";
  for (int i = 0; b->columns[i]; i++) {
    const bench_way *peer = fastest(ways, count, b->columns[i]);
    if (!peer || !peer->method[0]) continue;
    printf("%s%s", between, peer->method);
    between = "; ";
  }
  printf("\n");
  fflush(stdout);
}

void bench_compare(bench *b, bench_row *row, double amount, bench_way ways[], int count,
                   double budget) {
  series *all = calloc(MOST_WAYS, sizeof *all);
  if (!all || count > MOST_WAYS) MPI_Abort(b->comm, 1);
  for (int i = 0; i < count; i++) {
    ways[i].seconds = 0;
    check(b, row, &ways[i], &all[i], budget);
  }
  time_in_turn(b, ways, all, count, budget);
  free(all);
  const bench_way *ours = &ways[0], *limit = fastest(ways, count, "limit");
  if (ours->seconds <= 0) return; /* wrong, and said */

  row->seconds = ours->seconds;
  row->rate = 1e-9 * amount / ours->seconds;
  if (limit) {
    row->what = "time / limit";
    row->value = ours->seconds / limit->seconds;
  }
  const int missed = !b->smoke && row->goal > 0 && row->value > row->goal;
  b->missed += missed;
  if (b->rank != 0) return;
  print_row(b, row, ways, count, missed);
  for (int i = 1; i < count; i++)
    if (ways[i].seconds > 0)
      measure_csv_row(b->csv, b->ranks, b->threads, row, limit ? limit->seconds : 0, ways[i].peer,
                      ways[i].method, ways[i].seconds);
}
