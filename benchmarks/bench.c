#define _DEFAULT_SOURCE /* madvise */
#include "benchmarks/bench.h"

#include <omp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

void bench_print_header(const bench *b) {
  if (b->rank != 0) return;
  printf("\n%d rank%s x %d thread%s; medians, slowest rank; every result is checked first\n",
         b->ranks, b->ranks > 1 ? "s" : "", b->threads, b->threads > 1 ? "s" : "");
  printf("%-14s %-11s %-16s %10s %16s  %-30s %s\n", "op", "shape", "layouts", "microsec", "rate",
         "peer: microsec (ratio)", "figure (goal)");
}

void bench_print(bench *b, const bench_row *r) {
  const int missed = !b->smoke && r->goal > 0 && r->value > r->goal;
  b->missed += missed;
  if (b->rank != 0) return;
  char time[32] = "-", rate[32] = "", peer[64] = "", figure[96] = "";
  if (r->seconds > 0) snprintf(time, sizeof time, "%.2f", 1e6 * r->seconds);
  if (r->unit) snprintf(rate, sizeof rate, "%.2f %s", r->rate, r->unit);
  if (r->peer)
    snprintf(peer, sizeof peer, "%s: %.1f (%.2f)", r->peer, 1e6 * r->peer_seconds,
             r->seconds / r->peer_seconds);
  if (r->what)
    snprintf(figure, sizeof figure, "%s %.3f%s", r->what, r->value,
             r->goal <= 0 ? ""
             : missed     ? " MISSED"
                          : " ok");
  else if (r->least > 0)
    snprintf(figure, sizeof figure, "bytes / least %.3f", r->bytes / r->least);
  printf("%-14s %-11s %-16s %10s %16s  %-30s %s", r->op, r->shape, r->layouts ? r->layouts : "",
         time, rate, peer, figure);
  if (r->goal > 0) printf(" (goal %.3g)", r->goal);
  printf("\n");
  fflush(stdout);
  bench_csv_row(b, r, 0, r->peer, "", r->peer_seconds);
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

double bench_once(const bench *b, bench_body f, void *ctx, int calls) {
  MPI_Barrier(b->comm);
  double seconds = -MPI_Wtime();
  for (int i = 0; i < calls; i++) f(ctx);
  seconds += MPI_Wtime();
  MPI_Allreduce(MPI_IN_PLACE, &seconds, 1, MPI_DOUBLE, MPI_MAX, b->comm);
  return seconds;
}

static int by_value(const void *a, const void *b) {
  const double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

double bench_median(double times[], int count) {
  qsort(times, (size_t)count, sizeof times[0], by_value);
  return times[count / 2];
}

void bench_time(bench *b, int repeats, bench_body f, void *f_ctx, double *f_seconds, bench_body g,
                void *g_ctx, double *g_seconds) {
  enum { MOST = 101 };
  double times[2][MOST];
  if (repeats > MOST) repeats = MOST;
  if (b->smoke) repeats = 1;
  for (int i = -1; i < repeats; i++) {
    const double first = bench_once(b, f, f_ctx, 1), second = g ? bench_once(b, g, g_ctx, 1) : 0;
    if (i < 0) continue;
    times[0][i] = first;
    times[1][i] = second;
  }
  *f_seconds = bench_median(times[0], repeats);
  if (g) *g_seconds = bench_median(times[1], repeats);
}

void *bench_alloc(size_t bytes) {
  const size_t huge = (size_t)2 << 20;
  bytes = (bytes + huge) / huge * huge;
  void *memory = NULL;
  if (posix_memalign(&memory, huge, bytes) != 0) {
    fprintf(stderr, "out of memory\n");
    MPI_Abort(MPI_COMM_WORLD, 1);
  }
  madvise(memory, bytes, MADV_HUGEPAGE);
  memset(memory, 0, bytes);
  return memory;
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
  for (int i = 1; i < argc; i++) {
    if (strcmp(argv[i], "--smoke") == 0)
      b.smoke = 1;
    else if (!b.csv)
      bench_csv_open(&b, argv[i]);
  }

  if (b.ranks == 1) {
    bench_print_header(&b);
    bench_dispatch(&b);
    bench_matmul(&b);
  } else {
    bench_matmul(&b);
    bench_redistribute(&b);
    bench_consume(&b);
    bench_pdgemm(&b);
    bench_print_header(&b);
    bench_memory(&b);
  }
  dtensor_mesh_destroy(&b.mesh);
  if (b.csv) fclose(b.csv);
  if (b.rank == 0 && b.failed + b.missed > 0)
    fprintf(stderr, "%d wrong results, %d missed goals\n", b.failed, b.missed);
  MPI_Finalize();
  return b.failed || b.missed ? 1 : 0;
}
