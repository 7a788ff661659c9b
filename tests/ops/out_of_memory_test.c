/* One rank runs out of memory in an operator that communicates: no rank hangs, and all of them
 * return the error. */
#include "dtensor/base/alloc.h"
#include "dtensor/dtensor.h"
#include "tests/harness/dtest.h"

enum { RANKS = 3, CALLS = 6, ALLOCATIONS = 6 };

static dtensor_status outcome[RANKS];

static dtensor *ones(dtensor_mesh *mesh, const char *placement) {
  dtensor_placement p;
  dtensor *x = NULL;
  EXPECT_OK(dtensor_placements_parse(placement, 1, &p));
  EXPECT_OK(dtensor_ones(mesh, DTENSOR_F64, 2, (int64_t[]){6, 6}, &p, &x));
  return x;
}

static dtensor_status call(int which, dtensor_mesh *mesh, int fail_after) {
  dtensor *rows = ones(mesh, "S(0)"), *columns = ones(mesh, "S(1)"), *sum = ones(mesh, "P");
  dtensor *whole = ones(mesh, "R"), *y = NULL;
  int equal = 0;
  dtensor_status status = DTENSOR_OK;
  dti_alloc_fail_after(fail_after);
  switch (which) {
    case 0:
      status = dtensor_matmul(rows, rows, &y);
      break;
    case 1:
      status = dtensor_norm(rows, 0, NULL, 0, &y);
      break;
    case 2:
      status = dtensor_relu(sum, &y);
      break;
    case 3:
      status = dtensor_add(rows, columns, &y);
      break;
    case 4:
      status = dtensor_equal(sum, whole, &equal);
      break;
    default:
      status = dtensor_max(sum, 1, (const int[]){0}, 0, &y);
      break;
  }
  dti_alloc_fail_after(-1);
  if (status != DTENSOR_OK) EXPECT_NULL(y);
  dtensor_destroy(&y);
  dtensor_destroy(&whole);
  dtensor_destroy(&sum);
  dtensor_destroy(&columns);
  dtensor_destroy(&rows);
  return status;
}

static dtensor_status body(dtensor_sim *sim, void *ctx) {
  const int *which_after = ctx;
  const int rank = dtensor_sim_rank(sim);
  dtensor_mesh *mesh = NULL;
  dtest_set_sim_rank(rank, RANKS);
  SIM_REQUIRE_OK(dtensor_sim_init_device_mesh(sim, 1, (int64_t[]){-1}, NULL, &mesh));
  outcome[rank] = call(which_after[0], mesh, rank == 1 ? which_after[1] : -1);
  dtensor_mesh_destroy(&mesh);
  return DTENSOR_OK;
}

DTEST(OutOfMemory, AllRanksReturnTheError) {
  int failures = 0;
  for (int which = 0; which < CALLS; which++)
    for (int after = 0; after < ALLOCATIONS; after++) {
      REQUIRE_OK(dtensor_sim_run(RANKS, body, (int[]){which, after}));
      failures += outcome[1] != DTENSOR_OK;
      for (int rank = 0; rank < RANKS; rank++) EXPECT_EQ(outcome[rank], outcome[1]);
    }
  EXPECT_GE(failures, CALLS);
}
