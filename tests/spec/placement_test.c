#include <dtensor/placement.h>
#include <string.h>

#include "tests/harness/dtest.h"

static void round_trip(const char *text, const char *canonical, int mesh_ndim) {
  dtensor_placement p[DTENSOR_MAX_NDIM], again[DTENSOR_MAX_NDIM];
  char written[128];
  REQUIRE_OK(dtensor_placements_parse(text, mesh_ndim, p));
  REQUIRE_OK(dtensor_placements_format(p, mesh_ndim, written, sizeof written));
  EXPECT_STREQ(written, canonical);
  REQUIRE_OK(dtensor_placements_parse(written, mesh_ndim, again));
  for (int m = 0; m < mesh_ndim; m++) EXPECT_TRUE(dtensor_placement_equal(p[m], again[m]));
}

DTEST(Placement, TextRoundTrips) {
  round_trip("R", "R", 1);
  round_trip("S(0),R", "S(0),R", 2);
  round_trip("S0,S12", "S(0),S(12)", 2);
  round_trip("S(-1)", "S(-1)", 1);
  round_trip("P,P(avg)", "P(sum),P(avg)", 2);
  round_trip("P(sum),P(avg),P(min),P(max),P(product),P(band),P(bor),P(bxor)",
             "P(sum),P(avg),P(min),P(max),P(product),P(band),P(bor),P(bxor)", 8);
  round_trip("SB(2),SC(0,64),SS(1,2)", "SB(2),SC(0,64),SS(1,2)", 3);
  round_trip("  S ( 0 ) ,\tSC( 1 , 9223372036854775807 ) , P ( max ) ",
             "S(0),SC(1,9223372036854775807),P(max)", 3);
}

DTEST(Placement, ParseMakesWhatConstructorsMake) {
  dtensor_placement p[5];
  REQUIRE_OK(dtensor_placements_parse("R,S(1),SC(0,3),SS(2,4),P(bor)", 5, p));
  EXPECT_TRUE(dtensor_placement_equal(p[0], dtensor_replicate()));
  EXPECT_TRUE(dtensor_placement_equal(p[1], dtensor_shard(1)));
  EXPECT_TRUE(dtensor_placement_equal(p[2], dtensor_shard_cyclic(0, 3)));
  EXPECT_TRUE(dtensor_placement_equal(p[3], dtensor_strided_shard(2, 4)));
  EXPECT_TRUE(dtensor_placement_equal(p[4], dtensor_partial(DTENSOR_BOR)));
}

DTEST(Placement, ParseErrorsShowThePlace) {
  static const struct {
    const char *text;
    int mesh_ndim;
    const char *message;
  } rows[] = {
      {"S(0),X", 2,
       "dtensor_placements_parse: placement 2 of \"S(0),X\": expected R, S, SB, SC, "
       "SS or P at position 5"},
      {"", 1, "placement 1 of \"\": expected R, S, SB, SC, SS or P at position 0"},
      {"r", 1, "expected R, S, SB, SC, SS or P at position 0"},
      {"SZ(0)", 1, "expected R, S, SB, SC, SS or P at position 0"},
      {"R,", 2, "placement 2 of \"R,\": expected R, S, SB, SC, SS or P at position 2"},
      {"R", 2, "placement 2 of \"R\": expected ',' at position 1"},
      {"R R", 2, "expected ',' at position 2"},
      {"R,R", 1, "placement 1 of \"R,R\": expected the end of the text at position 1"},
      {"S", 1, "expected '(' at position 1"},
      {"SB0", 1, "expected '(' at position 2"},
      {"S()", 1, "expected a dimension at position 2"},
      {"S(9999999999)", 1, "expected a dimension at position 2"},
      {"S(99999999999999999999)", 1, "expected a dimension at position 2"},
      {"S(0", 1, "expected ')' at position 3"},
      {"SC(0)", 1, "expected ',' at position 4"},
      {"SC(0,0)", 1, "expected a positive number at position 5"},
      {"SS(0,-2)", 1, "expected a positive number at position 5"},
      {"SC(0,x)", 1, "expected a positive number at position 5"},
      {"P(mean)", 1, "expected sum, avg, min, max, product, band, bor or bxor at position 2"},
      {"P()", 1, "expected sum, avg, min, max, product, band, bor or bxor at position 2"},
      {"P(sum", 1, "expected ')' at position 5"},
  };
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    dtensor_placement p[DTENSOR_MAX_NDIM];
    EXPECT_STATUS(DTENSOR_EINVAL, dtensor_placements_parse(rows[i].text, rows[i].mesh_ndim, p));
    EXPECT_CONTAINS(dtensor_last_error(), rows[i].message);
  }
}

DTEST(Placement, ParseRefusesBadArguments) {
  dtensor_placement p[DTENSOR_MAX_NDIM + 1];
  EXPECT_STATUS(DTENSOR_EINVAL, dtensor_placements_parse(NULL, 1, p));
  EXPECT_STATUS(DTENSOR_EINVAL, dtensor_placements_parse("R", 1, NULL));
  EXPECT_STATUS(DTENSOR_EINVAL, dtensor_placements_parse("R", 0, p));
  EXPECT_STATUS(DTENSOR_EINVAL, dtensor_placements_parse("R", DTENSOR_MAX_NDIM + 1, p));
}

DTEST(Placement, FormatCutsToFit) {
  const dtensor_placement p[] = {dtensor_shard(0), dtensor_replicate()};
  char text[16];
  EXPECT_OK(dtensor_placements_format(p, 2, text, 7));
  EXPECT_STREQ(text, "S(0),R");
  EXPECT_STATUS(DTENSOR_EINVAL, dtensor_placements_format(p, 2, text, 6));
  EXPECT_STREQ(text, "S(0),");
  EXPECT_STATUS(DTENSOR_EINVAL, dtensor_placements_format(p, 2, text, 3));
  EXPECT_STREQ(text, "S(");
  EXPECT_STATUS(DTENSOR_EINVAL, dtensor_placements_format(p, 2, text, 1));
  EXPECT_STREQ(text, "");
  EXPECT_STATUS(DTENSOR_EINVAL, dtensor_placements_format(p, 2, text, 0));
  EXPECT_STATUS(DTENSOR_EINVAL, dtensor_placements_format(p, 2, NULL, 16));
}

DTEST(Placement, FormatWritesSizes) {
  const int64_t sizes[] = {3, 0, 5};
  dtensor_placement p = dtensor_shard_sizes(0, sizes);
  char text[32];
  EXPECT_OK(dtensor_placements_format(&p, 1, text, sizeof text));
  EXPECT_STREQ(text, "SZ(0)");
  p.count = 3;
  EXPECT_OK(dtensor_placements_format(&p, 1, text, sizeof text));
  EXPECT_STREQ(text, "SZ(0,[3,0,5])");
}

DTEST(Placement, Equality) {
  const int64_t sizes[] = {1, 2, 3}, same[] = {1, 2, 3}, other[] = {1, 3, 2};
  const dtensor_placement distinct[] = {dtensor_replicate(),
                                        dtensor_shard(0),
                                        dtensor_shard(1),
                                        dtensor_shard_balanced(0),
                                        dtensor_shard_cyclic(0, 1),
                                        dtensor_shard_cyclic(0, 2),
                                        dtensor_strided_shard(0, 1),
                                        dtensor_strided_shard(0, 2),
                                        dtensor_partial(DTENSOR_SUM),
                                        dtensor_partial(DTENSOR_AVG),
                                        dtensor_shard_sizes(0, sizes),
                                        dtensor_shard_sizes(1, sizes),
                                        dtensor_shard_sizes(0, other)};
  const int n = sizeof distinct / sizeof distinct[0];
  for (int i = 0; i < n; i++)
    for (int j = 0; j < n; j++)
      EXPECT_EQ(dtensor_placement_equal(distinct[i], distinct[j]), i == j);

  dtensor_placement a = dtensor_shard_sizes(0, sizes), b = dtensor_shard_sizes(0, same);
  EXPECT_FALSE(dtensor_placement_equal(a, b)); /* of unknown count: by address */
  a.count = b.count = 3;
  EXPECT_TRUE(dtensor_placement_equal(a, b));
  b.count = 2;
  EXPECT_FALSE(dtensor_placement_equal(a, b));
  b = dtensor_shard_sizes(0, other);
  b.count = 3;
  EXPECT_FALSE(dtensor_placement_equal(a, b));
}
