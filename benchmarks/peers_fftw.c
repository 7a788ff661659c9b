/* FFTW's transpose over MPI: the step between the passes of its distributed transforms. */
#include "benchmarks/move.h"

#ifdef BENCH_HAVE_FFTW_MPI
#include <fftw3-mpi.h>
#include <stddef.h>

/* Of one row at a time. "full" gives what all the others give; with FFTW_MPI_TRANSPOSED_OUT each
 * block stays as it came, so that is less work, and its values are looked at where they then are.
 */
static fftw_plan plans[2];

static void full(void *ctx) {
  move *m = ctx;
  m->result = m->space->out;
  fftw_execute(plans[0]);
}

static void transposed_out(void *ctx) {
  move *m = ctx;
  m->result = m->space->out;
  fftw_execute(plans[1]);
}

void fftw_ways_end(void) {
  for (int i = 0; i < 2; i++) {
    if (plans[i]) fftw_destroy_plan(plans[i]);
    plans[i] = NULL;
  }
}

/* Transposed out, the result lies like the transposed of the block that this rank owns: of the
 * global matrix its columns, stored as `rows` x `columns / p`. */
static int transposed_is_right(void *ctx) {
  const move *m = ctx;
  const int64_t w = m->columns / m->b->ranks;
  for (int64_t j = 0; j < m->rows; j++)
    for (int64_t i = 0; i < w; i++)
      if (m->result[j * w + i] != (double)(j * m->columns + m->b->rank * w + i)) return 0;
  return 1;
}

void fftw_ways(move *m, bench_way ways[], int *count) {
  static int ready;
  if (m->kind != TRANSPOSE) return;
  if (!ready) fftw_mpi_init();
  ready = 1;
  const unsigned flags[2] = {FFTW_MEASURE, FFTW_MEASURE | FFTW_MPI_TRANSPOSED_OUT};
  for (int i = 0; i < 2; i++)
    plans[i] = fftw_mpi_plan_many_transpose(m->rows, m->columns, 1, FFTW_MPI_DEFAULT_BLOCK,
                                            FFTW_MPI_DEFAULT_BLOCK, m->space->in, m->space->out,
                                            m->b->comm, flags[i]);
  if (plans[0]) move_add_way(m, ways, count, "FFTW", "full", full);
  if (!plans[1]) return;
  move_add_way(m, ways, count, "FFTW transposed", "transposed out", transposed_out);
  ways[*count - 1].right = transposed_is_right;
}
#else
void fftw_ways(move *m, bench_way ways[], int *count) { (void)m, (void)ways, (void)count; }
void fftw_ways_end(void) {}
#endif
