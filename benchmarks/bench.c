#include "benchmarks/bench.h"

#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void bench_print_header(const bench *b) {
  if (b->rank != 0) return;
  printf("\n%d rank%s x %d thread%s; medians, slowest rank; every result is checked first\n",
         b->ranks, b->ranks > 1 ? "s" : "", b->threads, b->threads > 1 ? "s" : "");
  printf("%-14s %-11s %-14s %12s %16s  %-30s %s\n", "op", "shape", "layouts", "microsec", "rate",
         "peer: microsec (ratio)", "figure (goal)");
}

void bench_print(bench *b, const bench_row *r) {
  if (r->goal > 0 && r->value > r->goal) b->failed++;
  if (b->rank != 0) return;
  char rate[32] = "", peer[64] = "", figure[96] = "";
  if (r->unit) snprintf(rate, sizeof rate, "%.2f %s", r->rate, r->unit);
  if (r->peer)
    snprintf(peer, sizeof peer, "%s: %.1f (%.2f)", r->peer, 1e6 * r->peer_seconds,
             r->seconds / r->peer_seconds);
  if (r->what)
    snprintf(figure, sizeof figure, "%s %.3f%s", r->what, r->value,
             r->goal <= 0         ? ""
             : r->value > r->goal ? " MISSED"
                                  : " ok");
  else if (r->least > 0)
    snprintf(figure, sizeof figure, "bytes / least %.3f", r->bytes / r->least);
  printf("%-14s %-11s %-14s %12.2f %16s  %-30s %s", r->op, r->shape, r->layouts ? r->layouts : "",
         1e6 * r->seconds, rate, peer, figure);
  if (r->goal > 0) printf(" (goal %.3g)", r->goal);
  printf("\n");
  fflush(stdout);
  if (b->csv)
    fprintf(b->csv, "%s,%s,\"%s\",%d,%d,%.9g,%.0f,%.0f,%.6g,%s,%s,%.9g,%s,%.6g,%.6g\n", r->op,
            r->shape, r->layouts ? r->layouts : "", b->ranks, b->threads, r->seconds, r->bytes,
            r->least, r->rate, r->unit ? r->unit : "", r->peer ? r->peer : "", r->peer_seconds,
            r->what ? r->what : "", r->value, r->goal);
}

void bench_ok(const bench *b, dtensor_status status, const char *what) {
  if (status == DTENSOR_OK) return;
  fprintf(stderr, "rank %d: %s: %s\n", b->rank, what, dtensor_last_error());
  MPI_Abort(b->comm, 1);
}

void bench_check(bench *b, int right, const char *what) {
  MPI_Allreduce(MPI_IN_PLACE, &right, 1, MPI_INT, MPI_MIN, b->comm);
  if (right) return;
  b->failed++;
  if (b->rank == 0) fprintf(stderr, "WRONG RESULT: %s\n", what);
}

static double once(const bench *b, bench_body f, void *ctx) {
  MPI_Barrier(b->comm);
  double seconds = -MPI_Wtime();
  f(ctx);
  seconds += MPI_Wtime();
  MPI_Allreduce(MPI_IN_PLACE, &seconds, 1, MPI_DOUBLE, MPI_MAX, b->comm);
  return seconds;
}

static int by_value(const void *a, const void *b) {
  const double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

void bench_time(bench *b, int repeats, bench_body f, void *f_ctx, double *f_seconds, bench_body g,
                void *g_ctx, double *g_seconds) {
  enum { MOST = 101 };
  double times[2][MOST];
  if (repeats > MOST) repeats = MOST;
  for (int i = -1; i < repeats; i++) {
    const double first = once(b, f, f_ctx), second = g ? once(b, g, g_ctx) : 0;
    if (i < 0) continue;
    times[0][i] = first;
    times[1][i] = second;
  }
  qsort(times[0], (size_t)repeats, sizeof(double), by_value);
  qsort(times[1], (size_t)repeats, sizeof(double), by_value);
  *f_seconds = times[0][repeats / 2];
  if (g) *g_seconds = times[1][repeats / 2];
}

int main(int argc, char **argv) {
  bench b = {.comm = MPI_COMM_WORLD};
  int level;
  MPI_Init_thread(&argc, &argv, MPI_THREAD_FUNNELED, &level);
  MPI_Comm_rank(b.comm, &b.rank);
  MPI_Comm_size(b.comm, &b.ranks);
  bench_ok(&b, dtensor_init_device_mesh(b.comm, 1, (int64_t[]){-1}, NULL, &b.mesh), "mesh");
  b.threads = dtensor_mesh_threads(b.mesh);
  omp_set_num_threads(b.threads); /* the peers get what the library takes */
  if (b.rank == 0 && argc > 1) {
    b.csv = fopen(argv[1], "a");
    if (!b.csv) {
      fprintf(stderr, "cannot write %s\n", argv[1]);
      MPI_Abort(b.comm, 2);
    }
    fseek(b.csv, 0, SEEK_END);
    if (ftell(b.csv) == 0)
      fprintf(
          b.csv,
          "op,shape,layouts,ranks,threads,seconds,bytes,least_bytes,rate,unit,peer,peer_seconds,"
          "figure,value,goal\n");
  }

  bench_print_header(&b);
  if (b.ranks == 1) {
    bench_dispatch(&b);
    bench_matmul(&b);
  } else {
    bench_redistribute(&b);
    bench_memory(&b);
  }
  dtensor_mesh_destroy(&b.mesh);
  if (b.csv) fclose(b.csv);
  if (b.rank == 0 && b.failed) fprintf(stderr, "%d wrong results or missed goals\n", b.failed);
  MPI_Finalize();
  return b.failed ? 1 : 0;
}
