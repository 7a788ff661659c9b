/* What the benchmarks share: timing, and the lines of output. */
#ifndef DTENSOR_BENCHMARKS_BENCH_H_
#define DTENSOR_BENCHMARKS_BENCH_H_

#include <dtensor/dtensor.h>
#include <mpi.h>
#include <stdint.h>
#include <stdio.h>

#include "benchmarks/measure.h"

typedef struct bench {
  MPI_Comm comm;
  int rank, ranks, threads;
  dtensor_mesh *mesh; /* of all ranks, one dimension */
  FILE *csv;          /* rank 0 only, may be NULL */
  int smoke;          /* small sizes, few repeats, and no goals: only results are looked at */
  int failed;         /* wrong results */
  int missed;         /* goals */
  const char *const *columns; /* of the table being printed; see bench_table() */
} bench;

/* ---- measurements with one peer or none */

void bench_print_header(const bench *b);
void bench_print(bench *b, const bench_row *row);

/* Stop with a message if status is a failure: a benchmark of a failing call means nothing. */
void bench_ok(const bench *b, dtensor_status status, const char *what);

/* Count a wrong result, on every rank if on one. */
void bench_check(bench *b, int right, const char *what);

/* Time two ways of doing the same in turn, so that both see the same machine: medians of `repeats`
 * rounds, each the slowest rank's, after one round that does not count. g may be NULL. */
typedef measure_body bench_body;
void bench_time(bench *b, int repeats, bench_body f, void *f_ctx, double *f_seconds, bench_body g,
                void *g_ctx, double *g_seconds);

/* ---- measurements with many peers: compare.c */

/* One way of doing a row's work. */
typedef struct bench_way {
  const char *peer;   /* whose: "dtensor", "limit", "MPI", ... */
  const char *method; /* how; of the ways of one peer, the fastest counts */
  bench_body prepare; /* before the run that is checked: fill the input, spoil the output */
  bench_body run;
  int (*right)(void *ctx); /* whether each element of this rank's output is right */
  void *ctx;
  double seconds; /* of one run: the result; 0 if its result was wrong */
} bench_way;

/* Begin a table with a column for each of `peers` (NULL ends them). */
void bench_table(bench *b, const char *title, const char *const peers[]);

/* Check each way, time them in turn until their times add up to `budget` seconds, and print and
 * save the row. The first way is dtensor's; the row's goal is for its time over the limit's. A peer
 * with a wrong result is named on stderr and not timed. The rate is `amount` over the time. */
void bench_compare(bench *b, bench_row *row, double amount, bench_way ways[], int count,
                   double budget);

/* ---- memory for the peers */

/* Warm, on huge pages where the system gives them; it lives until the program ends. */
void *bench_alloc(size_t bytes);

/* ---- the groups */

void bench_matmul(bench *b);
void bench_dispatch(bench *b);
void bench_redistribute(bench *b);
void bench_consume(bench *b);
void bench_memory(bench *b);
void bench_pdgemm(bench *b);

#endif
