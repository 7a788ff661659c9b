#define _DEFAULT_SOURCE /* madvise */
#include "benchmarks/bench.h"

#include <omp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

static const measure_columns columns = {14, 11, 16, 10, 30, "microsec", 1e6, 2};

void bench_print_header(const bench *b) {
  if (b->rank == 0) measure_print_header(&columns, b->ranks, b->threads);
}

void bench_print(bench *b, const bench_row *r) {
  b->missed += !b->smoke && r->goal > 0 && r->value > r->goal;
  if (b->rank != 0) return;
  measure_print(&columns, r, !b->smoke);
  measure_csv_row(b->csv, b->ranks, b->threads, r, 0, r->peer, "", r->peer_seconds);
}

void bench_ok(const bench *b, dtensor_status status, const char *what) {
  measure_ok(b->comm, status, what);
}

void bench_check(bench *b, int right, const char *what) {
  b->failed += !measure_is_right(b->comm, right, what);
}

void bench_time(bench *b, int repeats, bench_body f, void *f_ctx, double *f_seconds, bench_body g,
                void *g_ctx, double *g_seconds) {
  enum { MOST = 101 };
  double times[2][MOST];
  if (repeats > MOST) repeats = MOST;
  if (b->smoke) repeats = 1;
  for (int i = -1; i < repeats; i++) {
    const double first = measure_slowest(b->comm, f, f_ctx, 1),
                 second = g ? measure_slowest(b->comm, g, g_ctx, 1) : 0;
    if (i < 0) continue;
    times[0][i] = first;
    times[1][i] = second;
  }
  *f_seconds = measure_median(times[0], repeats);
  if (g) *g_seconds = measure_median(times[1], repeats);
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
    else if (!b.csv && b.rank == 0)
      b.csv = measure_csv_open(b.comm, argv[i]);
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
