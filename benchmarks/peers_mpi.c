/* What one writes by hand: MPI's collectives and messages, with packing or with derived types. Of
 * several ways the fastest counts. */
#include <stdlib.h>
#include <string.h>

#include "benchmarks/bare.h"
#include "benchmarks/move.h"

/* What one rank sends to another: a block of the source, as ints for MPI. */
typedef struct blocks {
  int p, h, w;       /* ranks; rows and columns of a block */
  int rows, columns; /* of the source */
  size_t count;      /* elements of a block */
} blocks;

static blocks blocks_of(const move *m) {
  const int p = m->b->ranks, h = (int)(m->rows / p), w = (int)(m->columns / p);
  return (blocks){p, h, w, (int)m->rows, (int)m->columns, (size_t)h * (size_t)w};
}

static double *own(const move *m) { return m->space->in; }

/* `lines` lines of `width` elements, `from` and `to` being apart in their lines by these strides.
 */
static void copy_lines(double *to, int64_t to_stride, const double *from, int64_t from_stride,
                       int64_t lines, int64_t width) {
  for (int64_t i = 0; i < lines; i++)
    memcpy(to + i * to_stride, from + i * from_stride, (size_t)width * sizeof(double));
}

/* ---- S(0) -> S(1), S(1) -> S(0) and the transpose: everyone sends a block to everyone */

static void pack(const move *m, double *packed) {
  const blocks k = blocks_of(m);
  for (int q = 0; q < k.p; q++) {
    double *to = packed + (size_t)q * k.count;
    if (m->kind == TRANSPOSE)
      bare_transpose(to, k.h, own(m) + q * k.w, k.columns, k.w, k.h, 64, BARE_CACHED);
    else
      copy_lines(to, k.w, own(m) + q * k.w, k.columns, k.h, k.w);
  }
}

static void unpack(const move *m, const double *packed) {
  const blocks k = blocks_of(m);
  for (int q = 0; q < k.p; q++) {
    const double *from = packed + (size_t)q * k.count;
    if (m->kind == TRANSPOSE)
      copy_lines(m->result + q * k.h, k.rows, from, k.h, k.w, k.h);
    else
      copy_lines(m->result + q * k.w, k.columns, from, k.w, k.h, k.w);
  }
}

/* Blocks that lie together already are sent, or arrive, where they are. */
static double *outgoing(const move *m) {
  if (m->kind == COLUMNS_TO_ROWS) return own(m);
  pack(m, m->space->packed[0]);
  return m->space->packed[0];
}

static double *incoming(const move *m) {
  return m->kind == ROWS_TO_COLUMNS ? m->result : m->space->packed[1];
}

static void finish(const move *m) {
  if (m->kind != ROWS_TO_COLUMNS) unpack(m, m->space->packed[1]);
}

static void packed_alltoall(void *ctx) {
  move *m = ctx;
  const int count = (int)blocks_of(m).count;
  m->result = m->space->out;
  const double *from = outgoing(m);
  MPI_Alltoall(from, count, MPI_DOUBLE, incoming(m), count, MPI_DOUBLE, m->b->comm);
  finish(m);
}

static void packed_messages(void *ctx) {
  move *m = ctx;
  const blocks k = blocks_of(m);
  MPI_Request requests[128];
  int n = 0;
  m->result = m->space->out;
  double *to = incoming(m);
  for (int i = 1; i < k.p; i++) {
    const int q = (m->b->rank + i) % k.p;
    MPI_Irecv(to + (size_t)q * k.count, (int)k.count, MPI_DOUBLE, q, 0, m->b->comm, &requests[n++]);
  }
  const double *from = outgoing(m);
  for (int i = 1; i < k.p; i++) {
    const int q = (m->b->rank + i) % k.p;
    MPI_Isend(from + (size_t)q * k.count, (int)k.count, MPI_DOUBLE, q, 0, m->b->comm,
              &requests[n++]);
  }
  const size_t mine = (size_t)m->b->rank * k.count;
  memcpy(to + mine, from + mine, k.count * sizeof(double));
  MPI_Waitall(n, requests, MPI_STATUSES_IGNORE);
  finish(m);
}

/* Derived types of a block in the source and in the result, and where the block of rank q begins.
 */
typedef struct types {
  MPI_Datatype from, to;
  int64_t from_step, to_step;
} types;

static types types_of(const move *m) {
  const blocks k = blocks_of(m);
  types t = {.from_step = k.w, .to_step = (int64_t)k.count};
  if (m->kind == ROWS_TO_COLUMNS) {
    MPI_Type_vector(k.h, k.w, k.columns, MPI_DOUBLE, &t.from);
    MPI_Type_contiguous((int)k.count, MPI_DOUBLE, &t.to);
  } else if (m->kind == COLUMNS_TO_ROWS) {
    t.from_step = (int64_t)k.count, t.to_step = k.w;
    MPI_Type_contiguous((int)k.count, MPI_DOUBLE, &t.from);
    MPI_Type_vector(k.h, k.w, k.columns, MPI_DOUBLE, &t.to);
  } else { /* column after column, to row after row */
    MPI_Datatype column;
    t.to_step = k.h;
    MPI_Type_vector(k.h, 1, k.columns, MPI_DOUBLE, &column);
    MPI_Type_create_hvector(k.w, 1, sizeof(double), column, &t.from);
    MPI_Type_free(&column);
    MPI_Type_vector(k.w, k.h, k.rows, MPI_DOUBLE, &t.to);
  }
  MPI_Type_commit(&t.from);
  MPI_Type_commit(&t.to);
  return t;
}

static void typed_alltoall(void *ctx) {
  move *m = ctx;
  const int p = m->b->ranks;
  types t = types_of(m);
  int counts[128], from[128], to[128];
  MPI_Datatype from_types[128], to_types[128];
  for (int q = 0; q < p; q++) {
    counts[q] = 1;
    from[q] = (int)(q * t.from_step * (int64_t)sizeof(double));
    to[q] = (int)(q * t.to_step * (int64_t)sizeof(double));
    from_types[q] = t.from;
    to_types[q] = t.to;
  }
  m->result = m->space->out;
  MPI_Alltoallw(own(m), counts, from, from_types, m->result, counts, to, to_types, m->b->comm);
  MPI_Type_free(&t.from);
  MPI_Type_free(&t.to);
}

static void typed_messages(void *ctx) {
  move *m = ctx;
  const int p = m->b->ranks, r = m->b->rank;
  types t = types_of(m);
  MPI_Request requests[128];
  int n = 0;
  m->result = m->space->out;
  for (int i = 1; i < p; i++)
    MPI_Irecv(m->result + (r + i) % p * t.to_step, 1, t.to, (r + i) % p, 0, m->b->comm,
              &requests[n++]);
  for (int i = 1; i < p; i++)
    MPI_Isend(own(m) + (r + i) % p * t.from_step, 1, t.from, (r + i) % p, 0, m->b->comm,
              &requests[n++]);
  const blocks k = blocks_of(m);
  if (m->kind == ROWS_TO_COLUMNS)
    copy_lines(m->result + r * t.to_step, k.w, own(m) + r * t.from_step, k.columns, k.h, k.w);
  else if (m->kind == COLUMNS_TO_ROWS)
    copy_lines(m->result + r * t.to_step, k.columns, own(m) + r * t.from_step, k.w, k.h, k.w);
  else
    bare_transpose(m->result + r * t.to_step, k.rows, own(m) + r * t.from_step, k.columns, k.w, k.h,
                   64, BARE_CACHED);
  MPI_Waitall(n, requests, MPI_STATUSES_IGNORE);
  MPI_Type_free(&t.from);
  MPI_Type_free(&t.to);
}

/* ---- S(0) -> R */

static void allgather(void *ctx) {
  move *m = ctx;
  const int count = (int)move_in_elements(m);
  m->result = m->space->out;
  MPI_Allgather(own(m), count, MPI_DOUBLE, m->result, count, MPI_DOUBLE, m->b->comm);
}

static void gather_messages(void *ctx) {
  move *m = ctx;
  const int p = m->b->ranks, r = m->b->rank, count = (int)move_in_elements(m);
  MPI_Request requests[128];
  int n = 0;
  m->result = m->space->out;
  for (int i = 1; i < p; i++)
    MPI_Irecv(m->result + (size_t)((r + i) % p) * (size_t)count, count, MPI_DOUBLE, (r + i) % p, 0,
              m->b->comm, &requests[n++]);
  for (int i = 1; i < p; i++)
    MPI_Isend(own(m), count, MPI_DOUBLE, (r + i) % p, 0, m->b->comm, &requests[n++]);
  memcpy(m->result + (size_t)r * (size_t)count, own(m), (size_t)count * sizeof(double));
  MPI_Waitall(n, requests, MPI_STATUSES_IGNORE);
}

/* ---- P -> S(0), P -> R */

static void reduce_scatter(void *ctx) {
  move *m = ctx;
  int counts[128];
  for (int q = 0; q < m->b->ranks; q++) counts[q] = (int)(m->rows * m->columns / m->b->ranks);
  m->result = m->space->out;
  MPI_Reduce_scatter(own(m), m->result, counts, MPI_DOUBLE, MPI_SUM, m->b->comm);
}

static void reduce_scatter_block(void *ctx) {
  move *m = ctx;
  m->result = m->space->out;
  MPI_Reduce_scatter_block(own(m), m->result, (int)(m->rows * m->columns / m->b->ranks), MPI_DOUBLE,
                           MPI_SUM, m->b->comm);
}

/* Exchange the parts, and add them up by hand into `to`. */
static void exchange_and_add(move *m, double *to) {
  const int64_t count = m->rows * m->columns / m->b->ranks;
  const double *parts[128];
  MPI_Alltoall(own(m), (int)count, MPI_DOUBLE, m->space->packed[0], (int)count, MPI_DOUBLE,
               m->b->comm);
  for (int q = 0; q < m->b->ranks; q++) parts[q] = m->space->packed[0] + q * count;
  bare_combine(&to, 1, parts, m->b->ranks, (size_t)count, BARE_CACHED);
}

static void alltoall_and_add(void *ctx) {
  move *m = ctx;
  m->result = m->space->out;
  exchange_and_add(m, m->result);
}

static void all_reduce(void *ctx) {
  move *m = ctx;
  m->result = m->space->out;
  MPI_Allreduce(own(m), m->result, (int)(m->rows * m->columns), MPI_DOUBLE, MPI_SUM, m->b->comm);
}

static void alltoall_add_allgather(void *ctx) {
  move *m = ctx;
  const int count = (int)(m->rows * m->columns / m->b->ranks);
  m->result = m->space->out;
  exchange_and_add(m, m->space->packed[1]);
  MPI_Allgather(m->space->packed[1], count, MPI_DOUBLE, m->result, count, MPI_DOUBLE, m->b->comm);
}

static const struct {
  const char *method;
  bench_body run;
  unsigned kinds; /* a bit for each */
} all_ways[] = {
    {"packed Alltoall", packed_alltoall,
     1u << ROWS_TO_COLUMNS | 1u << COLUMNS_TO_ROWS | 1u << TRANSPOSE},
    {"packed Isend", packed_messages,
     1u << ROWS_TO_COLUMNS | 1u << COLUMNS_TO_ROWS | 1u << TRANSPOSE},
    {"typed Alltoallw", typed_alltoall,
     1u << ROWS_TO_COLUMNS | 1u << COLUMNS_TO_ROWS | 1u << TRANSPOSE},
    {"typed Isend", typed_messages,
     1u << ROWS_TO_COLUMNS | 1u << COLUMNS_TO_ROWS | 1u << TRANSPOSE},
    {"Allgather", allgather, 1u << GATHER},
    {"Isend", gather_messages, 1u << GATHER},
    {"Reduce_scatter", reduce_scatter, 1u << REDUCE_SCATTER},
    {"Reduce_scatter_block", reduce_scatter_block, 1u << REDUCE_SCATTER},
    {"Alltoall and add", alltoall_and_add, 1u << REDUCE_SCATTER},
    {"Allreduce", all_reduce, 1u << ALL_REDUCE},
    {"Alltoall, add, Allgather", alltoall_add_allgather, 1u << ALL_REDUCE},
};

void mpi_ways(move *m, bench_way ways[], int *count) {
  if (m->b->ranks > 64) return;
  for (size_t i = 0; i < sizeof all_ways / sizeof all_ways[0]; i++)
    if (all_ways[i].kinds & 1u << m->kind)
      move_add_way(m, ways, count, "MPI", all_ways[i].method, all_ways[i].run);
}
