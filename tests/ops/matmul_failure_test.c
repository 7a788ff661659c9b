/* Products that cannot be: bad arguments, caps that are too small, and a rank without memory. */
#include <stdlib.h>

#include "dtensor/base/alloc.h"
#include "dtensor/comm/node.h"
#include "dtensor/dtensor.h"
#include "dtensor/mesh/mesh.h"
#include "dtensor/ops/matmul_job.h"
#include "tests/harness/world.h"

static dtensor *ones(dtensor_mesh *mesh, const char *placement, int64_t rows, int64_t columns) {
  dtensor_placement p;
  dtensor *x = NULL;
  EXPECT_OK(dtensor_placements_parse(placement, 1, &p));
  EXPECT_OK(dtensor_ones(mesh, DTENSOR_F64, 2, (int64_t[]){rows, columns}, &p, &x));
  return x;
}

DTEST_WORLD(MatmulFailure, BadArguments, 1, 3) {
  dtensor_mesh *mesh = NULL;
  REQUIRE_OK(world_line(world, &mesh));
  dtensor *a = ones(mesh, "S(0)", 6, 5), *b = ones(mesh, "S(0)", 5, 4), *c = NULL;
  dtensor *narrow = ones(mesh, "R", 6, 3), *fits = ones(mesh, "R", 6, 4);
  const dtensor_placement r = dtensor_replicate();
  const dtensor_scalar two = dtensor_real(2), turn = dtensor_complex(0, 1);
#define REFUSES(code, ...)                                                               \
  EXPECT_STATUS(code, dtensor_matmul_ex(a, b, &(dtensor_matmul_opts){__VA_ARGS__}, &c)); \
  EXPECT_NULL(c)
  EXPECT_STATUS(DTENSOR_EINVAL, dtensor_matmul_ex(a, b, NULL, NULL));
  EXPECT_STATUS(DTENSOR_EINVAL, dtensor_matmul_ex(NULL, b, NULL, &c));
  EXPECT_STATUS(DTENSOR_ESHAPE, dtensor_matmul_ex(a, a, NULL, &c));
  REFUSES(DTENSOR_ESHAPE, .a_form = DTENSOR_TRANSPOSED);
  REFUSES(DTENSOR_EINVAL, .a_form = (dtensor_operand_form)7);
  REFUSES(DTENSOR_EINVAL, .beta = two);
  REFUSES(DTENSOR_EINVAL, .max_bytes = -1);
  REFUSES(DTENSOR_EINVAL, .out = fits, .placements = &r);
  REFUSES(DTENSOR_EDTYPE, .alpha = turn);
  REFUSES(DTENSOR_ESHAPE, .out = narrow);
  EXPECT_CONTAINS(dtensor_last_error(), "dtensor_matmul_ex: out is [6,3]");
  const dtensor_placement nowhere = dtensor_shard(2);
  REFUSES(DTENSOR_EPLACEMENT, .placements = &nowhere);
  dtensor *square = ones(mesh, "S(0)", 6, 6);
  EXPECT_STATUS(DTENSOR_EINVAL,
                dtensor_matmul_ex(square, square, &(dtensor_matmul_opts){.out = square}, NULL));
  EXPECT_OK(dtensor_matmul_ex(a, b, &(dtensor_matmul_opts){.out = fits}, NULL));
  EXPECT_EQ(((const double *)dtensor_local_data(fits))[0], 5.0);
  const dtensor_placement split = dtensor_shard(1);
  dtensor_request *request;
  REQUIRE_OK(dtensor_redistribute_begin(fits, &split, NULL, &request));
  REFUSES(DTENSOR_EINVAL, .out = fits);
  EXPECT_CONTAINS(dtensor_last_error(), "is being redistributed");
  dtensor_request_destroy(&request);
  EXPECT_OK(dtensor_matmul_ex(a, b, &(dtensor_matmul_opts){.out = fits}, NULL));
  dtensor_destroy(&square);
  dtensor_destroy(&fits);
  dtensor_destroy(&narrow);
  dtensor_destroy(&b);
  dtensor_destroy(&a);
  dtensor_mesh_destroy(&mesh);
}

/* beta times a sum's contributions is beta times the sum; other reductions are not linear. */
DTEST_WORLD(MatmulFailure, NothingIsAddedToAReductionThatIsNotLinear, 1, 2, 3) {
  static const struct {
    const char *placement;
    bool is_linear;
  } cases[] = {{"P(sum)", true},
               {"P(avg)", true},
               {"P(max)", false},
               {"P(min)", false},
               {"P(product)", false}};
  dtensor_mesh *mesh = NULL;
  REQUIRE_OK(world_line(world, &mesh));
  dtensor *a = ones(mesh, "S(1)", 6, 5), *b = ones(mesh, "S(0)", 5, 4);
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    dtensor *out = ones(mesh, cases[i].placement, 6, 4);
    const bool takes = cases[i].is_linear || world->size == 1;
    double value[24];
    EXPECT_STATUS(takes ? DTENSOR_OK : DTENSOR_EPLACEMENT,
                  dtensor_matmul_ex(
                      a, b, &(dtensor_matmul_opts){.out = out, .beta = dtensor_real(-2)}, NULL));
    REQUIRE_OK(dtensor_full_tensor(out, value));
    EXPECT_EQ(value[23], takes ? 3.0 : 1.0);
    EXPECT_OK(dtensor_matmul_ex(a, b, &(dtensor_matmul_opts){.out = out}, NULL));
    REQUIRE_OK(dtensor_full_tensor(out, value));
    EXPECT_EQ(value[23], 5.0);
    dtensor_destroy(&out);
  }
  dtensor_destroy(&b);
  dtensor_destroy(&a);
  dtensor_mesh_destroy(&mesh);
}

/* Nothing has moved when a cap is refused. */
DTEST_WORLD(MatmulFailure, ACapThatIsTooSmall, 3) {
  if (world->size == 1) return;
  dtensor_mesh *mesh = NULL;
  REQUIRE_OK(world_line(world, &mesh));
  dtensor *a = ones(mesh, "S(0)", 12, 9), *b = ones(mesh, "S(1)", 9, 12), *c = NULL;
  dtensor_comm_counts counts;
  dti_matmul_force_panels(2); /* in messages, also inside of a node */
  dtensor_comm_stats_reset();
  EXPECT_STATUS(DTENSOR_EBUDGET,
                dtensor_matmul_ex(a, b, &(dtensor_matmul_opts){.max_bytes = 8}, &c));
  dtensor_comm_stats(&counts);
  EXPECT_NULL(c);
  EXPECT_EQ(counts.messages_received + counts.messages_sent, 0);
  dtensor_matmul_info info;
  const dtensor_matmul_opts row = {.max_bytes = 12 * 8};
  REQUIRE_OK(dtensor_explain_matmul(a, b, &row, &info, NULL, 0));
  EXPECT_EQ(info.steps, 9);
  EXPECT_LE(info.workspace, 12 * 8);
  REQUIRE_OK(dtensor_matmul_ex(a, b, &row, &c));
  EXPECT_EQ(((const double *)dtensor_local_data(c))[0], 9.0);
  dti_matmul_force_panels(0);
  dtensor_destroy(&c);
  dtensor_destroy(&b);
  dtensor_destroy(&a);
  dtensor_mesh_destroy(&mesh);
}

DTEST_WORLD(MatmulFailure, TheTextTellsThePlan, 4) {
  dtensor_mesh *mesh = NULL;
  REQUIRE_OK(world_grid(world, &mesh));
  dtensor_placement p[2];
  REQUIRE_OK(dtensor_placements_parse("S(0),S(1)", 2, p));
  dtensor *a = NULL;
  REQUIRE_OK(dtensor_ones(mesh, DTENSOR_F64, 2, (int64_t[]){64, 64}, p, &a));
  char text[2048];
  dtensor_matmul_info info;
  REQUIRE_OK(dtensor_explain_matmul(a, a, &(dtensor_matmul_opts){.placements = p}, &info, text,
                                    sizeof text));
  EXPECT_CONTAINS(text, "matmul [64,64] x [64,64] f64: splits ");
  EXPECT_CONTAINS(text, "predicted ");
  EXPECT_CONTAINS(text, "no algorithm receives less than ");
  if (world->size == 4) {
    EXPECT_STREQ(info.splits, "mn");
    EXPECT_CONTAINS(text, "instead of: splits ");
  }
  char few[12];
  REQUIRE_OK(dtensor_explain_matmul(a, a, NULL, NULL, few, sizeof few));
  EXPECT_STREQ(few, "matmul [64,");
  dtensor_destroy(&a);
  dtensor_mesh_destroy(&mesh);
}

/* ---- one rank runs out of memory, at any of its allocations */

enum { RANKS = 3, ALLOCATIONS = 14 };

static dtensor_status outcome[RANKS];

static dtensor_status body(dtensor_sim *sim, void *ctx) {
  const int *arguments = ctx; /* which call, how many allocations go well, how many panels */
  const int rank = dtensor_sim_rank(sim), which = arguments[0];
  static const char *const layouts[][3] = {{"S(0)", "S(0)", "S(0)"}, {"S(0)", "S(1)", "S(1)"},
                                           {"S(1)", "S(0)", "S(0)"}, {"S(1)", "S(0)", "R"},
                                           {"P", "P", "S(1)"},       {"SC(0,1)", "SC(1,1)", "P"}};
  dtensor_mesh *mesh = NULL;
  dtest_set_sim_rank(rank, RANKS);
  SIM_REQUIRE_OK(dtensor_sim_init_device_mesh(sim, 1, (int64_t[]){-1}, NULL, &mesh));
  dtensor *a = ones(mesh, layouts[which][0], 12, 12), *b = ones(mesh, layouts[which][1], 12, 12);
  dtensor *c = ones(mesh, layouts[which][2], 12, 12), *again = NULL;
  dti_matmul_force_panels(arguments[2]);
  dti_alloc_fail_after(rank == 1 ? arguments[1] : -1);
  const dtensor_matmul_opts opts = {.out = c, .beta = dtensor_real(which % 2)};
  outcome[rank] = dtensor_matmul_ex(a, b, &opts, &again);
  dti_alloc_fail_after(-1);
  if (outcome[rank] != DTENSOR_OK) EXPECT_NULL(again);
  dtensor_destroy(&again);
  /* And nothing is left that would disturb the next one. */
  SIM_REQUIRE_OK(dtensor_matmul_ex(a, b, &(dtensor_matmul_opts){.out = c}, NULL));
  double whole[144];
  SIM_REQUIRE_OK(dtensor_full_tensor(c, whole));
  for (int i = 0; i < 144; i++) EXPECT_EQ(whole[i], 12.0);
  dti_matmul_force_panels(0);
  dtensor_destroy(&c);
  dtensor_destroy(&b);
  dtensor_destroy(&a);
  dtensor_mesh_destroy(&mesh);
  return DTENSOR_OK;
}

DTEST(MatmulFailure, OfMemoryIsEveryones) {
  if (dtest_comm() != MPI_COMM_NULL) return;
  int failures = 0;
  for (int which = 0; which < 6; which++)
    for (int panels = 0; panels <= 3; panels += 3)
      for (int after = 0; after < ALLOCATIONS; after++) {
        REQUIRE_OK(dtensor_sim_run(RANKS, body, (int[]){which, after, panels}));
        failures += outcome[1] != DTENSOR_OK;
        for (int rank = 0; rank < RANKS; rank++) EXPECT_EQ(outcome[rank], outcome[1]);
      }
  EXPECT_GE(failures, 12);
}

/* ---- a call of communication fails on one rank */

typedef struct product {
  dtensor *a, *b, *c;
} product;

static void make_product(dtensor_mesh *mesh, const char *const layouts[3], product *p) {
  p->a = ones(mesh, layouts[0], 48, 48);
  p->b = ones(mesh, layouts[1], 48, 48);
  p->c = ones(mesh, layouts[2], 48, 48);
}

static void drop_product(product *p) {
  dtensor_destroy(&p->c);
  dtensor_destroy(&p->b);
  dtensor_destroy(&p->a);
}

static void check_product(const dtensor *c) {
  double *whole = malloc(48 * 48 * sizeof *whole);
  int wrong = 0;
  if (EXPECT_OK(dtensor_full_tensor(c, whole)))
    for (int i = 0; i < 48 * 48; i++) wrong += whole[i] != 48.0;
  EXPECT_EQ(wrong, 0);
  free(whole);
}

/* Every rank returns the same, and the next product is none the worse. */
DTEST_NODES(MatmulFailure, OfOneCallIsEveryones, {2, 1}, {3, 1}, {4, 2}) {
  if (world->size == 1) return;
  static const char *const layouts[][3] = {{"S(0)", "S(0)", "S(0)"}, {"S(0)", "S(1)", "S(1)"},
                                           {"S(1)", "S(0)", "S(0)"}, {"S(1)", "S(0)", "R"},
                                           {"P", "P", "S(1)"},       {"SC(0,1)", "SC(1,1)", "P"}};
  dtensor_mesh *mesh = NULL;
  REQUIRE_OK(world_line(world, &mesh));
  int64_t failures = 0;
  for (int which = 0; which < 6; which++)
    for (int panels = 0; panels <= 3; panels += 3) {
      const dtensor_matmul_opts caps = {.max_bytes = which == 1 ? 48 * 48 * 8 : 0};
      product p;
      make_product(mesh, layouts[which], &p);
      dti_matmul_force_panels(panels);
      int64_t any[3] = {1};
      for (int64_t n = 0; any[0] && EXPECT_LT(n, 10000); n += 1 + n / 6) {
        dtensor_matmul_opts opts = caps;
        opts.out = p.c;
        if (world->rank == which % world->size) dti_comm_fail_after(n, 1);
        const dtensor_status status = dtensor_matmul_ex(p.a, p.b, &opts, NULL);
        any[0] = dti_comm_fail_after(0, 0) == 0 && world->rank == which % world->size;
        any[1] = status;
        any[2] = -(int64_t)status;
        EXPECT_OK(dti_comm_allreduce(mesh->root, any, 3, DTI_COMM_MAX));
        EXPECT_EQ(any[1], -any[2]);
        if (status != DTENSOR_OK) EXPECT_STATUS(DTENSOR_EMPI, status);
        if (status == DTENSOR_OK) check_product(p.c);
        failures += status != DTENSOR_OK;
        EXPECT_OK(dtensor_matmul_ex(p.a, p.b, &opts, NULL));
        check_product(p.c);
      }
      dti_matmul_force_panels(0);
      drop_product(&p);
    }
  EXPECT_EQ(failures > 6, !dti_comm_is_near(mesh->root));
  dtensor_mesh_destroy(&mesh);
}
