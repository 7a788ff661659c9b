#include "benchmarks/move.h"

#include <stdlib.h>
#include <string.h>

workspace workspace_make(const bench *b, int64_t elements) {
  const size_t bytes = (size_t)elements * sizeof(double);
  return (workspace){.source = shared_alloc(b, bytes),
                     .target = shared_alloc(b, bytes),
                     .in = bench_alloc(bytes),
                     .out = bench_alloc(bytes),
                     .packed = {bench_alloc(bytes), bench_alloc(bytes)}};
}

static const struct {
  const char *layouts, *from, *to;
} kinds[MOVE_KINDS] = {
    [ROWS_TO_COLUMNS] = {"S(0) -> S(1)", "S(0)", "S(1)"},
    [COLUMNS_TO_ROWS] = {"S(1) -> S(0)", "S(1)", "S(0)"},
    [TRANSPOSE] = {"transpose", "S(0)", "S(0)"},
    [GATHER] = {"S(0) -> R", "S(0)", "R"},
    [REDUCE_SCATTER] = {"P -> S(0)", "P(sum)", "S(0)"},
    [ALL_REDUCE] = {"P -> R", "P(sum)", "R"},
    [SLICE] = {"R -> S(0)", "R", "S(0)"},
};

const char *move_layouts(move_kind kind) { return kinds[kind].layouts; }

int64_t move_in_elements(const move *m) {
  const int whole = m->kind == REDUCE_SCATTER || m->kind == ALL_REDUCE || m->kind == SLICE;
  return m->rows * m->columns / (whole ? 1 : m->b->ranks);
}

int64_t move_out_elements(const move *m) {
  const int whole = m->kind == GATHER || m->kind == ALL_REDUCE;
  return m->rows * m->columns / (whole ? 1 : m->b->ranks);
}

double move_least_bytes(const move *m) {
  const double p = m->b->ranks, bytes = (double)(m->rows * m->columns) * (double)sizeof(double);
  switch (m->kind) {
    case GATHER:
    case REDUCE_SCATTER:
      return (p - 1) * bytes;
    case ALL_REDUCE:
      return 2 * (p - 1) * bytes;
    case SLICE:
      return 0;
    default:
      return (p - 1) / p * bytes;
  }
}

/* ---- values: the global matrix counts its elements; of a Partial one, rank r holds r + 1 times
 * that. Sums are exact in any order. */

static void fill(const move *m, double *in) {
  const int64_t h = m->rows / m->b->ranks, w = m->columns / m->b->ranks, r = m->b->rank;
  const int64_t count = move_in_elements(m);
  const double weight = m->kind == REDUCE_SCATTER || m->kind == ALL_REDUCE ? (double)(r + 1) : 1;
  const int64_t first = m->kind == ROWS_TO_COLUMNS || m->kind == TRANSPOSE || m->kind == GATHER
                            ? r * h * m->columns
                            : 0;
  if (m->kind == COLUMNS_TO_ROWS)
    for (int64_t e = 0; e < count; e++) in[e] = (double)(e / w * m->columns + r * w + e % w);
  else
    for (int64_t e = 0; e < count; e++) in[e] = weight * (double)(first + e);
}

static int is_right(const move *m, const double *result) {
  const int64_t p = m->b->ranks, h = m->rows / p, w = m->columns / p, r = m->b->rank;
  const double weight =
      m->kind == REDUCE_SCATTER || m->kind == ALL_REDUCE ? (double)(p * (p + 1) / 2) : 1;
  const int64_t width = m->kind == ROWS_TO_COLUMNS ? w
                        : m->kind == TRANSPOSE     ? m->rows
                                                   : m->columns;
  const int64_t height = move_out_elements(m) / width;
  int64_t row_step = m->columns, column_step = 1, first = 0;
  if (m->kind == ROWS_TO_COLUMNS) first = r * w;
  if (m->kind == COLUMNS_TO_ROWS || m->kind == REDUCE_SCATTER || m->kind == SLICE)
    first = r * h * m->columns;
  if (m->kind == TRANSPOSE) first = r * w, row_step = 1, column_step = m->columns;
  for (int64_t i = 0; i < height; i++)
    for (int64_t j = 0; j < width; j++)
      if (result[i * width + j] != weight * (double)(first + i * row_step + j * column_step))
        return 0;
  return 1;
}

int move_is_right(void *ctx) {
  const move *m = ctx;
  return is_right(m, m->result);
}

void move_prepare(void *ctx) {
  move *m = ctx;
  const size_t out = (size_t)move_out_elements(m) * sizeof(double);
  m->result = m->space->out;
  fill(m, m->space->in);
  memset(m->space->out, 0xff, out);
  fill(m, m->space->source.of[m->b->rank]);
  memset(m->space->target.of[m->b->rank], 0xff, out);
}

/* ---- dtensor */

void move_begin(move *m) {
  dtensor_placement from;
  const int64_t shape[] = {m->rows, m->columns};
  dtensor **source[] = {&m->x, &m->written};
  bench_ok(m->b, dtensor_placements_parse(kinds[m->kind].from, 1, &from), "placement");
  bench_ok(m->b, dtensor_placements_parse(kinds[m->kind].to, 1, &m->to), "placement");
  for (int i = 0; i < 2; i++) {
    bench_ok(m->b, dtensor_empty(m->b->mesh, DTENSOR_F64, 2, shape, &from, source[i]), "empty");
    fill(m, dtensor_local_data(*source[i]));
  }
  dtensor_local_done(m->x);
}

void move_end(move *m) {
  dtensor_destroy(&m->x);
  dtensor_destroy(&m->written);
  dtensor_destroy(&m->y);
}

static void redistribute(move *m, dtensor *source) {
  dtensor *x = NULL;
  dtensor_destroy(&m->y);
  if (m->kind == TRANSPOSE)
    bench_ok(m->b, dtensor_transpose(source, 0, 1, &x), "transpose");
  else
    x = dtensor_retain(source);
  bench_ok(m->b, dtensor_redistribute(x, &m->to, NULL, &m->y), "redistribute");
  dtensor_destroy(&x);
}

void move_by_dtensor(void *ctx) {
  move *m = ctx;
  redistribute(m, m->x);
}

void move_by_dtensor_written(void *ctx) {
  move *m = ctx;
  redistribute(m, m->written);
}

int move_by_dtensor_is_right(void *ctx) {
  const move *m = ctx;
  return is_right(m, dtensor_local_read(m->y));
}
