/* ScaLAPACK's pdgemr2d, which moves a matrix from one layout to another, and its pdtran. Its
 * matrices are stored by columns: our rows by n columns are its n rows by columns, transposed. */
#include "benchmarks/move.h"

#ifdef BENCH_HAVE_SCALAPACK
#include "benchmarks/scalapack.h"

/* A matrix of m x n over p processes in a line: by its columns, or by its rows. */
static void describe(int desc[9], int m, int n, int p, int by_columns, int context) {
  const int zero = 0, mb = by_columns ? m : m / p, nb = by_columns ? n / p : n;
  int info = 0;
  descinit_(desc, &m, &n, &mb, &nb, &zero, &zero, &context, &mb, &info);
}

/* Grids of 1 x p and p x 1 processes; they live until the program ends. */
static int context_of(int p, int by_columns) {
  static int contexts[2], made;
  if (!made) {
    made = 1;
    for (int i = 0; i < 2; i++) {
      contexts[i] = scalapack_context();
      Cblacs_gridinit(&contexts[i], "Row", i ? 1 : p, i ? p : 1);
    }
  }
  return contexts[by_columns];
}

static void move_general(void *ctx) {
  move *m = ctx;
  const int p = m->b->ranks, rows = (int)m->columns, columns = (int)m->rows;
  const int by_columns = m->kind == ROWS_TO_COLUMNS; /* our rows are its columns */
  int from[9], to[9];
  describe(from, rows, columns, p, by_columns, context_of(p, by_columns));
  describe(to, rows, columns, p, !by_columns, context_of(p, !by_columns));
  m->result = m->space->out;
  Cpdgemr2d(rows, columns, m->space->in, 1, 1, from, m->result, 1, 1, to, context_of(p, 1));
}

static void transpose(void *ctx) {
  move *m = ctx;
  const int p = m->b->ranks, one = 1, rows = (int)m->rows, columns = (int)m->columns;
  const double alpha = 1, beta = 0;
  int from[9], to[9];
  describe(from, columns, rows, p, 1, context_of(p, 1));
  describe(to, rows, columns, p, 1, context_of(p, 1));
  m->result = m->space->out;
  pdtran_(&rows, &columns, &alpha, m->space->in, &one, &one, from, &beta, m->result, &one, &one,
          to);
}

void scalapack_ways(move *m, bench_way ways[], int *count) {
  if (m->kind == ROWS_TO_COLUMNS || m->kind == COLUMNS_TO_ROWS)
    move_add_way(m, ways, count, "ScaLAPACK", "pdgemr2d", move_general);
  if (m->kind == TRANSPOSE) move_add_way(m, ways, count, "ScaLAPACK", "pdtran", transpose);
}
#else
void scalapack_ways(move *m, bench_way ways[], int *count) { (void)m, (void)ways, (void)count; }
#endif
