/* Node-shared tensors: a matrix changes hands in place, beside the redistribution that copies it.
 */
#include "benchmarks/bench.h"

/* There and back, one direction per call. */
typedef struct hands {
  const bench *b;
  dtensor_placement there, back;
  int is_there;
  dtensor *x, *y;
} hands;

static void fill(hands *h, dtensor *x) {
  double *data = dtensor_local_data(x);
  for (int64_t i = 0; i < dtensor_local_size(x, 0); i++)
    for (int64_t j = 0; j < dtensor_local_size(x, 1); j++)
      data[i * dtensor_local_stride(x, 0) + j] =
          (double)((dtensor_local_offset(x, 0) + i) * dtensor_size(x, 1) + j);
  h->is_there = 0;
}

static int is_right(const dtensor *x) {
  const double *data = dtensor_local_read(x);
  for (int64_t i = 0; i < dtensor_local_size(x, 0); i++)
    for (int64_t j = 0; j < dtensor_local_size(x, 1); j++)
      if (data[i * dtensor_local_stride(x, 0) + j * dtensor_local_stride(x, 1)] !=
          (double)((dtensor_local_offset(x, 0) + i) * dtensor_size(x, 1) +
                   dtensor_local_offset(x, 1) + j))
        return 0;
  return 1;
}

static void consume(void *ctx) {
  hands *h = ctx;
  bench_ok(h->b,
           dtensor_redistribute_consume(&h->x, h->is_there ? &h->back : &h->there, NULL, &h->y),
           "consume");
  h->x = h->y;
  h->is_there = !h->is_there;
}

static int consumed_right(void *ctx) { return is_right(((hands *)ctx)->x); }

/* The same with an ordinary tensor, which is copied. */
static void redistribute(void *ctx) {
  hands *h = ctx;
  bench_ok(h->b, dtensor_redistribute(h->x, h->is_there ? &h->back : &h->there, NULL, &h->y),
           "redistribute");
  dtensor_destroy(&h->x);
  h->x = h->y;
  h->is_there = !h->is_there;
}

static void barrier(void *ctx) { MPI_Barrier(((hands *)ctx)->b->comm); }

static int always(void *ctx) {
  (void)ctx;
  return 1;
}

static void one_matrix(bench *b, int64_t n, dtensor_placement there, const char *layouts) {
  const int64_t shape[] = {n, n};
  hands shared = {.b = b, .there = there, .back = dtensor_shard(0)}, copied = shared;
  bench_ok(b, dtensor_empty_node_shared(b->mesh, DTENSOR_F64, 2, shape, &shared.back, &shared.x),
           "empty");
  bench_ok(b, dtensor_empty(b->mesh, DTENSOR_F64, 2, shape, &copied.back, &copied.x), "empty");
  fill(&shared, shared.x);
  fill(&copied, copied.x);
  char text[40];
  snprintf(text, sizeof text, "%lld^2 f64", (long long)n);
  bench_way ways[] = {
      {.peer = "dtensor", .method = "", .run = consume, .right = consumed_right, .ctx = &shared},
      {.peer = "redistribute",
       .method = "",
       .run = redistribute,
       .right = consumed_right,
       .ctx = &copied},
      {.peer = "MPI_Barrier", .method = "", .run = barrier, .right = always, .ctx = &shared}};
  bench_row row = {.op = "consume", .shape = text, .layouts = layouts, .unit = "Mop/s"};
  bench_compare(b, &row, 1e3, ways, 3, 0.5);
  dtensor_destroy(&shared.x);
  dtensor_destroy(&copied.x);
}

void bench_consume(bench *b) {
  static const char *const peers[] = {"redistribute", "MPI_Barrier", NULL};
  bench_table(b, "node-shared tensors consumed there and back, time of one direction", peers);
  for (int64_t n = b->smoke ? 48 : 256; n <= (b->smoke ? 48 : 4096); n *= 4) {
    one_matrix(b, n, dtensor_shard(1), "S(0) <-> S(1)");
    one_matrix(b, n, dtensor_replicate(), "S(0) <-> R");
  }
}
