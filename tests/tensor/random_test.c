/* Random tensors: the same bits for every mesh, placement and number of threads. */
#include <dtensor/redistribute.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tests/harness/world.h"

enum { ROWS = 61, COLUMNS = 97, N = ROWS * COLUMNS, TENSORS = 4 };

/* Two uniform and two normal tensors after the seed 42, in full. */
typedef struct sample {
  double value[TENSORS][N];
} sample;

static dtensor_status draw(dtensor_mesh *mesh, const dtensor_placement p[], sample *s) {
  const int64_t shape[] = {ROWS, COLUMNS};
  dtensor_manual_seed(42);
  for (int i = 0; i < TENSORS; i++) {
    dtensor *x = NULL;
    dtensor_status status =
        (i % 2 ? dtensor_randn : dtensor_rand)(mesh, DTENSOR_F64, 2, shape, p, &x);
    if (status == DTENSOR_OK) status = dtensor_full_tensor(x, s->value[i]);
    dtensor_destroy(&x);
    if (status != DTENSOR_OK) return status;
  }
  return DTENSOR_OK;
}

/* What one rank with one thread draws. */
static dtensor_status draw_alone(dtensor_sim *sim, void *ctx) {
  dtensor_mesh *mesh = NULL;
  SIM_REQUIRE_OK(dtensor_sim_init_device_mesh(sim, 1, (int64_t[]){1},
                                              &(dtensor_mesh_opts){.threads = 1}, &mesh));
  SIM_REQUIRE_OK(draw(mesh, (dtensor_placement[]){dtensor_replicate()}, ctx));
  dtensor_mesh_destroy(&mesh);
  return DTENSOR_OK;
}

static sample alone;

static dtensor_status draw_together(dtensor_sim *sim, void *ctx) {
  const int *threads = ctx;
  dtest_set_sim_rank(dtensor_sim_rank(sim), dtensor_sim_size(sim));
  static const char *const placements[] = {"R,R",       "S0,S1",     "S1,S0", "S0,S0",
                                           "SC(0,4),R", "R,SS(1,3)", "P,S1",  "SB(1),P"};
  const int64_t p = dtensor_sim_size(sim), rows = p % 2 ? 1 : 2;
  dtensor_mesh *mesh = NULL;
  SIM_REQUIRE_OK(dtensor_sim_init_device_mesh(sim, 2, (int64_t[]){rows, p / rows},
                                              &(dtensor_mesh_opts){.threads = *threads}, &mesh));
  sample *s = malloc(sizeof *s);
  for (size_t i = 0; i < sizeof placements / sizeof *placements; i++) {
    dtensor_placement to[2];
    SIM_REQUIRE_OK(dtensor_placements_parse(placements[i], 2, to));
    SIM_REQUIRE_OK(draw(mesh, to, s));
    EXPECT_MEMEQ(s, &alone, sizeof alone);
  }
  free(s);
  dtensor_mesh_destroy(&mesh);
  return DTENSOR_OK;
}

DTEST(Random, SameBitsEverywhere) {
  REQUIRE_OK(dtensor_sim_run(1, draw_alone, &alone));
  static const int ranks[] = {1, 2, 3, 6};
  for (size_t i = 0; i < sizeof ranks / sizeof *ranks; i++)
    for (int threads = 1; threads <= 2; threads++)
      EXPECT_OK(dtensor_sim_run(ranks[i], draw_together, &threads));
}

/* Far from a proof, but it notices a wrong scale, a shift and repeated streams. */
DTEST(Random, Moments) {
  REQUIRE_OK(dtensor_sim_run(1, draw_alone, &alone));
  for (int i = 0; i < TENSORS; i++) {
    double sum = 0, squares = 0;
    for (int k = 0; k < N; k++) {
      const double v = alone.value[i][k];
      if (i % 2 == 0) EXPECT_TRUE(v >= 0 && v < 1);
      sum += v;
      squares += v * v;
    }
    const double mean = sum / N, variance = squares / N - mean * mean;
    EXPECT_NEAR(mean, i % 2 ? 0 : 0.5, i % 2 ? 0.06 : 0.02);
    EXPECT_NEAR(variance, i % 2 ? 1 : 1.0 / 12, i % 2 ? 0.08 : 0.005);
  }
  EXPECT_NE(memcmp(alone.value[0], alone.value[2], sizeof alone.value[0]), 0);
  EXPECT_NE(memcmp(alone.value[1], alone.value[3], sizeof alone.value[1]), 0);
}

/* The seed starts the count of tensors anew; the count goes on over tensors of any shape, and over
 * calls that all ranks failed in. */
DTEST_WORLD(Random, ManualSeed, 1, 3) {
  dtensor_mesh *mesh = NULL;
  REQUIRE_OK(world_line(world, &mesh));
  const dtensor_placement whole[] = {dtensor_replicate()};
  double first[2], value[2];
  dtensor *x = NULL;
  for (int turn = 0; turn < 4; turn++) {
    dtensor_manual_seed(turn == 3 ? 8 : 7);
    if (turn == 1) { /* the second tensor is another one */
      REQUIRE_OK(dtensor_rand(mesh, DTENSOR_F32, 1, (int64_t[]){5}, whole, &x));
      dtensor_destroy(&x);
    }
    if (turn == 2)
      EXPECT_STATUS(DTENSOR_EDTYPE, dtensor_rand(mesh, DTENSOR_I32, 1, (int64_t[]){2}, whole, &x));
    REQUIRE_OK(dtensor_rand(mesh, DTENSOR_F64, 1, (int64_t[]){2}, whole, &x));
    REQUIRE_OK(dtensor_full_tensor(x, turn == 0 ? first : value));
    dtensor_destroy(&x);
    if (turn > 0) EXPECT_NE(memcmp(first, value, sizeof first), 0);
  }
  dtensor_manual_seed(7);
  REQUIRE_OK(dtensor_rand(mesh, DTENSOR_F64, 1, (int64_t[]){2}, whole, &x));
  REQUIRE_OK(dtensor_full_tensor(x, value));
  EXPECT_MEMEQ(first, value, sizeof first);
  dtensor_destroy(&x);
  EXPECT_STATUS(DTENSOR_EDTYPE, dtensor_randn(mesh, DTENSOR_BF16, 1, (int64_t[]){2}, whole, &x));
  EXPECT_NULL(x);
  dtensor_mesh_destroy(&mesh);
}
