/* Plans of matrix products: what they move, against what no algorithm can beat. */
#include "dtensor/spec/matmul_plan.h"

#include <stdio.h>
#include <string.h>

#include "dtensor/spec/exchange.h"
#include "dtensor/spec/route.h"
#include "tests/harness/dtest.h"

static const dti_matmul_speed speed = {.latency = 2e-6, .byte = 4e-10, .madd = 2.5e-11};

static dti_layout layout_on(int mesh_ndim, const int64_t mesh[], int64_t rows, int64_t columns,
                            const dtensor_placement p[]) {
  dti_layout layout;
  EXPECT_OK(dti_layout_init(&layout, 2, (int64_t[]){rows, columns}, mesh_ndim, mesh, p));
  return layout;
}

static dti_layout layout_of(int mesh_ndim, const int64_t mesh[], int64_t rows, int64_t columns,
                            const char *text) {
  dtensor_placement p[DTENSOR_MAX_NDIM];
  EXPECT_OK(dtensor_placements_parse(text, mesh_ndim, p));
  return layout_on(mesh_ndim, mesh, rows, columns, p);
}

/* What all ranks together receive, from the exchanges that they would really do. */
static double really_received(const dti_layout *from, const dti_layout *to) {
  if (dti_layout_equal(from, to)) return 0;
  int64_t ranks = 1;
  double elements = 0;
  for (int m = 0; m < from->mesh_ndim; m++) ranks *= from->mesh[m];
  dti_route route;
  dti_route_make(from, to, NULL, 1, 0, 8, &route);
  const dti_layout *now = from;
  for (int i = 0; i < route.steps; now = &route.step[i++].to)
    for (int64_t place = 0; place < ranks; place++) {
      dti_exchange x;
      EXPECT_OK(dti_exchange_plan(&(dti_exchange_ends){.from = now,
                                                       .to = &route.step[i].to,
                                                       .from_place = place,
                                                       .to_place = place,
                                                       .same_mesh = 1},
                                  &x));
      elements += (double)x.elements_received;
      dti_exchange_free(&x);
    }
  return elements;
}

/* The six shapes of the communication-optimal literature, up to 256 ranks. */
static const struct {
  int64_t m, n, k, ranks;
} shapes[] = {{32768, 32768, 32768, 16},    {32768, 32768, 32768, 64},  {32768, 32768, 32768, 256},
              {17408, 17408, 3473408, 128}, {131072, 131072, 1024, 64}, {131072, 2048, 2048, 64}};

/* Inputs and product are cut into one block for each rank, on a mesh of the grid's shape. */
DTEST(MatmulPlan, MovesWhatTheLowerBoundAllows) {
  for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
    const int64_t m = shapes[i].m, n = shapes[i].n, k = shapes[i].k, ranks = shapes[i].ranks;
    int64_t mesh[3];
    const double words = dti_matmul_grid(m, n, k, ranks, mesh);
    const dtensor_placement pa[] = {dtensor_shard(0), dtensor_shard(0), dtensor_shard(1)};
    const dtensor_placement pb[] = {dtensor_strided_shard(1, mesh[1]), dtensor_shard(1),
                                    dtensor_shard(0)};
    const dtensor_placement pc[] = {dtensor_shard(0), dtensor_shard(1), dtensor_shard(0)};
    const dti_layout a = layout_on(3, mesh, m, k, pa), b = layout_on(3, mesh, k, n, pb),
                     c = layout_on(3, mesh, m, n, pc);
    const dti_matmul_problem problem = {.a = &a, .b = &b, .c = &c, .element = 8, .speed = speed};
    dti_matmul_plan plan;
    REQUIRE_OK(dti_matmul_plan_make(&problem, &plan, NULL, NULL));
    const double bound = dti_matmul_bound(m, n, k, ranks);
    const double received = (really_received(&a, &plan.a) + really_received(&b, &plan.b) +
                             really_received(&plan.c, &plan.out)) /
                            (double)ranks;
    const double planned = (plan.received[0] + plan.received[1] + plan.received[2]) / 8;
    char text[64];
    printf("%lld,%lld,%lld on %lldx%lldx%lld splits %s: %.2f Mwords per rank, bound %.2f: %.3f\n",
           (long long)m, (long long)n, (long long)k, (long long)mesh[0], (long long)mesh[1],
           (long long)mesh[2], dti_matmul_splits_text(plan.split, 3, text, sizeof text),
           received / 1e6, bound / 1e6, received / bound);
    EXPECT_LE(received, 1.1 * bound);
    EXPECT_GE(received, 0.999 * bound);
    EXPECT_NEAR(received, planned, 1e-6 * planned);
    EXPECT_NEAR(received, words, 1e-6 * words);
  }
}

static const char *splits_on(int64_t m, int64_t n, int64_t k, const char *pa, const char *pb,
                             const char *pc) {
  static char text[64];
  const int64_t mesh[] = {4, 4};
  const dti_layout a = layout_of(2, mesh, m, k, pa), b = layout_of(2, mesh, k, n, pb),
                   c = layout_of(2, mesh, m, n, pc ? pc : "R,R");
  const dti_matmul_problem problem = {
      .a = &a, .b = &b, .c = pc ? &c : NULL, .element = 8, .speed = speed};
  dti_matmul_plan plan;
  EXPECT_OK(dti_matmul_plan_make(&problem, &plan, NULL, NULL));
  return dti_matmul_splits_text(plan.split, 2, text, sizeof text);
}

DTEST(MatmulPlan, SplitsWhatIsLong) {
  EXPECT_STREQ(splits_on(4096, 4096, 4096, "S(0),S(1)", "S(0),S(1)", "S(0),S(1)"), "m,n");
  EXPECT_STREQ(splits_on(65536, 256, 256, "S(0),S(0)", "S(0),S(0)", "S(0),S(0)"), "m,m");
  EXPECT_STREQ(splits_on(256, 65536, 256, "S(1),S(1)", "S(1),S(1)", "S(1),S(1)"), "n,n");
  EXPECT_STREQ(splits_on(256, 256, 65536, "S(1),S(1)", "S(0),S(0)", "S(0),S(0)"), "k,k");
  EXPECT_STREQ(splits_on(2, 4096, 2, "P,R", "R,S(1)", NULL), "linear in a,n");
}

/* What comes along the second mesh dimension comes from ranks of the same node. */
DTEST(MatmulPlan, NodesAreFasterInside) {
  const int64_t mesh[] = {2, 4}, n = 1024;
  const dti_layout a = layout_of(2, mesh, n, n, "S(0),S(1)"),
                   b = layout_of(2, mesh, n, n, "R,S(1)"),
                   c = layout_of(2, mesh, n, n, "S(0),S(1)");
  const dtensor_machine machine = dtensor_machine_default();
  const dti_matmul_problem problem = {
      .a = &a,
      .b = &b,
      .c = &c,
      .element = 8,
      .speed = dti_matmul_speed_of(&machine, (dti_topology){4, 1}, 0)};
  dti_matmul_plan plan;
  REQUIRE_OK(dti_matmul_plan_make(&problem, &plan, NULL, NULL));
  const double bytes = 8.0 * n / 2 * n * 3 / 4;
  EXPECT_NEAR(plan.received[0], bytes, 1);
  EXPECT_EQ(plan.received[1] + plan.received[2], 0);
  EXPECT_NEAR(plan.communication, bytes * machine.copy + 3 * machine.meeting, 1e-9);
  dti_matmul_problem far = problem;
  far.speed.ranks_per_node = 2; /* a line is two nodes */
  REQUIRE_OK(dti_matmul_plan_make(&far, &plan, NULL, NULL));
  EXPECT_GT(plan.communication, bytes * machine.copy + 3 * machine.meeting);
}

/* Sequential steps until the workspace fits, and a refusal that says what would. */
DTEST(MatmulPlan, ACapAddsSteps) {
  const int64_t mesh[] = {4}, n = 1024;
  const dti_layout a = layout_of(1, mesh, n, n, "S(0)"), b = layout_of(1, mesh, n, n, "S(0)"),
                   c = layout_of(1, mesh, n, n, "S(0)");
  dti_matmul_problem problem = {.a = &a, .b = &b, .c = &c, .element = 8, .speed = speed};
  dti_matmul_plan plan;
  REQUIRE_OK(dti_matmul_plan_make(&problem, &plan, NULL, NULL));
  EXPECT_EQ(plan.steps, 1);
  EXPECT_EQ(plan.workspace, 8.0 * (double)(n * n));
  problem.max_bytes = n * n;
  REQUIRE_OK(dti_matmul_plan_make(&problem, &plan, NULL, NULL));
  EXPECT_EQ(plan.steps, 8);
  EXPECT_LE(plan.workspace, (double)problem.max_bytes);
  problem.max_bytes = 8 * n - 1; /* less than a row of b */
  EXPECT_STATUS(DTENSOR_EBUDGET, dti_matmul_plan_make(&problem, &plan, NULL, NULL));
  problem.max_bytes = 8 * n;
  REQUIRE_OK(dti_matmul_plan_make(&problem, &plan, NULL, NULL));
  EXPECT_EQ(plan.steps, n);
}

DTEST(MatmulPlan, OthersAreWorse) {
  const int64_t mesh[] = {2, 2};
  const dti_layout a = layout_of(2, mesh, 512, 512, "S(0),S(1)"),
                   b = layout_of(2, mesh, 512, 512, "S(0),S(1)");
  const dti_matmul_problem problem = {.a = &a, .b = &b, .element = 8, .speed = speed};
  dti_matmul_plan plan, others[3];
  int n = 3;
  REQUIRE_OK(dti_matmul_plan_make(&problem, &plan, others, &n));
  REQUIRE_EQ(n, 3);
  EXPECT_LE(plan.seconds, others[0].seconds);
  EXPECT_LE(others[0].seconds, others[1].seconds);
  EXPECT_LE(others[1].seconds, others[2].seconds);
  EXPECT_NE(memcmp(plan.split, others[0].split, sizeof plan.split), 0);
}
