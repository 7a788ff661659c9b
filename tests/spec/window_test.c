/* Windows in a segment: each element of a shard is where the global order says. */
#include "dtensor/spec/window.h"

#include "dtensor/spec/axis.h"
#include "tests/harness/dtest.h"

enum { ROWS = 7, COLUMNS = 5 };

static dti_layout layout_of(const int64_t mesh[], const char *p) {
  dtensor_placement placements[2];
  dti_layout layout;
  EXPECT_OK(dtensor_placements_parse(p, 2, placements));
  EXPECT_OK(dti_layout_init(&layout, 2, (int64_t[]){ROWS, COLUMNS}, 2, mesh, placements));
  return layout;
}

/* Against the segment itself: what a rank would hold with R on the dimensions of the node. */
static void check_window(const dti_layout *layout, unsigned node_dims, const int64_t coord[]) {
  dti_layout whole = *layout;
  for (int m = 0; m < 2; m++)
    if (node_dims >> m & 1u) whole.p[m] = dtensor_replicate();
  int64_t shape[2], segment[2], stride[2];
  dti_layout_local(layout, coord, shape, NULL);
  dti_layout_local(&whole, coord, segment, NULL);
  EXPECT_EQ(dti_window_segment_elements(layout, node_dims, coord), segment[0] * segment[1]);
  const int64_t first = dti_window_of(layout, node_dims, coord, stride);
  EXPECT_EQ(stride[1], 1);
  EXPECT_EQ(stride[0], segment[1] > 0 ? segment[1] : 1);
  const dti_axis rows = dti_axis_of(layout, 0), columns = dti_axis_of(layout, 1);
  const dti_axis all_rows = dti_axis_of(&whole, 0), all_columns = dti_axis_of(&whole, 1);
  for (int64_t i = 0; i < shape[0]; i++)
    for (int64_t j = 0; j < shape[1]; j++) {
      const int64_t at = first + i * stride[0] + j * stride[1];
      EXPECT_EQ(dti_axis_global(&all_rows, coord, at / segment[1], NULL),
                dti_axis_global(&rows, coord, i, NULL));
      EXPECT_EQ(dti_axis_global(&all_columns, coord, at % segment[1], NULL),
                dti_axis_global(&columns, coord, j, NULL));
    }
}

/* R on the node, no split of what it has split before, and runs. */
DTEST(Window, IsWhereTheGlobalOrderSays) {
  static const struct {
    int64_t mesh[2];
    const char *p;
    unsigned node_dims;
    int fits, is_replica;
  } cases[] = {
      {{2, 3}, "S0,S1", 3, 1, 0},         {{2, 3}, "S0,S0", 3, 1, 0},
      {{2, 3}, "S0,S0", 2, 1, 0},         {{2, 3}, "S0,S0", 1, 0, 0},
      {{2, 3}, "S0,R", 3, 1, 1},          {{2, 3}, "S0,R", 1, 1, 0},
      {{2, 3}, "S0,R", 2, 1, 1},          {{2, 3}, "SC(0,2),S0", 2, 1, 0},
      {{2, 3}, "SC(0,2),SB(1)", 2, 1, 0}, {{2, 3}, "S1,SC(0,2)", 2, 0, 0},
      {{2, 3}, "P,S1", 2, 1, 0},          {{2, 3}, "P,S1", 1, 0, 0},
      {{2, 3}, "SS(0,2),R", 1, 0, 0},     {{1, 4}, "SC(0,2),S0", 2, 1, 0},
      {{9, 1}, "S0,P", 1, 1, 0},          {{4, 3}, "S1,SB(1)", 2, 1, 0},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    const dti_layout layout = layout_of(cases[i].mesh, cases[i].p);
    if (!EXPECT_EQ(dti_window_fits(&layout, cases[i].node_dims), cases[i].fits))
      dtest_fail(__FILE__, __LINE__, "%s", cases[i].p);
    if (!cases[i].fits) continue;
    EXPECT_EQ(dti_window_is_replica(&layout, cases[i].node_dims), cases[i].is_replica);
    for (int64_t r = 0; r < cases[i].mesh[0]; r++)
      for (int64_t c = 0; c < cases[i].mesh[1]; c++)
        check_window(&layout, cases[i].node_dims, (int64_t[]){r, c});
  }
}

DTEST(Window, SameSegment) {
  const int64_t mesh[] = {2, 3};
  const dti_layout a = layout_of(mesh, "S0,S1"), b = layout_of(mesh, "S0,R"),
                   c = layout_of(mesh, "R,S1");
  EXPECT_TRUE(dti_window_same_segment(&a, &b, 2));
  EXPECT_FALSE(dti_window_same_segment(&a, &b, 1));
  EXPECT_TRUE(dti_window_same_segment(&a, &c, 1));
  EXPECT_FALSE(dti_window_same_segment(&b, &c, 1));
  EXPECT_TRUE(dti_window_same_segment(&b, &c, 3));
}
