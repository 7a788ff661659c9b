/* One redistribution of a matrix over one mesh dimension, and the memory in which each of the peers
 * does it. All of them start from the same values and end with the same part of the result, row by
 * row. Rows and columns are multiples of the number of ranks: the peers need equal blocks. */
#ifndef DTENSOR_BENCHMARKS_MOVE_H_
#define DTENSOR_BENCHMARKS_MOVE_H_

#include "benchmarks/bench.h"
#include "benchmarks/shared.h"

typedef enum move_kind {
  ROWS_TO_COLUMNS, /* S(0) -> S(1) */
  COLUMNS_TO_ROWS, /* S(1) -> S(0) */
  TRANSPOSE,       /* S(0) -> S(0) of the transposed */
  GATHER,          /* S(0) -> R */
  REDUCE_SCATTER,  /* P -> S(0) */
  ALL_REDUCE,      /* P -> R */
  SLICE,           /* R -> S(0) */
  MOVE_KINDS
} move_kind;

/* Memory for all moves of up to so many elements, warm. */
typedef struct workspace {
  shared source, target;        /* the bare loop's */
  double *in, *out, *packed[2]; /* MPI's and the libraries' */
} workspace;

typedef struct move {
  const bench *b;
  const workspace *space;
  move_kind kind;
  int64_t rows, columns; /* of the source */
  dtensor *x, *y;        /* source and last result */
  dtensor *written;      /* a source like x, to which the program keeps a pointer */
  dtensor_placement to;
  double *result; /* where the way that ran last has left its part; dtensor: y */
} move;

workspace workspace_make(const bench *b, int64_t elements);

const char *move_layouts(move_kind kind); /* "S(0) -> S(1)" */
int64_t move_in_elements(const move *m);  /* of one rank's source */
int64_t move_out_elements(const move *m); /* of one rank's result */
double move_least_bytes(const move *m);   /* received by all ranks */

/* Make the source tensors; the end of all tensors. */
void move_begin(move *m);
void move_end(move *m);

/* Of a way: fill the peers' sources and spoil their targets; look at m->result. */
void move_prepare(void *m);
int move_is_right(void *m);

/* dtensor's ways: in the second, it must be ready for a source that is written when it returns. */
void move_by_dtensor(void *m);
void move_by_dtensor_written(void *m);
int move_by_dtensor_is_right(void *m);

/* The peers' ways of one kind: each adds its own to ways[*count] on. A library that is not there,
 * or cannot do it, adds none. */
void limit_ways(move *m, bench_way ways[], int *count);
void mpi_ways(move *m, bench_way ways[], int *count);
void scalapack_ways(move *m, bench_way ways[], int *count);
void fftw_ways(move *m, bench_way ways[], int *count);
void fftw_ways_end(void);

static inline void move_add_way(move *m, bench_way ways[], int *count, const char *peer,
                                const char *method, bench_body run) {
  ways[(*count)++] = (bench_way){.peer = peer,
                                 .method = method,
                                 .prepare = move_prepare,
                                 .run = run,
                                 .right = move_is_right,
                                 .ctx = m};
}

#endif
