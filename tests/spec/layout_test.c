#include "dtensor/spec/layout.h"

#include <string.h>

#include "dtensor/spec/placement_text.h"
#include "tests/harness/dtest.h"

#define INTS(...) ((const int64_t[]){__VA_ARGS__})
#define PLACEMENTS(...) ((const dtensor_placement[]){__VA_ARGS__})

static dti_layout layout_of(const char *placements, int ndim, const int64_t shape[], int mesh_ndim,
                            const int64_t mesh[]) {
  dtensor_placement p[DTENSOR_MAX_NDIM];
  dti_layout layout = {0};
  EXPECT_OK(dtensor_placements_parse(placements, mesh_ndim, p));
  EXPECT_OK(dti_layout_init(&layout, ndim, shape, mesh_ndim, mesh, p));
  return layout;
}

DTEST(Layout, NormalisesPlacements) {
  const int64_t sizes[] = {3, 4, 0};
  const dtensor_placement p[] = {dtensor_shard(-1), dtensor_shard_sizes(-2, sizes)};
  dti_layout layout;
  REQUIRE_OK(dti_layout_init(&layout, 2, INTS(7, 5), 2, INTS(2, 3), p));
  EXPECT_EQ(layout.p[0].dim, 1);
  EXPECT_EQ(layout.p[1].dim, 0);
  EXPECT_EQ(layout.p[1].count, 3);
  EXPECT_EQ(layout.order[1], 1);
  char text[64];
  EXPECT_STREQ(dti_layout_text(&layout, text, sizeof text), "[7,5] S(1),SZ(0,[3,4,0]) on (2,3)");
  EXPECT_STREQ(dti_layout_text(&layout, text, 9), "[7,5] S(");
}

DTEST(Layout, TextOfAScalar) {
  const dti_layout layout = layout_of("P(max)", 0, NULL, 1, INTS(1));
  char text[64];
  EXPECT_STREQ(dti_layout_text(&layout, text, sizeof text), "[] P(max) on (1)");
  EXPECT_EQ(dti_numel(0, NULL), 1);
}

DTEST(Layout, RefusesBadShapesAndMeshes) {
  const dtensor_placement r[DTENSOR_MAX_NDIM + 1] = {0};
  const int64_t many[] = {1, 1, 1, 1, 1, 1, 1, 1, 1}, big = INT64_C(1) << 32;
  dti_layout l;
  EXPECT_STATUS(DTENSOR_EINVAL, dti_layout_init(&l, 1, INTS(-1), 1, INTS(2), r));
  EXPECT_STATUS(DTENSOR_EINVAL, dti_layout_init(&l, 9, many, 1, INTS(2), r));
  EXPECT_STATUS(DTENSOR_EINVAL, dti_layout_init(&l, -1, many, 1, INTS(2), r));
  EXPECT_STATUS(DTENSOR_EINVAL, dti_layout_init(&l, 1, NULL, 1, INTS(2), r));
  EXPECT_STATUS(DTENSOR_EINVAL, dti_layout_init(&l, 2, INTS(big, big), 1, INTS(2), r));
  EXPECT_CONTAINS(dtensor_last_error(), "more than 2^63-1 elements");
  EXPECT_STATUS(DTENSOR_EINVAL, dti_layout_init(&l, 1, INTS(1), 1, INTS(0), r));
  EXPECT_STATUS(DTENSOR_EINVAL, dti_layout_init(&l, 1, INTS(1), 0, INTS(1), r));
  EXPECT_STATUS(DTENSOR_EINVAL, dti_layout_init(&l, 1, INTS(1), 9, many, r));
  EXPECT_STATUS(DTENSOR_EINVAL, dti_layout_init(&l, 1, INTS(1), 2, INTS(big, big), r));
  EXPECT_STATUS(DTENSOR_EINVAL, dti_layout_init(&l, 1, INTS(1), 1, INTS(1), NULL));
  EXPECT_OK(dti_layout_init(&l, 8, many, 8, many, r));
  EXPECT_OK(dti_layout_init(&l, 1, INTS(INT64_MAX), 1, INTS(2), r));
}

static void expect_refused(int mesh_ndim, const int64_t mesh[], const dtensor_placement p[],
                           const char *message) {
  dti_layout layout;
  EXPECT_STATUS(DTENSOR_EPLACEMENT, dti_layout_init(&layout, 2, INTS(10, 4), mesh_ndim, mesh, p));
  EXPECT_CONTAINS(dtensor_last_error(), message);
}

DTEST(Layout, RefusesBadPlacements) {
  expect_refused(1, INTS(2), PLACEMENTS(dtensor_shard(2)), "placement 0, S(2), shards a dimension");
  expect_refused(1, INTS(2), PLACEMENTS(dtensor_shard(-3)), "placement 0, S(-3), shards");
  expect_refused(2, INTS(2, 2), PLACEMENTS(dtensor_replicate(), dtensor_shard_cyclic(0, 0)),
                 "placement 1, SC(0,0), needs a block size of at least 1");
  expect_refused(1, INTS(2), PLACEMENTS(dtensor_strided_shard(0, -1)), "a split factor");
  expect_refused(2, INTS(2, 2),
                 PLACEMENTS(dtensor_partial(DTENSOR_SUM), dtensor_partial(DTENSOR_MAX)),
                 "different reductions, sum and max");
  expect_refused(1, INTS(2), PLACEMENTS({.kind = (dtensor_placement_kind)42}), "unknown kind 42");
  expect_refused(1, INTS(2), PLACEMENTS(dtensor_partial((dtensor_reduce_op)9)), "reduction 9");
  expect_refused(1, INTS(2), PLACEMENTS({.kind = DTI_OWNED}), "unknown kind 100");
  dti_layout l;
  EXPECT_OK(
      dti_layout_init(&l, 0, NULL, 2, INTS(2, 2),
                      PLACEMENTS(dtensor_partial(DTENSOR_SUM), dtensor_partial(DTENSOR_AVG))));
}

DTEST(Layout, ChecksExplicitSizes) {
  expect_refused(1, INTS(2), PLACEMENTS(dtensor_shard_sizes(0, NULL)), "sizes NULL");
  expect_refused(1, INTS(2), PLACEMENTS(dtensor_shard_sizes(0, INTS(-1, 11))),
                 "coordinate 0 the negative size -1");
  expect_refused(1, INTS(2), PLACEMENTS(dtensor_shard_sizes(0, INTS(5, 6))),
                 "add up to 11, but the length of dimension 0 that they split is 10");
  expect_refused(1, INTS(2), PLACEMENTS(dtensor_shard_sizes(0, INTS(INT64_MAX, 1))), "2^63-1");
  dtensor_placement counted = dtensor_shard_sizes(0, INTS(5, 5));
  counted.count = 3;
  expect_refused(1, INTS(2), &counted, "3 sizes for a mesh dimension of 2");
  /* 10 over 3 is 4, 4, 2: no sizes fit all of them */
  expect_refused(2, INTS(3, 2), PLACEMENTS(dtensor_shard(0), dtensor_shard_sizes(0, INTS(1, 3))),
                 "is 2 for some coordinates");
  expect_refused(2, INTS(2, 2),
                 PLACEMENTS(dtensor_shard_sizes(0, INTS(4, 6)), dtensor_shard_sizes(0, INTS(2, 2))),
                 "is 6 for some coordinates");
  dti_layout l;
  EXPECT_OK(dti_layout_init(
      &l, 2, INTS(10, 4), 3, INTS(2, 2, 2),
      PLACEMENTS(dtensor_shard(0), dtensor_shard(1), dtensor_shard_sizes(0, INTS(1, 4)))));
  EXPECT_OK(dti_layout_init(&l, 1, INTS(10), 3, INTS(2, 2, 2),
                            PLACEMENTS(dtensor_shard_sizes(0, INTS(5, 5)), dtensor_replicate(),
                                       dtensor_shard_sizes(0, INTS(5, 0)))));
}

/* Nested checks follow distinct lengths, not ranks. */
DTEST(Layout, ChecksSizesOnAHugeMesh) {
  const int64_t mesh[] = {INT64_C(1) << 20, INT64_C(1) << 20, 2};
  dti_layout l;
  EXPECT_OK(dti_layout_init(
      &l, 1, INTS(INT64_C(3) << 40), 3, mesh,
      PLACEMENTS(dtensor_shard(0), dtensor_shard_balanced(0), dtensor_shard_sizes(0, INTS(1, 2)))));
  EXPECT_STATUS(DTENSOR_EPLACEMENT,
                dti_layout_init(&l, 1, INTS((INT64_C(3) << 40) - 1), 3, mesh,
                                PLACEMENTS(dtensor_shard_cyclic(0, 5), dtensor_shard_balanced(0),
                                           dtensor_shard_sizes(0, INTS(1, 2)))));
}

DTEST(Layout, Equality) {
  const int64_t mesh[] = {2, 3};
  const dti_layout a = layout_of("S(0),R", 2, INTS(7, 5), 2, mesh);
  dti_layout b = layout_of("S(-2),R", 2, INTS(7, 5), 2, mesh);
  EXPECT_TRUE(dti_layout_equal(&a, &b));
  b = layout_of("S(0),R", 2, INTS(7, 6), 2, mesh);
  EXPECT_FALSE(dti_layout_equal(&a, &b));
  b = layout_of("S(0),R", 2, INTS(7, 5), 2, INTS(3, 2));
  EXPECT_FALSE(dti_layout_equal(&a, &b));
  REQUIRE_OK(dti_layout_with(&a, PLACEMENTS(dtensor_replicate(), dtensor_shard(0)), &b));
  EXPECT_FALSE(dti_layout_equal(&a, &b));
  REQUIRE_OK(dti_layout_with(&b, a.p, &b)); /* in place */
  EXPECT_TRUE(dti_layout_equal(&a, &b));
  EXPECT_STATUS(DTENSOR_EPLACEMENT,
                dti_layout_with(&a, PLACEMENTS(dtensor_replicate(), dtensor_shard(5)), &b));
}

DTEST(Layout, IsLocal) {
  static const struct {
    const char *from, *to;
    int local;
  } rows[] = {
      {"S(0),R", "S(0),R", 1},    {"R,R", "S(0),S(1)", 1},        {"R,R", "P(max),S(0)", 1},
      {"S(0),R", "S(0),S(0)", 1}, {"S(0),R", "S(0),P", 1},        {"S(0),R", "P,R", 1},
      {"S(0),S(0)", "S(0),P", 1}, {"S(0),S(1)", "P,S(1)", 1},     {"S(0),R", "P,SC(0,2)", 1},
      {"P,R", "P,S(0)", 1},       {"P(max),R", "P(max),S(0)", 1}, {"S(0),R", "R,R", 0},
      {"P,R", "R,R", 0},          {"P,R", "P(avg),R", 0},         {"P,R", "S(0),R", 0},
      {"S(0),R", "S(1),R", 0},    {"S(0),S(0)", "P,S(0)", 0},     {"R,S(0)", "S(0),S(0)", 0},
      {"S(0),R", "SB(0),R", 0},   {"S(0),S(0)", "S(0),R", 0},     {"R,S(0)", "S(0),P", 1},
      {"S(0),R", "P(avg),R", 0},  {"R,R", "P(avg),R", 1},
  };
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    const dti_layout from = layout_of(rows[i].from, 2, INTS(12, 7), 2, INTS(2, 3));
    const dti_layout to = layout_of(rows[i].to, 2, INTS(12, 7), 2, INTS(2, 3));
    if (!EXPECT_EQ(dti_layout_is_local(&from, &to), rows[i].local))
      dtest_fail(__FILE__, __LINE__, "%s -> %s", rows[i].from, rows[i].to);
  }
  /* A mesh dimension of one rank splits and reduces nothing. */
  const dti_layout one = layout_of("S(0),P", 1, INTS(3), 2, INTS(1, 1));
  const dti_layout replicated = layout_of("R,R", 1, INTS(3), 2, INTS(1, 1));
  EXPECT_TRUE(dti_layout_is_local(&one, &replicated));
}

DTEST(Layout, OwnedIsNeverLocal) {
  const int64_t mesh[] = {2};
  const dti_layout replicated = layout_of("R", 1, INTS(3), 1, mesh);
  const dti_layout partial = layout_of("P", 1, INTS(3), 1, mesh);
  dti_layout owned = replicated;
  owned.p[0] = (dtensor_placement){.kind = DTI_OWNED, .param = 1};
  EXPECT_FALSE(dti_layout_is_local(&owned, &replicated));
  EXPECT_FALSE(dti_layout_is_local(&owned, &partial));
  EXPECT_FALSE(dti_layout_is_local(&partial, &owned));
  char text[32];
  EXPECT_STREQ(dti_layout_text(&owned, text, sizeof text), "[3] O(1) on (2)");
}

DTEST(Layout, MeshPlaces) {
  const int64_t mesh[] = {2, 3, 5};
  for (int64_t place = 0; place < 30; place++) {
    int64_t coord[3];
    dti_mesh_unravel(3, mesh, place, coord);
    EXPECT_EQ(coord[0] * 15 + coord[1] * 5 + coord[2], place);
    EXPECT_EQ(dti_mesh_linear(3, mesh, coord), place);
  }
}
