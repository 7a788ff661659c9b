/* What the benchmarks share: timing, and one line of output per measurement. */
#ifndef DTENSOR_BENCHMARKS_BENCH_H_
#define DTENSOR_BENCHMARKS_BENCH_H_

#include <dtensor/dtensor.h>
#include <mpi.h>
#include <stdint.h>

typedef struct bench {
  MPI_Comm comm;
  int rank, ranks, threads;
  dtensor_mesh *mesh; /* of all ranks, one dimension */
  FILE *csv;          /* rank 0 only, may be NULL */
  int failed;         /* wrong results and missed goals */
} bench;

/* One measurement. Fields that do not apply stay 0 or NULL. */
typedef struct bench_row {
  const char *op, *shape, *layouts;
  double seconds;      /* median of repeats, slowest rank of each */
  double bytes, least; /* received by all ranks, and the least possible */
  double rate;         /* of `unit` per second */
  const char *unit;    /* "GFLOP/s", "GB/s", "op" */
  const char *peer;
  double peer_seconds;
  double value, goal; /* the figure that has a goal: value must not be above it */
  const char *what;   /* what that figure is */
} bench_row;

void bench_print_header(const bench *b);
void bench_print(bench *b, const bench_row *row);

/* Stop with a message if status is a failure: a benchmark of a failing call means nothing. */
void bench_ok(const bench *b, dtensor_status status, const char *what);

/* Count a wrong result, on every rank if on one. */
void bench_check(bench *b, int right, const char *what);

/* Time two ways of doing the same in turn, so that both see the same machine: medians of `repeats`
 * rounds, each the slowest rank's, after one round that does not count. g may be NULL. */
typedef void (*bench_body)(void *ctx);
void bench_time(bench *b, int repeats, bench_body f, void *f_ctx, double *f_seconds, bench_body g,
                void *g_ctx, double *g_seconds);

/* The groups. */
void bench_matmul(bench *b);
void bench_dispatch(bench *b);
void bench_redistribute(bench *b);
void bench_memory(bench *b);

#endif
