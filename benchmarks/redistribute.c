/* Redistribution of a square matrix over one mesh dimension, beside the MPI collective with packing
 * that one would write by hand. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "benchmarks/bench.h"

typedef struct move {
  const bench *b;
  dtensor *x;
  dtensor_placement to;
  int64_t n;
  double *out, *packed; /* of the peer */
  int *counts;
} move;

static void by_dtensor(void *ctx) {
  move *m = ctx;
  dtensor *y;
  bench_ok(m->b, dtensor_redistribute(m->x, &m->to, NULL, &y), "redistribute");
  dtensor_destroy(&y);
}

/* Rows to columns: pack a block of columns per rank, exchange, and the blocks arrive as rows. */
static void rows_to_columns(void *ctx) {
  move *m = ctx;
  const int64_t n = m->n, p = m->b->ranks, w = n / p;
  const double *x = dtensor_local_data(m->x);
  for (int64_t q = 0; q < p; q++)
    for (int64_t i = 0; i < w; i++)
      memcpy(m->packed + (q * w + i) * w, x + i * n + q * w, (size_t)w * sizeof *x);
  MPI_Alltoall(m->packed, (int)(w * w), MPI_DOUBLE, m->out, (int)(w * w), MPI_DOUBLE, m->b->comm);
}

static void columns_to_rows(void *ctx) {
  move *m = ctx;
  const int64_t n = m->n, p = m->b->ranks, w = n / p;
  MPI_Alltoall(dtensor_local_data(m->x), (int)(w * w), MPI_DOUBLE, m->packed, (int)(w * w),
               MPI_DOUBLE, m->b->comm);
  for (int64_t q = 0; q < p; q++)
    for (int64_t i = 0; i < w; i++)
      memcpy(m->out + i * n + q * w, m->packed + (q * w + i) * w, (size_t)w * sizeof *m->out);
}

static void gather_rows(void *ctx) {
  move *m = ctx;
  const int count = (int)(m->n * m->n / m->b->ranks);
  MPI_Allgather(dtensor_local_data(m->x), count, MPI_DOUBLE, m->out, count, MPI_DOUBLE, m->b->comm);
}

static void reduce_scatter(void *ctx) {
  move *m = ctx;
  for (int r = 0; r < m->b->ranks; r++) m->counts[r] = (int)(m->n * m->n / m->b->ranks);
  MPI_Reduce_scatter(dtensor_local_data(m->x), m->out, m->counts, MPI_DOUBLE, MPI_SUM, m->b->comm);
}

static void all_reduce(void *ctx) {
  move *m = ctx;
  MPI_Allreduce(dtensor_local_data(m->x), m->out, (int)(m->n * m->n), MPI_DOUBLE, MPI_SUM,
                m->b->comm);
}

static void slice_rows(void *ctx) {
  move *m = ctx;
  const int64_t count = m->n * m->n / m->b->ranks;
  memcpy(m->out, (const double *)dtensor_local_data(m->x) + m->b->rank * count,
         (size_t)count * sizeof(double));
}

/* Received bytes of all ranks: what one redistribution counts, and the least possible. */
static double count_bytes(move *m) {
  dtensor_comm_counts counts;
  dtensor_comm_stats_reset();
  by_dtensor(m);
  dtensor_comm_stats(&counts);
  double bytes = (double)counts.bytes_received;
  MPI_Allreduce(MPI_IN_PLACE, &bytes, 1, MPI_DOUBLE, MPI_SUM, m->b->comm);
  return bytes;
}

/* The global values are 0, 1, 2, ...: look at every element. */
static int is_arange(const bench *b, const dtensor *x, double *whole) {
  bench_ok(b, dtensor_full_tensor(x, whole), "full_tensor");
  for (int64_t i = 0; i < dtensor_size(x, -1); i++)
    if (whole[i] != (double)i) return 0;
  return 1;
}

static void one_move(bench *b, int64_t n, const char *from, const char *to, const char *peer,
                     bench_body peer_body, double least_matrices) {
  move m = {.b = b, .n = n};
  const size_t bytes = (size_t)(n * n) * sizeof(double);
  dtensor_placement p;
  const int64_t shape[] = {n, n};
  m.out = malloc(bytes);
  m.packed = malloc(bytes);
  m.counts = malloc((size_t)b->ranks * sizeof *m.counts);
  bench_ok(b, dtensor_placements_parse(from, 1, &p), from);
  bench_ok(b, dtensor_placements_parse(to, 1, &m.to), to);
  bench_ok(b, dtensor_arange(b->mesh, DTENSOR_F64, 2, shape, &p, &m.x), "arange");

  dtensor *y;
  bench_ok(b, dtensor_redistribute(m.x, &m.to, NULL, &y), "redistribute");
  bench_check(b, is_arange(b, y, m.out), "redistribute");
  /* The peer is checked against the library's local result. */
  memset(m.out, 0xff, bytes);
  peer_body(&m);
  bench_check(
      b,
      memcmp(m.out, dtensor_local_data(y), (size_t)dtensor_local_size(y, -1) * sizeof(double)) == 0,
      peer);
  dtensor_destroy(&y);

  char layouts[40], text[40];
  snprintf(layouts, sizeof layouts, "%s -> %s", from, to);
  snprintf(text, sizeof text, "%lld^2 f64", (long long)n);
  bench_row row = {.op = "redistribute", .shape = text, .layouts = layouts, .peer = peer};
  row.bytes = count_bytes(&m);
  row.least = least_matrices * (double)bytes;
  bench_time(b, n > 2048 ? 9 : 31, by_dtensor, &m, &row.seconds, peer_body, &m, &row.peer_seconds);
  row.unit = "GB/s";
  row.rate = 1e-9 * (row.least > 0 ? row.least : (double)bytes) / row.seconds;
  bench_print(b, &row);
  dtensor_destroy(&m.x);
  free(m.out);
  free(m.packed);
  free(m.counts);
}

void bench_redistribute(bench *b) {
  const double p = b->ranks;
  for (int64_t n = 256; n <= 4096; n *= 4) {
    if (n % b->ranks != 0) continue; /* the peers need equal blocks */
    one_move(b, n, "S(0)", "S(1)", "pack+Alltoall", rows_to_columns, (p - 1) / p);
    one_move(b, n, "S(1)", "S(0)", "Alltoall+unpack", columns_to_rows, (p - 1) / p);
    one_move(b, n, "S(0)", "R", "Allgather", gather_rows, p - 1);
    one_move(b, n, "P(sum)", "S(0)", "Reduce_scatter", reduce_scatter, p - 1);
    one_move(b, n, "P(sum)", "R", "Allreduce", all_reduce, 2 * (p - 1));
    one_move(b, n, "R", "S(0)", "memcpy", slice_rows, 0);
  }
}
