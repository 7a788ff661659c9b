/* The trace shows operators, kernels and transfers of its own thread, in order of their ends. */
#include <dtensor/dtensor.h>
#include <string.h>

#include "tests/harness/dtest.h"

typedef struct seen {
  int count[4]; /* by kind */
  int64_t bytes;
  double flops, last_end;
  int in_order, has_matmul;
} seen;

static void look(const dtensor_trace_event *event, void *ctx) {
  seen *s = ctx;
  s->count[event->kind]++;
  s->bytes += event->bytes;
  s->flops += event->flops;
  s->in_order &= event->begin <= event->end && event->end >= s->last_end;
  s->last_end = event->end;
  s->has_matmul |= event->kind == DTENSOR_TRACE_OP && strstr(event->name, "matmul") != NULL;
}

static void trace_matmul(dtensor_sim *sim) {
  const int64_t shape[] = {32, 32};
  const dtensor_placement rows[] = {dtensor_shard(0)};
  dtensor_mesh *mesh = NULL;
  dtensor *a = NULL, *b = NULL, *c = NULL;
  EXPECT_OK(dtensor_sim_init_device_mesh(sim, 1, (int64_t[]){-1}, NULL, &mesh));
  EXPECT_OK(dtensor_ones(mesh, DTENSOR_F64, 2, shape, rows, &a));
  EXPECT_OK(dtensor_ones(mesh, DTENSOR_F64, 2, shape, rows, &b));

  seen s = {.in_order = 1, .last_end = dtensor_trace_clock()};
  dtensor_trace_listen(look, &s);
  EXPECT_OK(dtensor_matmul(a, b, &c));
  dtensor_trace_listen(NULL, NULL);
  EXPECT_TRUE(s.has_matmul);
  EXPECT_TRUE(s.in_order);
  EXPECT_EQ(s.count[DTENSOR_TRACE_OP], 1);
  EXPECT_GE(s.count[DTENSOR_TRACE_COMPUTE], 1);
  EXPECT_NEAR(s.flops, 2.0 * 32 * 32 * 32 / dtensor_sim_size(sim), 0.5);
  EXPECT_LE(s.last_end, dtensor_trace_clock());
  if (dtensor_sim_size(sim) >
      1) { /* on nodes of their own: inside of one, operands are read in place */
    EXPECT_GE(s.count[DTENSOR_TRACE_TRANSFER], 1);
    EXPECT_GE(s.bytes, (int64_t)1);
  } else {
    EXPECT_EQ(s.bytes, (int64_t)0);
  }

  const seen before = s; /* silent once it is off */
  dtensor_destroy(&c);
  EXPECT_OK(dtensor_matmul(a, b, &c));
  EXPECT_EQ(s.count[DTENSOR_TRACE_OP], before.count[DTENSOR_TRACE_OP]);
  dtensor_destroy(&a);
  dtensor_destroy(&b);
  dtensor_destroy(&c);
  dtensor_mesh_destroy(&mesh);
}

static dtensor_status one_rank(dtensor_sim *sim, void *ctx) {
  (void)ctx;
  dtest_set_sim_rank(dtensor_sim_rank(sim), dtensor_sim_size(sim));
  trace_matmul(sim);
  return DTENSOR_OK;
}

/* Each rank on a node of its own: inside of one, operands are read where they lie. */
DTEST(Trace, Matmul) {
  EXPECT_OK(dtensor_sim_run_nodes(1, 1, one_rank, NULL));
  EXPECT_OK(dtensor_sim_run_nodes(4, 1, one_rank, NULL));
}
