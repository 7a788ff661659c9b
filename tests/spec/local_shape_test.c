#include <dtensor/placement.h>

#include "tests/harness/dtest.h"

/* The parts of one dimension of n over p coordinates. */
static void expect_parts(dtensor_placement placement, int64_t n, int64_t p, const int64_t length[],
                         const int64_t offset[]) {
  for (int64_t c = 0; c < p; c++) {
    int64_t local = -1, start = -1;
    REQUIRE_OK(dtensor_compute_local_shape_and_global_offset(1, &p, &c, 1, &n, &placement, &local,
                                                             &start));
    EXPECT_EQ(local, length[c]);
    EXPECT_EQ(start, offset[c]);
  }
}

#define INTS(...) ((const int64_t[]){__VA_ARGS__})

DTEST(LocalShape, KnownSplits) {
  expect_parts(dtensor_shard(0), 5, 4, INTS(2, 2, 1, 0), INTS(0, 2, 4, 5));
  expect_parts(dtensor_shard(-1), 5, 4, INTS(2, 2, 1, 0), INTS(0, 2, 4, 5));
  expect_parts(dtensor_shard(0), 0, 3, INTS(0, 0, 0), INTS(0, 0, 0));
  expect_parts(dtensor_shard(0), 2, 4, INTS(1, 1, 0, 0), INTS(0, 1, 2, 2));
  expect_parts(dtensor_shard_balanced(0), 5, 4, INTS(2, 1, 1, 1), INTS(0, 2, 3, 4));
  expect_parts(dtensor_shard_balanced(0), 2, 4, INTS(1, 1, 0, 0), INTS(0, 1, 2, 2));
  expect_parts(dtensor_shard_sizes(0, INTS(0, 3, 0, 5)), 8, 4, INTS(0, 3, 0, 5), INTS(0, 0, 3, 3));
  expect_parts(dtensor_shard_cyclic(0, 2), 9, 3, INTS(4, 3, 2), INTS(0, 2, 4));
  expect_parts(dtensor_shard_cyclic(0, 4), 5, 3, INTS(4, 1, 0), INTS(0, 4, 5));
  /* 10 in pieces of 5 and 5; each piece over 2 is 3 and 2 */
  expect_parts(dtensor_strided_shard(0, 2), 10, 2, INTS(6, 4), INTS(0, 3));
  /* 17 in pieces of 9 and 8; 9 over 8 is 2 2 2 2 1 0 0 0, and 8 over 8 is 1 each */
  expect_parts(dtensor_strided_shard(0, 2), 17, 8, INTS(3, 3, 3, 3, 2, 1, 1, 1),
               INTS(0, 2, 4, 6, 8, 14, 15, 16));
  expect_parts(dtensor_replicate(), 7, 2, INTS(7, 7), INTS(0, 0));
  expect_parts(dtensor_partial(DTENSOR_MAX), 7, 2, INTS(7, 7), INTS(0, 0));
}

DTEST(LocalShape, HugeSizesDoNotOverflow) {
  const int64_t n = INT64_MAX, p = INT64_MAX / 2, last = p - 1;
  const dtensor_placement placements[] = {
      dtensor_shard(0), dtensor_shard_balanced(0), dtensor_shard_cyclic(0, INT64_MAX / 3),
      dtensor_strided_shard(0, INT64_MAX), dtensor_strided_shard(0, 2)};
  for (int i = 0; i < 5; i++) {
    int64_t local, start, owner, index;
    EXPECT_OK(dtensor_compute_local_shape_and_global_offset(1, &p, &last, 1, &n, &placements[i],
                                                            &local, &start));
    EXPECT_TRUE(local >= 0 && start >= 0 && start <= n);
    EXPECT_OK(dtensor_compute_owner(1, &p, 1, &n, &placements[i], 0, n - 1, &owner, &index));
    EXPECT_TRUE(owner >= 0 && owner < p && index >= 0);
  }
}

DTEST(LocalShape, ScalarsAndErrors) {
  const int64_t mesh[] = {2, 2}, coord[] = {1, 1}, outside[] = {1, 2}, shape[] = {4};
  const dtensor_placement replicated[] = {dtensor_replicate(), dtensor_replicate()};
  int64_t local[1], offset[1];
  EXPECT_OK(dtensor_compute_local_shape_and_global_offset(2, mesh, coord, 0, NULL, replicated, NULL,
                                                          NULL));
  EXPECT_STATUS(DTENSOR_EINVAL, dtensor_compute_local_shape_and_global_offset(
                                    2, mesh, outside, 1, shape, replicated, local, offset));
  EXPECT_CONTAINS(
      dtensor_last_error(),
      "dtensor_compute_local_shape_and_global_offset: coordinate 2 on mesh dimension 1");
  EXPECT_STATUS(DTENSOR_EINVAL, dtensor_compute_local_shape_and_global_offset(
                                    2, mesh, NULL, 1, shape, replicated, local, offset));
  EXPECT_STATUS(DTENSOR_EINVAL, dtensor_compute_local_shape_and_global_offset(
                                    2, mesh, coord, 1, shape, replicated, NULL, offset));
  EXPECT_STATUS(DTENSOR_EINVAL, dtensor_compute_local_shape_and_global_offset(
                                    2, NULL, coord, 1, shape, replicated, local, offset));
}

DTEST(LocalShape, GlobalShape) {
  const int64_t mesh[] = {2, 3}, local[] = {4, 5};
  const dtensor_placement p[] = {dtensor_shard(0), dtensor_shard(-2)},
                          q[] = {dtensor_shard(1), dtensor_partial(DTENSOR_SUM)},
                          bad[] = {dtensor_shard(2), dtensor_replicate()};
  int64_t shape[2];
  EXPECT_OK(dtensor_compute_global_shape(2, mesh, 2, local, p, shape));
  EXPECT_MEMEQ(shape, INTS(24, 5), sizeof shape);
  EXPECT_OK(dtensor_compute_global_shape(2, mesh, 2, local, q, shape));
  EXPECT_MEMEQ(shape, INTS(4, 10), sizeof shape);
  EXPECT_STATUS(DTENSOR_EPLACEMENT, dtensor_compute_global_shape(2, mesh, 2, local, bad, shape));
  EXPECT_STATUS(DTENSOR_EINVAL,
                dtensor_compute_global_shape(2, mesh, 2, INTS(INT64_MAX / 2, 1), p, shape));
  EXPECT_STATUS(DTENSOR_EINVAL, dtensor_compute_global_shape(2, mesh, 2, local, NULL, shape));
  EXPECT_OK(dtensor_compute_global_shape(
      2, mesh, 0, NULL, (dtensor_placement[]){dtensor_replicate(), dtensor_replicate()}, NULL));
}

DTEST(LocalShape, Owner) {
  const int64_t mesh[] = {2, 3, 2}, shape[] = {5, 7};
  const dtensor_placement p[] = {dtensor_shard(1), dtensor_replicate(), dtensor_shard_cyclic(1, 1)};
  int64_t coord[3], local;
  /* dimension 1: 4 and 3; index 5 is 1 of the second run, so on coordinate 1 as its 0 */
  EXPECT_OK(dtensor_compute_owner(3, mesh, 2, shape, p, 1, 5, coord, &local));
  EXPECT_MEMEQ(coord, INTS(1, -1, 1), sizeof coord);
  EXPECT_EQ(local, 0);
  EXPECT_OK(dtensor_compute_owner(3, mesh, 2, shape, p, -2, 4, coord, &local));
  EXPECT_MEMEQ(coord, INTS(-1, -1, -1), sizeof coord);
  EXPECT_EQ(local, 4);
  EXPECT_STATUS(DTENSOR_EINVAL, dtensor_compute_owner(3, mesh, 2, shape, p, 1, 7, coord, &local));
  EXPECT_STATUS(DTENSOR_EINVAL, dtensor_compute_owner(3, mesh, 2, shape, p, 1, -1, coord, &local));
  EXPECT_STATUS(DTENSOR_EINVAL, dtensor_compute_owner(3, mesh, 2, shape, p, 2, 0, coord, &local));
  EXPECT_STATUS(DTENSOR_EINVAL, dtensor_compute_owner(3, mesh, 2, shape, p, 1, 0, coord, NULL));
}
