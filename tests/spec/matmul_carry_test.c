/* What ranks of a node carry for each other, and layouts over finer meshes. */
#include "dtensor/spec/matmul_carry.h"

#include "dtensor/spec/axis.h"
#include "dtensor/spec/exchange.h"
#include "dtensor/spec/matmul_plan.h"
#include "dtensor/spec/refine.h"
#include "tests/harness/dtest.h"

static dti_layout layout_of(int mesh_ndim, const int64_t mesh[], int64_t rows, int64_t columns,
                            const char *text) {
  dti_layout layout;
  dtensor_placement p[DTENSOR_MAX_NDIM];
  EXPECT_OK(dtensor_placements_parse(text, mesh_ndim, p));
  EXPECT_OK(dti_layout_init(&layout, 2, (int64_t[]){rows, columns}, mesh_ndim, mesh, p));
  return layout;
}

static bool owns(const dti_layout *x, const int64_t coord[], int64_t row, int64_t column) {
  const int64_t at[] = {row, column};
  for (int d = 0; d < 2; d++) {
    const dti_axis axis = dti_axis_of(x, d);
    if (dti_axis_below(&axis, coord, at[d] + 1) == dti_axis_below(&axis, coord, at[d]))
      return false;
  }
  return true;
}

/* Ranks of a 2-d mesh which have an element, among those that differ from `coord` along the dims.
 */
static int owners(const dti_layout *x, const int64_t coord[], unsigned dims, int64_t row,
                  int64_t column) {
  int n = 0;
  for (int64_t i = 0; i < x->mesh[0]; i++)
    for (int64_t j = 0; j < x->mesh[1]; j++) {
      const int64_t other[] = {i, j};
      if ((i != coord[0] && !(dims & 1u)) || (j != coord[1] && !(dims & 2u))) continue;
      n += owns(x, other, row, column);
    }
  return n;
}

/* Whatever a rank needs is carried by exactly one of those among whom it is dealt out. */
static bool is_carried_once(const dti_layout *work, const dti_layout *carried, unsigned dealt) {
  for (int64_t place = 0; place < work->mesh[0] * work->mesh[1]; place++)
    for (int64_t row = 0; row < work->shape[0]; row++)
      for (int64_t column = 0; column < work->shape[1]; column++) {
        const int64_t coord[] = {place / work->mesh[1], place % work->mesh[1]};
        if (owns(work, coord, row, column) && owners(carried, coord, dealt, row, column) != 1)
          return false;
      }
  return true;
}

DTEST(MatmulCarry, OnceInANode) {
  static const struct {
    const char *source, *work;
    unsigned near, dealt;
  } cases[] = {
      {"S(0),S(0)", "R,R", 2, 2},    {"S(0),S(0)", "R,R", 1, 1},    {"S(0),S(1)", "R,R", 2, 2},
      {"S(0),S(0)", "R,S(1)", 2, 2}, {"S(0),S(0)", "S(0),R", 1, 0}, {"S(0),R", "R,R", 2, 2},
      {"S(0),R", "S(1),R", 2, 2},    {"R,S(0)", "R,S(1)", 1, 1},    {"S(1),S(0)", "S(1),R", 2, 2},
      {"S(0),S(0)", "R,S(0)", 1, 1}, {"S(0),S(0)", "R,S(0)", 2, 0}, {"SC(0,2),SB(0)", "R,R", 2, 2},
      {"P,S(0)", "R,R", 2, 2},       {"S(0),P", "R,P", 2, 0},       {"S(0),P", "R,R", 2, 2},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
    for (int64_t n = 9; n <= 12; n++) {
      const int64_t mesh[] = {2, 3};
      const dti_layout source = layout_of(2, mesh, n, n + 1, cases[i].source),
                       work = layout_of(2, mesh, n, n + 1, cases[i].work);
      dti_layout carried;
      const unsigned dealt = dti_matmul_carry(&source, &work, cases[i].near, 0, &carried);
      if (!EXPECT_EQ(dealt, cases[i].dealt) ||
          !EXPECT_TRUE(is_carried_once(&work, &carried, dealt)))
        dtest_fail(__FILE__, __LINE__, "case %d, n = %d", (int)i, (int)n);
      if (dealt == 0) EXPECT_TRUE(dti_layout_equal(&work, &carried));
    }
}

/* Where shards are even, the price is what really moves. */
DTEST(MatmulCarry, BytesAreThoseThatMove) {
  static const char *const cases[][2] = {{"S(0),S(0)", "R,R"}, {"S(0),S(1)", "R,R"},
                                         {"S(0),R", "R,R"},    {"S(0),S(0)", "R,S(1)"},
                                         {"S(1),S(0)", "R,R"}, {"S(1),R", "S(0),R"}};
  const int64_t mesh[] = {3, 2}, n = 24;
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    const dti_layout source = layout_of(2, mesh, n, n, cases[i][0]),
                     work = layout_of(2, mesh, n, n, cases[i][1]);
    dti_layout carried;
    const unsigned dealt = dti_matmul_carry(&source, &work, 2, 0, &carried);
    double moved = 0, ranks;
    for (int64_t place = 0; place < 6; place++) {
      dti_exchange x;
      REQUIRE_OK(dti_exchange_plan(&(dti_exchange_ends){.from = &source,
                                                        .to = &carried,
                                                        .from_place = place,
                                                        .to_place = place,
                                                        .same_mesh = 1},
                                   &x));
      moved += (double)x.elements_received * 8 / 6;
      dti_exchange_free(&x);
    }
    EXPECT_NEAR(moved, dti_matmul_carry_bytes(&source, &carried, dealt, 8), 1e-6);
    EXPECT_NEAR(moved, dti_matmul_carried_bytes(&source, &work, 0, 2, 8, &ranks), 1e-6);
    EXPECT_EQ(ranks, 2);
  }
}

/* A line of ranks with several on each node is two dimensions; every rank has what it had. */
DTEST(MatmulCarry, FinerMeshes) {
  const int64_t mesh[] = {6, 4}, run[] = {3, 4};
  int64_t fine_mesh[DTENSOR_MAX_NDIM];
  REQUIRE_EQ(dti_mesh_refine(2, mesh, run, fine_mesh), 3);
  EXPECT_TRUE(fine_mesh[0] == 2 && fine_mesh[1] == 3 && fine_mesh[2] == 4);
  static const struct {
    const char *placements;
    int64_t rows;
  } good[] = {{"S(0),S(0)", 48},  {"S(1),R", 48}, {"P,SB(1)", 48},  {"R,SC(0,5)", 48},
              {"SB(0),S(1)", 48}, {"S(0),R", 47}, {"S(0),S(1)", 7}, {"S(0),P", 37}};
  for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
    const dti_layout x = layout_of(2, mesh, good[i].rows, 72, good[i].placements);
    dti_layout fine;
    REQUIRE_TRUE(dti_layout_refine(&x, run, &fine));
    for (int64_t place = 0; place < 24; place++) {
      int64_t coord[2], fine_coord[3], shape[2], fine_shape[2], offset[2], fine_offset[2];
      dti_mesh_unravel(2, mesh, place, coord);
      dti_mesh_unravel(3, fine_mesh, place, fine_coord);
      dti_layout_local(&x, coord, shape, offset);
      dti_layout_local(&fine, fine_coord, fine_shape, fine_offset);
      EXPECT_MEMEQ(shape, fine_shape, sizeof shape);
      if (shape[0] > 0) EXPECT_MEMEQ(offset, fine_offset, sizeof offset);
    }
  }
  static const char *const bad[] = {"S(1),S(1)", "SB(1),R", "SC(0,1),R", "SS(0,2),R"};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    const dti_layout x = layout_of(2, mesh, 48, 71, bad[i]);
    dti_layout fine;
    EXPECT_FALSE(dti_layout_refine(&x, run, &fine));
  }
  const int64_t many[] = {4, 4, 4, 4, 4}, twos[] = {2, 2, 2, 2, 2};
  EXPECT_EQ(dti_mesh_refine(5, many, twos, fine_mesh), 0);
}

/* All of b goes to all: half of it comes to each node, dealt out among four ranks. */
DTEST(MatmulCarry, ThePlanKnows) {
  const int64_t mesh[] = {8}, n = 1024;
  const dti_layout a = layout_of(1, mesh, n, n, "S(0)"), b = layout_of(1, mesh, n, n, "S(0)"),
                   c = layout_of(1, mesh, n, n, "S(0)");
  const dtensor_machine machine = dtensor_machine_default();
  dti_matmul_problem problem = {.a = &a,
                                .b = &b,
                                .c = &c,
                                .element = 8,
                                .speed = dti_matmul_speed_of(&machine, (dti_topology){4, 1}, 0)};
  const double bytes = 8.0 * n * n, far = bytes / 8, all = bytes * 7 / 8;
  dti_matmul_plan plan;
  REQUIRE_OK(dti_matmul_plan_make(&problem, &plan, NULL, NULL));
  EXPECT_EQ(plan.received[1], all);
  const double starts = 7.0 / 4 * (machine.latency + 2 * machine.overhead) + 3 * machine.meeting;
  EXPECT_NEAR(plan.communication, far * machine.byte * 4 + (all - far) * machine.copy + starts,
              1e-9);
  problem.speed.shares_memory = 0;
  dti_matmul_plan apart;
  REQUIRE_OK(dti_matmul_plan_make(&problem, &apart, NULL, NULL));
  EXPECT_GT(apart.communication, 2 * plan.communication);
}
