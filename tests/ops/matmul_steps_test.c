/* A product in steps of k, of which the ranks of a node do not take equally many. */
#include <stdlib.h>

#include "dtensor/dtensor.h"
#include "tests/harness/world.h"

enum { RANKS = 6, K = 92, M = 24 };

static const int64_t rows_of[RANKS] = {40, 25, 19, 5, 0, 3};

/* Split along k, and upside down: BLAS cannot read it where it lies. */
static dtensor_status make_a(dtensor_mesh *mesh, int rank, double *block, dtensor **a) {
  const int64_t rows = rows_of[rank];
  const dtensor_placement p[] = {dtensor_partial(DTENSOR_PRODUCT), /* of one value */
                                 dtensor_shard_sizes(0, rows_of)};
  const dtensor_local local = {.data = rows > 0 ? block + rows - 1 : block,
                               .ndim = 2,
                               .shape = {rows, M},
                               .stride = {-1, rows + 1},
                               .own = DTENSOR_BORROW};
  return dtensor_from_local(mesh, DTENSOR_F64, &local, p, (int64_t[]){K, M}, a);
}

/* Each rank turns its part of a, as much at a time as it may; the rank that has nothing of it is
 * done at once, and does not come to a meeting in the middle. The meeting at the begin is for b,
 * which has no columns, but other placements than the product wants. */
DTEST_NODES(Steps, AreTheRanksOwnWhereNothingTravels, {RANKS, RANKS}) {
  if (world->size != RANKS) return;
  dtensor_mesh *mesh = NULL;
  dtensor *a = NULL, *b = NULL, *c = NULL;
  double *block = calloc((size_t)((K + 1) * M), sizeof *block);
  dtensor_placement from[2], to[2];
  REQUIRE_TRUE(block != NULL);
  REQUIRE_OK(world_mesh(world, 2, (int64_t[]){1, RANKS}, NULL, &mesh));
  REQUIRE_OK(make_a(mesh, world->rank, block, &a));
  REQUIRE_OK(dtensor_placements_parse("SC(0,5),SS(1,4)", 2, from));
  REQUIRE_OK(dtensor_placements_parse("S(0),R", 2, to));
  REQUIRE_OK(dtensor_zeros(mesh, DTENSOR_F64, 2, (int64_t[]){K, 0}, from, &b));
  const dtensor_matmul_opts opts = {
      .a_form = DTENSOR_TRANSPOSED, .placements = to, .max_bytes = 1000};
  dtensor_matmul_info info;
  EXPECT_OK(dtensor_explain_matmul(a, b, &opts, &info, NULL, 0));
  EXPECT_EQ(info.steps, rows_of[world->rank] > 0 ? 8 : 1); /* of 5 rows and 24 columns of f64 */
  EXPECT_OK(dtensor_matmul_ex(a, b, &opts, &c));
  EXPECT_EQ(c ? dtensor_size(c, 0) : -1, M);
  EXPECT_EQ(c ? dtensor_size(c, 1) : -1, 0);
  dtensor_destroy(&c);
  dtensor_destroy(&b);
  dtensor_destroy(&a);
  dtensor_mesh_destroy(&mesh);
  free(block);
}
