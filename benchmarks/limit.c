/* The limit of one copy, written without the library: each rank reads its peers' parts out of
 * shared memory straight into their places in its own result, once, and all meet at one barrier. */
#include "benchmarks/bare.h"
#include "benchmarks/move.h"

/* Lines [from, to) of the loop, for one thread of the rank. */
typedef struct range {
  int64_t from, to;
} range;

static void copy(double *to, const double *from, int64_t count, bare_store how) {
  bare_combine(&to, 1, &from, 1, (size_t)count, how);
}

static void rows_to_columns(const move *m, double *const in[], range lines, bare_store how) {
  const int64_t p = m->b->ranks, h = m->rows / p, w = m->columns / p, r = m->b->rank;
  for (int64_t k = 0; k < p; k++) {
    const int64_t q = (r + k) % p;
    for (int64_t i = lines.from; i < lines.to; i++)
      copy(m->result + (q * h + i) * w, in[q] + i * m->columns + r * w, w, how);
  }
}

static void columns_to_rows(const move *m, double *const in[], range lines, bare_store how) {
  const int64_t p = m->b->ranks, h = m->rows / p, w = m->columns / p, r = m->b->rank;
  for (int64_t i = lines.from; i < lines.to; i++)
    for (int64_t q = 0; q < p; q++)
      copy(m->result + i * m->columns + q * w, in[q] + (r * h + i) * w, w, how);
}

static void gather(const move *m, double *const in[], range lines, bare_store how) {
  const int64_t p = m->b->ranks, h = m->rows / p, r = m->b->rank;
  for (int64_t k = 0; k < p; k++) {
    const int64_t q = (r + k) % p;
    copy(m->result + (q * h + lines.from) * m->columns, in[q] + lines.from * m->columns,
         (lines.to - lines.from) * m->columns, how);
  }
}

enum { MOST_RANKS = 64 };

/* This rank's rows of all summands into `outputs` places. */
static void reduce(const move *m, double *const in[], double *const out[], int outputs, range lines,
                   bare_store how) {
  const int64_t from = lines.from * m->columns, mine = m->rows / m->b->ranks * m->columns;
  const double *inputs[MOST_RANKS];
  double *places[MOST_RANKS];
  for (int q = 0; q < m->b->ranks; q++) inputs[q] = in[q] + m->b->rank * mine + from;
  for (int j = 0; j < outputs; j++) places[j] = out[j] + from;
  bare_combine(places, outputs, inputs, m->b->ranks, (size_t)((lines.to - lines.from) * m->columns),
               how);
}

static void all_reduce(const move *m, double *const in[], range lines, bare_store how) {
  const int64_t mine = m->rows / m->b->ranks * m->columns;
  double *out[MOST_RANKS];
  for (int q = 0; q < m->b->ranks; q++)
    out[q] = (double *)m->space->target.of[q] + m->b->rank * mine;
  reduce(m, in, out, m->b->ranks, lines, how);
}

static void slice(const move *m, double *const in[], range lines, bare_store how) {
  const int64_t from = lines.from * m->columns, r = m->b->rank;
  copy(m->result + from, in[r] + m->rows / m->b->ranks * m->columns * r + from,
       (lines.to - lines.from) * m->columns, how);
}

static void transpose(const move *m, double *const in[], range lines, int64_t tile,
                      bare_store how) {
  const int64_t p = m->b->ranks, h = m->rows / p, w = m->columns / p, r = m->b->rank;
  for (int64_t i = lines.from; i < lines.to; i += tile)
    for (int64_t q = 0; q < p; q++)
      bare_transpose(m->result + i * m->rows + q * h, m->rows, in[q] + r * w + i, m->columns,
                     i + tile < lines.to ? tile : lines.to - i, h, tile, how);
}

static void part(move *m, range lines, int64_t tile, bare_store how) {
  double *in[MOST_RANKS];
  for (int q = 0; q < m->b->ranks; q++) in[q] = m->space->source.of[q];
  switch (m->kind) {
    case ROWS_TO_COLUMNS:
      rows_to_columns(m, in, lines, how);
      break;
    case COLUMNS_TO_ROWS:
      columns_to_rows(m, in, lines, how);
      break;
    case TRANSPOSE:
      transpose(m, in, lines, tile, how);
      break;
    case GATHER:
      gather(m, in, lines, how);
      break;
    case REDUCE_SCATTER:
      reduce(m, in, &m->result, 1, lines, how);
      break;
    case ALL_REDUCE:
      all_reduce(m, in, lines, how);
      break;
    default:
      slice(m, in, lines, how);
  }
  if (how != BARE_CACHED) bare_fence();
}

static void run(move *m, int64_t tile, bare_store how) {
  const int64_t lines = (m->kind == TRANSPOSE ? m->columns : m->rows) / m->b->ranks;
  const int64_t threads = m->b->threads;
  m->result = m->kind == ALL_REDUCE ? m->space->target.of[m->b->rank] : m->space->out;
  if (threads == 1) {
    part(m, (range){0, lines}, tile, how);
  } else {
#pragma omp parallel for num_threads(threads)
    for (int64_t t = 0; t < threads; t++)
      part(m, (range){lines * t / threads, lines * (t + 1) / threads}, tile, how);
  }
  if (m->kind != SLICE) shared_barrier(m->b); /* a slice needs nobody */
}

static void cached(void *m) { run(m, 64, BARE_CACHED); }
static void streamed(void *m) { run(m, 64, BARE_STREAMED); }
static void ahead(void *m) { run(m, 64, BARE_AHEAD); }
static void string(void *m) { run(m, 64, BARE_STRING); }
static void strings(void *m) { run(m, 64, BARE_STRINGS); }
static void small_tiles(void *m) { run(m, 16, BARE_CACHED); }
static void small_tiles_streamed(void *m) { run(m, 16, BARE_STREAMED); }

/* The loop as it has to be where sources change: nobody reads before all have written, nobody
 * writes again before all have read. */
static void meet_before(void *m) { shared_barrier(((move *)m)->b); }
static void safely_cached(void *m) {
  meet_before(m);
  cached(m);
}
static void safely(void *ctx) {
  const move_kind kind = ((move *)ctx)->kind;
  meet_before(ctx);
  (kind == TRANSPOSE                              ? small_tiles
   : kind == REDUCE_SCATTER || kind == ALL_REDUCE ? streamed
                                                  : string)(ctx);
}

void limit_ways(move *m, bench_way ways[], int *count) {
  if (m->b->ranks > MOST_RANKS) return;
  move_add_way(m, ways, count, "limit", "cached", cached);
  move_add_way(m, ways, count, "limit", "streamed", streamed);
  if (m->kind == TRANSPOSE) {
    move_add_way(m, ways, count, "limit", "cached, tiles of 16", small_tiles);
    move_add_way(m, ways, count, "limit", "streamed, tiles of 16", small_tiles_streamed);
  } else if (m->kind != REDUCE_SCATTER && m->kind != ALL_REDUCE) {
    move_add_way(m, ways, count, "limit", "streamed ahead", ahead);
    move_add_way(m, ways, count, "limit", "rep movsb", string);
    move_add_way(m, ways, count, "limit", "rep movsb, 256 KiB", strings);
  }
  if (m->kind == SLICE) return;
  move_add_way(m, ways, count, "two barriers", "", safely_cached);
  move_add_way(m, ways, count, "two barriers", "", safely);
}
