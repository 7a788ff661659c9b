/* Several ways of doing the same, side by side. */
#include <stdlib.h>
#include <string.h>

#include "benchmarks/bench.h"

enum { MOST_WAYS = 24, MOST_TIMES = 401, LEAST_TIMES = 5 };

void bench_table(bench *b, const char *title, const char *const peers[]) {
  b->columns = peers;
  if (b->rank != 0) return;
  printf("\n%s: %d ranks x %d thread%s\n", title, b->ranks, b->threads, b->threads > 1 ? "s" : "");
  printf("%-13s %-13s %14s %8s", "shape", "layouts", "dtensor (us)", "");
  for (int i = 0; peers[i]; i++) {
    char text[64];
    snprintf(text, sizeof text, "%s (us; dtensor / it)", peers[i]);
    printf("  %-34s", text);
  }
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
  double times[MOST_TIMES], least;
  int count, calls,
      warm; /* calls: per time taken; warm: whether one goes before that is not timed */
} series;

/* Run and look at the result; then choose how to time. Returns whether the result is right. */
static int check(bench *b, const bench_row *row, bench_way *w, series *s) {
  if (w->prepare) w->prepare(w->ctx);
  MPI_Barrier(b->comm); /* nobody reads what is still being prepared */
  w->run(w->ctx);
  int right = w->right(w->ctx);
  MPI_Allreduce(MPI_IN_PLACE, &right, 1, MPI_INT, MPI_MIN, b->comm);
  if (!right) {
    if (b->rank == 0)
      fprintf(stderr, "WRONG RESULT: %s (%s), %s %s %s\n", w->peer, w->method, row->op, row->shape,
              row->layouts);
    const int ours = strcmp(w->peer, "dtensor") == 0 || strcmp(w->peer, "limit") == 0;
    b->failed += ours;
    return 0;
  }
  s->least = bench_once(b, w->run, w->ctx, 1);
  const double calls = 100e-6 / s->least;
  s->calls = b->smoke || calls < 1 ? 1 : calls > 500 ? 500 : (int)calls;
  /* What fits into a cache is found there when the same was done just before. */
  s->warm = s->calls == 1 && s->least < 5e-3;
  return 1;
}

/* Whether another way of the same peer is so much faster that this one need not be timed further.
 */
static int beaten(const bench_way ways[], const series all[], int count, int which) {
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
      if (s->calls == 0 || beaten(ways, all, count, i)) continue;
      if (s->warm) spent += bench_once(b, ways[i].run, ways[i].ctx, 1);
      const double seconds = bench_once(b, ways[i].run, ways[i].ctx, s->calls);
      spent += seconds;
      s->times[s->count++] = seconds / s->calls;
      if (s->count == 1 || seconds / s->calls < s->least) s->least = seconds / s->calls;
    }
  }
  for (int i = 0; i < count; i++)
    if (all[i].count > 0) ways[i].seconds = bench_median(all[i].times, all[i].count);
}

static void print_cell(const bench_way *ours, const bench_way *peer) {
  if (!peer) {
    printf("  %9s %-24s", "-", "");
    return;
  }
  char text[64];
  snprintf(text, sizeof text, "(%.2f, %s)", ours->seconds / peer->seconds, peer->method);
  printf("  %9.1f %-24s", 1e6 * peer->seconds, text);
}

void bench_compare(bench *b, bench_row *row, double amount, bench_way ways[], int count,
                   double budget) {
  series *all = calloc(MOST_WAYS, sizeof *all);
  if (!all || count > MOST_WAYS) MPI_Abort(b->comm, 1);
  for (int i = 0; i < count; i++) {
    ways[i].seconds = 0;
    check(b, row, &ways[i], &all[i]);
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
  printf("%-13s %-13s %14.2f %8.2f", row->shape, row->layouts, 1e6 * row->seconds, row->rate);
  for (int i = 0; b->columns[i]; i++) print_cell(ours, fastest(ways, count, b->columns[i]));
  printf("%s\n", row->goal <= 0 ? "" : missed ? "MISSED" : "ok");
  fflush(stdout);
  for (int i = 1; i < count; i++)
    if (ways[i].seconds > 0)
      bench_csv_row(b, row, limit ? limit->seconds : 0, ways[i].peer, ways[i].method,
                    ways[i].seconds);
}
