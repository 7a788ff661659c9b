/* What all benchmarks do alike: time what several ranks do, look at results, print and save rows.
 */
#ifndef DTENSOR_BENCHMARKS_MEASURE_H_
#define DTENSOR_BENCHMARKS_MEASURE_H_

#include <dtensor/status.h>
#include <mpi.h>
#include <stdio.h>

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
  double floor;       /* what no value can be below here; 0: not known */
  const char *what;   /* what that figure is */
} bench_row;

/* Seconds of the slowest rank for `calls` calls of f, from a barrier on. */
typedef void (*measure_body)(void *ctx);
double measure_slowest(MPI_Comm comm, measure_body f, void *ctx, int calls);
/* Of times, which are sorted. */
double measure_median(double times[], int count);

/* Stop with a message if status is a failure: a benchmark of a failing call means nothing. */
void measure_ok(MPI_Comm comm, dtensor_status status, const char *what);

/* Whether a result is right on every rank; if not, rank 0 says so. */
int measure_is_right(MPI_Comm comm, int right, const char *what);

/* ---- tables: on rank 0 */

typedef struct measure_columns {
  int op, shape, layouts, time, peer; /* widths */
  const char *unit;                   /* of times */
  double per_second;                  /* of that unit */
  int decimals;
} measure_columns;

void measure_print_header(const measure_columns *columns, int ranks, int threads);
/* has_goal 0: whatever the row says. */
void measure_print(const measure_columns *columns, const bench_row *row, int has_goal);

/* ---- results.csv: csv.c */

/* Open it for appending; a new file begins with the machine's description and the columns' names.
 */
FILE *measure_csv_open(MPI_Comm comm, const char *path);
/* One line; peer NULL: none. */
void measure_csv_row(FILE *csv, int ranks, int threads, const bench_row *row, double limit_seconds,
                     const char *peer, const char *method, double peer_seconds);

#endif
