/* dtensor_matmul on one rank beside the cblas call that it makes: what the layers above BLAS cost.
 */
#include <cblas.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

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

void bench_matmul(bench *b) {
  if (b->smoke) {
    one_size(b, 64, 1, 0);
    return;
  }
  one_size(b, 512, 31, 0);
  one_size(b, 1024, 21, 0);
  one_size(b, 2048, 15, 1.03);
}
