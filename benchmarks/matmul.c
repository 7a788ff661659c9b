#define _GNU_SOURCE /* sched_setaffinity() */
/* dtensor_matmul on one rank beside the cblas call that it makes: what the layers above BLAS cost.
 * On two ranks beside one process with as many BLAS threads as there are ranks, and beside plain
 * dgemm of the shape that a rank computes: what splitting the work costs. */
#include <cblas.h>
#include <math.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "benchmarks/bench.h"

typedef struct product {
  const bench *b;
  int n;
  dtensor *x, *y;
  double *c;
} product;

static void by_dtensor(void *ctx) {
  product *p = ctx;
  dtensor *c;
  bench_ok(p->b, dtensor_matmul(p->x, p->y, &c), "matmul");
  dtensor_destroy(&c);
}

static void by_cblas(void *ctx) {
  product *p = ctx;
  cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, p->n, p->n, p->n, 1,
              dtensor_local_data(p->x), p->n, dtensor_local_data(p->y), p->n, 0, p->c, p->n);
}

static void one_size(bench *b, int n, int repeats, double goal) {
  product p = {.b = b, .n = n, .c = malloc(sizeof(double) * (size_t)n * (size_t)n)};
  const int64_t shape[] = {n, n};
  const dtensor_placement r = dtensor_replicate();
  bench_ok(b, dtensor_randn(b->mesh, DTENSOR_F64, 2, shape, &r, &p.x), "randn");
  bench_ok(b, dtensor_randn(b->mesh, DTENSOR_F64, 2, shape, &r, &p.y), "randn");

  dtensor *c;
  bench_ok(b, dtensor_matmul(p.x, p.y, &c), "matmul");
  by_cblas(&p);
  const double *got = dtensor_local_data(c);
  double worst = 0;
  for (int64_t i = 0; i < (int64_t)n * n; i++) worst = fmax(worst, fabs(got[i] - p.c[i]));
  bench_check(b, worst <= 1e-10 * n, "matmul");
  dtensor_destroy(&c);

  char text[32];
  snprintf(text, sizeof text, "%d^3 f64", n);
  bench_row row = {.op = "matmul", .shape = text, .layouts = "R x R", .unit = "GFLOP/s"};
  row.peer = "cblas_dgemm";
  row.what = "time / peer";
  bench_time(b, repeats, by_dtensor, &p, &row.seconds, by_cblas, &p, &row.peer_seconds);
  row.rate = 2e-9 * pow(n, 3) / row.seconds;
  row.value = row.seconds / row.peer_seconds;
  row.goal = goal;
  bench_print(b, &row);
  dtensor_destroy(&p.x);
  dtensor_destroy(&p.y);
  free(p.c);
}

/* ---- two ranks */

typedef struct split_product {
  const bench *b;
  int n;
  dtensor *x, *y;
  double *a, *c; /* of the peers: whole matrices on rank 0, the share of a rank on all */
} split_product;

static void split_by_dtensor(void *ctx) {
  split_product *p = ctx;
  dtensor *c;
  bench_ok(p->b, dtensor_matmul(p->x, p->y, &c), "matmul");
  dtensor_destroy(&c);
}

/* Rank 0 alone, with the cores of all; the others sleep. */
static void by_one_process(void *ctx) {
  split_product *p = ctx;
  if (p->b->rank == 0) {
    cpu_set_t before, all;
    memset(&all, 0xff, sizeof all);
    sched_getaffinity(0, sizeof before, &before);
    sched_setaffinity(0, sizeof all, &all);
    const int threads = openblas_get_num_threads();
    openblas_set_num_threads(p->b->ranks * p->b->threads);
    cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, p->n, p->n, p->n, 1, p->a, p->n, p->a,
                p->n, 0, p->c, p->n);
    openblas_set_num_threads(threads);
    sched_setaffinity(0, sizeof before, &before);
  }
  MPI_Request barrier;
  MPI_Ibarrier(p->b->comm, &barrier);
  for (int done = 0; !done;) {
    MPI_Test(&barrier, &done, MPI_STATUS_IGNORE);
    if (!done) nanosleep(&(struct timespec){0, 200000}, NULL);
  }
}

/* Every rank its share of the rows, of matrices that it has whole. */
static void by_plain_dgemm(void *ctx) {
  split_product *p = ctx;
  const int rows = p->n / p->b->ranks;
  cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, rows, p->n, p->n, 1, p->a, p->n, p->a,
              p->n, 0, p->c, p->n);
}

/* Each element of x y is what the sums of x's rows and y's columns say: x is 1 + row, y is 1. */
static int is_product(const split_product *p, const dtensor *c) {
  dtensor *sum = NULL;
  double is = 0;
  const double n = p->n, want = n * n * n * (n + 1) / 2;
  bench_ok(p->b, dtensor_sum(c, 0, NULL, 0, &sum), "sum");
  bench_ok(p->b, dtensor_item(sum, &is), "item");
  dtensor_destroy(&sum);
  return fabs(is - want) <= 1e-12 * want;
}

static void fill_rows(dtensor *x) {
  double *data = dtensor_local_data(x);
  for (int64_t i = 0; i < dtensor_local_size(x, 0); i++)
    for (int64_t j = 0; j < dtensor_local_size(x, 1); j++)
      data[i * dtensor_local_size(x, 1) + j] = (double)(1 + i + dtensor_local_offset(x, 0));
}

static void one_split(bench *b, int n, const char *px, const char *py, bench_body peer,
                      const char *peer_name, double goal) {
  const size_t bytes = sizeof(double) * (size_t)n * (size_t)n;
  split_product p = {.b = b, .n = n, .a = malloc(bytes), .c = malloc(bytes)};
  const int64_t shape[] = {n, n};
  dtensor_placement x, y;
  for (size_t i = 0; i < (size_t)n * (size_t)n; i++) p.a[i] = 1;
  bench_ok(b, dtensor_placements_parse(px, 1, &x), "parse");
  bench_ok(b, dtensor_placements_parse(py, 1, &y), "parse");
  bench_ok(b, dtensor_empty(b->mesh, DTENSOR_F64, 2, shape, &x, &p.x), "empty");
  bench_ok(b, dtensor_ones(b->mesh, DTENSOR_F64, 2, shape, &y, &p.y), "ones");
  fill_rows(p.x);
  dtensor *c;
  bench_ok(b, dtensor_matmul(p.x, p.y, &c), "matmul");
  bench_check(b, is_product(&p, c), "matmul");
  dtensor_destroy(&c);

  char text[32], layouts[32];
  snprintf(text, sizeof text, "%d^3 f64", n);
  snprintf(layouts, sizeof layouts, "%s x %s", px, py);
  bench_row row = {.op = "matmul", .shape = text, .layouts = layouts, .unit = "GFLOP/s"};
  row.peer = peer_name;
  row.what = "time / peer";
  bench_time(b, n > 2048 ? 5 : 11, split_by_dtensor, &p, &row.seconds, peer, &p, &row.peer_seconds);
  row.rate = 2e-9 * pow(n, 3) / row.seconds;
  row.value = row.seconds / row.peer_seconds;
  row.goal = goal;
  bench_print(b, &row);
  dtensor_destroy(&p.x);
  dtensor_destroy(&p.y);
  free(p.a);
  free(p.c);
}

static void split_sizes(bench *b) {
  static const char *const layouts[][2] = {
      {"S(0)", "R"}, {"S(0)", "S(0)"}, {"S(0)", "S(1)"}, {"S(1)", "S(0)"}};
  for (int n = b->smoke ? 64 : 2048; n <= (b->smoke ? 64 : 4096); n *= 2) {
    for (size_t i = 0; i < sizeof layouts / sizeof *layouts; i++)
      one_split(b, n, layouts[i][0], layouts[i][1], by_one_process, "one process", 1 / 0.97);
    one_split(b, n, "S(0)", "R", by_plain_dgemm, "dgemm of a share", 1.03);
  }
}

void bench_matmul(bench *b) {
  if (b->ranks > 1) {
    bench_print_header(b);
    if (b->ranks == 2) split_sizes(b);
    return;
  }
  if (b->smoke) {
    one_size(b, 64, 1, 0);
    return;
  }
  one_size(b, 512, 31, 0);
  one_size(b, 1024, 21, 0);
  one_size(b, 2048, 15, 1.03);
}
