/* What one operator on almost nothing costs: checks, rules, a new tensor, the kernel, and its end.
 */
#include <stdlib.h>

#include "benchmarks/bench.h"

enum { CALLS = 20000 };

typedef struct tiny {
  const bench *b;
  dtensor *x, *y;
} tiny;

#define BODY(name, call)              \
  static void name(void *ctx) {       \
    tiny *t = ctx;                    \
    for (int i = 0; i < CALLS; i++) { \
      dtensor *z;                     \
      bench_ok(t->b, call, #call);    \
      dtensor_destroy(&z);            \
    }                                 \
  }
BODY(add, dtensor_add(t->x, t->y, &z))
BODY(scale, dtensor_scale(t->x, dtensor_real(2), &z))
BODY(sum, dtensor_sum(t->x, 0, NULL, 0, &z))
BODY(matmul, dtensor_matmul(t->x, t->y, &z))
BODY(transpose, dtensor_transpose(t->x, 0, 1, &z))

/* The least that such a call can cost: an allocation and the sixteen additions. */
static void plain_c(void *ctx) {
  tiny *t = ctx;
  const double *x = dtensor_local_data(t->x), *y = dtensor_local_data(t->y);
  for (int i = 0; i < CALLS; i++) {
    double *volatile z = malloc(16 * sizeof(double));
    for (int j = 0; j < 16; j++) z[j] = x[j] + y[j];
    free(z);
  }
}

void bench_dispatch(bench *b) {
  static const struct {
    const char *name;
    bench_body body;
    double goal; /* microseconds */
  } ops[] = {{"add", add, 1},
             {"scale", scale, 0},
             {"sum", sum, 0},
             {"matmul", matmul, 0},
             {"transpose", transpose, 0}};
  tiny t = {.b = b};
  const int64_t shape[] = {4, 4};
  const dtensor_placement r = dtensor_replicate();
  bench_ok(b, dtensor_arange(b->mesh, DTENSOR_F64, 2, shape, &r, &t.x), "arange");
  bench_ok(b, dtensor_ones(b->mesh, DTENSOR_F64, 2, shape, &r, &t.y), "ones");

  dtensor *z;
  bench_ok(b, dtensor_add(t.x, t.y, &z), "add");
  int right = 1;
  for (int i = 0; i < 16; i++) right &= ((const double *)dtensor_local_data(z))[i] == i + 1;
  bench_check(b, right, "4 x 4 add");
  dtensor_destroy(&z);

  for (size_t i = 0; i < sizeof ops / sizeof ops[0]; i++) {
    bench_row row = {.op = ops[i].name, .shape = "4x4 f64", .layouts = "R", .peer = "plain C add"};
    bench_time(b, 11, ops[i].body, &t, &row.seconds, plain_c, &t, &row.peer_seconds);
    row.seconds /= CALLS;
    row.peer_seconds /= CALLS;
    row.rate = 1e-6 / row.seconds;
    row.unit = "Mop/s";
    row.what = "microsec";
    row.value = 1e6 * row.seconds;
    row.goal = ops[i].goal;
    bench_print(b, &row);
  }
  dtensor_destroy(&t.x);
  dtensor_destroy(&t.y);
}
