#define _POSIX_C_SOURCE 200809L /* nanosleep */
/* dtensor_matmul on sharded matrices beside ScaLAPACK's pdgemm, and beside one process that has all
 * of the matrices and all of the threads: what the ranks together could do if nothing had to move.
 */
#include <cblas.h>
#include <omp.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "benchmarks/bench.h"
#ifdef BENCH_HAVE_SCALAPACK
#include "benchmarks/scalapack.h"
#endif

/* Small integers of low rank: the product is known, and exact in any order of summation.
 *   A[i][k] = row(i) + inner(k), B[k][j] = inner(k + 1) - column(j) */
static double row(int64_t i) { return (double)(i % 7); }
static double inner(int64_t k) { return (double)(k % 5); }
static double column(int64_t j) { return (double)(j % 11); }
static double a_at(int64_t i, int64_t k) { return row(i) + inner(k); }
static double b_at(int64_t k, int64_t j) { return inner(k + 1) - column(j); }

typedef struct product {
  const bench *b;
  int n;
  double *a, *bb, *c;        /* the peers' */
  double left, right, mixed; /* sums over k: inner(k), inner(k + 1), their product */
  dtensor *x, *y, *z;
} product;

static double c_at(const product *p, int64_t i, int64_t j) {
  return row(i) * p->right + p->mixed - column(j) * (row(i) * p->n + p->left);
}

/* ---- dtensor */

static void fill_rows(dtensor *x, double (*value)(int64_t, int64_t)) {
  double *data = dtensor_local_data(x);
  const int64_t rows = dtensor_local_size(x, 0), columns = dtensor_local_size(x, 1);
  for (int64_t i = 0; i < rows; i++)
    for (int64_t j = 0; j < columns; j++)
      data[i * columns + j] = value(dtensor_local_offset(x, 0) + i, j);
}

static void by_dtensor(void *ctx) {
  product *p = ctx;
  dtensor_destroy(&p->z);
  bench_ok(p->b, dtensor_matmul(p->x, p->y, &p->z), "matmul");
}

static int dtensor_is_right(void *ctx) {
  product *p = ctx;
  int right = 1;
  double *whole = malloc((size_t)p->n * (size_t)p->n * sizeof *whole);
  if (!whole) MPI_Abort(p->b->comm, 1);
  bench_ok(p->b, dtensor_full_tensor(p->z, whole), "full_tensor");
  for (int64_t i = 0; i < p->n; i++)
    for (int64_t j = 0; j < p->n; j++) right &= whole[i * p->n + j] == c_at(p, i, j);
  free(whole);
  return right;
}

/* ---- one process */

static void one_prepare(void *ctx) {
  product *p = ctx;
  if (p->b->rank != 0) return;
  for (int64_t i = 0; i < p->n; i++)
    for (int64_t j = 0; j < p->n; j++) {
      p->a[i * p->n + j] = a_at(i, j);
      p->bb[i * p->n + j] = b_at(i, j);
      p->c[i * p->n + j] = -1;
    }
}

/* The other ranks sleep: their cores are needed. */
static void one_process(void *ctx) {
  product *p = ctx;
  if (p->b->rank == 0) {
    const int threads = p->b->ranks * p->b->threads, cores = omp_get_num_procs();
    omp_set_num_threads(threads < cores ? threads : cores);
    cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, p->n, p->n, p->n, 1, p->a, p->n, p->bb,
                p->n, 0, p->c, p->n);
    omp_set_num_threads(p->b->threads);
  }
  MPI_Request request;
  int done = 0;
  MPI_Ibarrier(p->b->comm, &request);
  while (MPI_Test(&request, &done, MPI_STATUS_IGNORE), !done)
    nanosleep(&(struct timespec){.tv_nsec = 100000}, NULL);
}

static int one_is_right(void *ctx) {
  const product *p = ctx;
  int right = 1;
  for (int64_t i = 0; i < p->n && p->b->rank == 0; i++)
    for (int64_t j = 0; j < p->n; j++) right &= p->c[i * p->n + j] == c_at(p, i, j);
  return right;
}

/* ---- ScaLAPACK */

enum { MOST_WAYS = 20 };

#ifdef BENCH_HAVE_SCALAPACK
typedef struct blocked {
  product *p;
  int block, context, desc[9];
  int64_t rows, columns; /* of the local part */
  char method[48];
  int grid[2], place[2];
} blocked;

/* Of local index i on place `me` of `count`, in blocks. */
static int64_t global_index(int64_t i, int block, int me, int count) {
  return (i / block * count + me) * block + i % block;
}

static int64_t local_count(int n, int block, int me, int count) {
  int64_t here = 0;
  for (int64_t i = 0; global_index(i, block, me, count) < n; i += block) {
    const int64_t left = n - global_index(i, block, me, count);
    here += left < block ? left : block;
  }
  return here;
}

static void blocked_begin(blocked *s, product *p, int block, int rows, int columns) {
  *s = (blocked){.p = p, .block = block, .grid = {rows, columns}};
  snprintf(s->method, sizeof s->method, "pdgemm %dx%d, blocks of %d", rows, columns, block);
  s->context = scalapack_context();
  Cblacs_gridinit(&s->context, "Row", rows, columns);
  int grid[2], info = 0;
  const int zero = 0;
  Cblacs_gridinfo(s->context, &grid[0], &grid[1], &s->place[0], &s->place[1]);
  s->rows = local_count(p->n, block, s->place[0], rows);
  s->columns = local_count(p->n, block, s->place[1], columns);
  const int lead = s->rows > 0 ? (int)s->rows : 1;
  descinit_(s->desc, &p->n, &p->n, &block, &block, &zero, &zero, &s->context, &lead, &info);
}

static int64_t global_row(const blocked *s, int64_t i) {
  return global_index(i, s->block, s->place[0], s->grid[0]);
}

static int64_t global_column(const blocked *s, int64_t j) {
  return global_index(j, s->block, s->place[1], s->grid[1]);
}

static void blocked_prepare(void *ctx) {
  blocked *s = ctx;
  for (int64_t j = 0; j < s->columns; j++)
    for (int64_t i = 0; i < s->rows; i++) {
      s->p->a[j * s->rows + i] = a_at(global_row(s, i), global_column(s, j));
      s->p->bb[j * s->rows + i] = b_at(global_row(s, i), global_column(s, j));
      s->p->c[j * s->rows + i] = -1;
    }
}

static void by_scalapack(void *ctx) {
  blocked *s = ctx;
  const int one = 1, n = s->p->n;
  const double alpha = 1, beta = 0;
  pdgemm_("N", "N", &n, &n, &n, &alpha, s->p->a, &one, &one, s->desc, s->p->bb, &one, &one, s->desc,
          &beta, s->p->c, &one, &one, s->desc);
}

static int blocked_is_right(void *ctx) {
  const blocked *s = ctx;
  int right = 1;
  for (int64_t j = 0; j < s->columns; j++)
    for (int64_t i = 0; i < s->rows; i++)
      right &= s->p->c[j * s->rows + i] == c_at(s->p, global_row(s, i), global_column(s, j));
  return right;
}

/* Every grid, with every block size that leaves no rank without work. */
static void scalapack_ways(product *p, blocked all[MOST_WAYS], bench_way ways[], int *count) {
  const int ranks = p->b->ranks;
  int n = 0;
  for (int rows = 1; rows <= ranks; rows++)
    for (int block = p->b->smoke ? 8 : 32; block <= 256 && ranks % rows == 0; block *= 2) {
      if (n == MOST_WAYS - 2 || block * ranks > p->n) break;
      blocked *s = &all[n++];
      blocked_begin(s, p, block, rows, ranks / rows);
      ways[(*count)++] = (bench_way){.peer = "ScaLAPACK",
                                     .method = s->method,
                                     .prepare = blocked_prepare,
                                     .run = by_scalapack,
                                     .right = blocked_is_right,
                                     .ctx = s};
    }
}

static void scalapack_ways_end(const bench_way ways[], int count) {
  for (int i = 0; i < count; i++)
    if (ways[i].run == by_scalapack) Cblacs_gridexit(((const blocked *)ways[i].ctx)->context);
}
#else
typedef struct blocked {
  int unused;
} blocked;

static void scalapack_ways(product *p, blocked all[MOST_WAYS], bench_way ways[], int *count) {
  (void)p, (void)all, (void)ways, (void)count;
}

static void scalapack_ways_end(const bench_way ways[], int count) { (void)ways, (void)count; }
#endif

static void one_product(bench *b, product *p, const char *from, const char *from_b, double budget) {
  char shape[32], layouts[64];
  dtensor_placement pa, pb;
  const int64_t size[] = {p->n, p->n};
  bench_ok(b, dtensor_placements_parse(from, 1, &pa), from);
  bench_ok(b, dtensor_placements_parse(from_b, 1, &pb), from_b);
  bench_ok(b, dtensor_empty(b->mesh, DTENSOR_F64, 2, size, &pa, &p->x), "empty");
  bench_ok(b, dtensor_empty(b->mesh, DTENSOR_F64, 2, size, &pb, &p->y), "empty");
  fill_rows(p->x, a_at);
  fill_rows(p->y, b_at);
  snprintf(shape, sizeof shape, "%d^3 f64", p->n);
  snprintf(layouts, sizeof layouts, "%s x %s", from, from_b);

  blocked *all = calloc(MOST_WAYS, sizeof *all);
  bench_way ways[MOST_WAYS] = {
      {"dtensor", "", NULL, by_dtensor, dtensor_is_right, p, 0},
      {"one process", "cblas_dgemm", one_prepare, one_process, one_is_right, p, 0}};
  int count = 2;
  scalapack_ways(p, all, ways, &count);
  bench_row r = {.op = "matmul", .shape = shape, .layouts = layouts, .unit = "GFLOP/s"};
  bench_compare(b, &r, 2.0 * p->n * p->n * p->n, ways, count, budget);
  scalapack_ways_end(ways, count);
  free(all);
  dtensor_destroy(&p->x);
  dtensor_destroy(&p->y);
  dtensor_destroy(&p->z);
}

void bench_pdgemm(bench *b) {
  static const char *const peers[] = {"one process", "ScaLAPACK", NULL};
  bench_table(b, "matrix products, time and GFLOP/s", peers);
  const int most = b->smoke ? 48 : 4096;
  const size_t bytes = (size_t)most * (size_t)most * sizeof(double);
  product p = {.b = b, .a = malloc(bytes), .bb = malloc(bytes), .c = malloc(bytes)};
  if (!p.a || !p.bb || !p.c) MPI_Abort(b->comm, 1);
  for (int n = b->smoke ? 48 : 2048; n <= most; n *= 2) {
    p.n = n;
    p.left = p.right = p.mixed = 0;
    for (int64_t k = 0; k < n; k++) {
      p.left += inner(k);
      p.right += inner(k + 1);
      p.mixed += inner(k) * inner(k + 1);
    }
    one_product(b, &p, "S(0)", "S(0)", n > 2048 ? 20 : 8);
  }
  free(p.a);
  free(p.bb);
  free(p.c);
}
