/* Redistribution over one mesh dimension beside its limit and its peers: large matrices, almost
 * nothing, and all sizes between. */
#include <string.h>

#include "benchmarks/move.h"
#include "benchmarks/shared.h"

static void describe_shape(char *text, size_t size, int64_t rows, int64_t columns) {
  if (rows == columns)
    snprintf(text, size, "%lld^2 f64", (long long)rows);
  else
    snprintf(text, size, "%lldx%lld f64", (long long)rows, (long long)columns);
}

static double bytes_received(move *m) {
  dtensor_comm_counts counts;
  dtensor_comm_stats_reset();
  move_by_dtensor(m);
  dtensor_comm_stats(&counts);
  double bytes = (double)counts.bytes_received;
  MPI_Allreduce(MPI_IN_PLACE, &bytes, 1, MPI_DOUBLE, MPI_SUM, m->b->comm);
  return bytes;
}

static int always(void *ctx) {
  (void)ctx;
  return 1;
}

static void mpi_barrier(void *ctx) { MPI_Barrier(((move *)ctx)->b->comm); }

typedef struct group {
  const char *op;
  double goal, budget;
  int libraries; /* ScaLAPACK and FFTW, too */
  int barrier;   /* and what MPI_Barrier takes */
} group;

static void one_move(bench *b, const workspace *space, move_kind kind, int64_t rows,
                     int64_t columns, const group *g) {
  const int splits_columns =
      kind == ROWS_TO_COLUMNS || kind == COLUMNS_TO_ROWS || kind == TRANSPOSE;
  /* The peers need equal blocks. */
  if (rows % b->ranks != 0 || (splits_columns && columns % b->ranks != 0)) return;
  move m = {.b = b, .space = space, .kind = kind, .rows = rows, .columns = columns};
  char shape[40];
  describe_shape(shape, sizeof shape, rows, columns);
  move_begin(&m);

  bench_way ways[20];
  int count = 0;
  move_add_way(&m, ways, &count, "dtensor", "", move_by_dtensor);
  move_add_way(&m, ways, &count, "written source", "", move_by_dtensor_written);
  for (int i = 0; i < count; i++) ways[i].right = move_by_dtensor_is_right;
  limit_ways(&m, ways, &count);
  mpi_ways(&m, ways, &count);
  if (g->libraries) {
    scalapack_ways(&m, ways, &count);
    fftw_ways(&m, ways, &count);
  }
  if (g->barrier) {
    move_add_way(&m, ways, &count, "MPI_Barrier", "", mpi_barrier);
    ways[count - 1].right = always;
  }
  bench_row row = {.op = g->op,
                   .shape = shape,
                   .layouts = move_layouts(kind),
                   .bytes = bytes_received(&m),
                   .least = move_least_bytes(&m),
                   .unit = "GB/s",
                   .goal = b->smoke ? 0 : g->goal};
  /* What is written into results: the same for every way. */
  const double written = (double)(move_out_elements(&m) * b->ranks) * (double)sizeof(double);
  bench_compare(b, &row, written, ways, count, g->budget);
  if (g->libraries) fftw_ways_end();
  move_end(&m);
}

static void matrices(bench *b, const workspace *space) {
  static const char *const peers[] = {"limit",     "two barriers", "written source",  "MPI",
                                      "ScaLAPACK", "FFTW",         "FFTW transposed", NULL};
  bench_table(b, "redistribution, time and GB/s written", peers);
  const group g = {.op = "redistribute", .goal = 1.15, .budget = 2, .libraries = 1};
  for (int64_t n = b->smoke ? 48 : 256; n <= (b->smoke ? 48 : 4096); n *= 4)
    for (move_kind kind = 0; kind < MOVE_KINDS; kind++) one_move(b, space, kind, n, n, &g);
}

/* Each rank holds 64 bytes, then 4 KiB. */
static void tiny(bench *b, const workspace *space) {
  static const char *const peers[] = {"limit", "two barriers", "written source",
                                      "MPI",   "MPI_Barrier",  NULL};
  bench_table(b, "almost nothing: 64 bytes and 4 KiB per rank", peers);
  const group g = {.op = "tiny", .budget = 0.3, .barrier = 1};
  const move_kind kinds[] = {ROWS_TO_COLUMNS, GATHER, REDUCE_SCATTER, ALL_REDUCE};
  for (int64_t elements = 8; elements <= 512; elements *= 64)
    for (int i = 0; i < 4; i++) {
      const int partial = kinds[i] == REDUCE_SCATTER || kinds[i] == ALL_REDUCE;
      const int64_t rows = b->ranks;
      one_move(b, space, kinds[i], rows, partial ? elements / rows : elements, &g);
    }
}

static void bandwidth(bench *b, const workspace *space) {
  static const char *const peers[] = {"limit", "MPI", NULL};
  bench_table(b, "bandwidth by size, time and GB/s written", peers);
  const group g = {.op = "bandwidth", .budget = 0.5};
  for (int i = 0; i < 2; i++) {
    int64_t rows = 8, columns = 16; /* 1 KiB, or near it */
    if (rows % b->ranks != 0) rows = 2 * b->ranks, columns = 2 * rows;
    while (rows * columns <= (b->smoke ? 512 : (int64_t)4096 * 4096)) {
      one_move(b, space, i ? GATHER : ROWS_TO_COLUMNS, rows, columns, &g);
      *(rows < columns ? &rows : &columns) *= 2;
    }
  }
}

void bench_redistribute(bench *b) {
  const workspace space = workspace_make(b, b->smoke ? 64 * 64 : (int64_t)4096 * 4096);
  shared_barrier(b);
  matrices(b, &space);
  tiny(b, &space);
  bandwidth(b, &space);
}
