/* What a budget is compared with is never less than what a rank needs, on any rank; and where it is
 * easy to say what that is, it is that. */
#include "dtensor/spec/buffers.h"

#include "dtensor/spec/axis.h"
#include "tests/spec/plan_case.h"

static const int64_t meshes[][3] = {{6, 1, 1}, {2, 3, 1}, {3, 2, 1},
                                    {4, 4, 1}, {2, 2, 2}, {5, 1, 2}};
static const int64_t shapes[][2] = {{117, 1}, {13, 22}, {1, 40}, {64, 48}, {5, 3}, {0, 7}};
enum { MESHES = sizeof meshes / sizeof *meshes, SHAPES = sizeof shapes / sizeof *shapes };

/* A pseudo-random placement of each kind that a step can begin or end with. */
static dtensor_placement placement_of(uint32_t *random, int64_t parts, int *sized, int64_t sizes[],
                                      const int64_t shape[]) {
  *random = *random * 1664525u + 1013904223u;
  const uint32_t bits = *random >> 8;
  const int dim = (int)(bits >> 4 & 1u);
  switch (bits % 16) {
    case 0:
    case 1:
    case 2:
      return dtensor_shard(dim);
    case 3:
    case 4:
      return dtensor_shard_balanced(dim);
    case 5:
      return dtensor_shard_cyclic(dim, 1 + bits / 32 % 5);
    case 6:
      return dtensor_strided_shard(dim, 1 + bits / 32 % 4);
    case 7:
      if (*sized >> dim & 1) return dtensor_shard(dim);
      for (int64_t i = 0; i < parts; i++) sizes[i] = i == 1 % parts ? shape[dim] / 2 : 0;
      sizes[parts - 1] += shape[dim] - (shape[dim] / 2);
      return dtensor_shard_sizes(dim, sizes);
    case 8:
    case 9:
    case 10:
      return dtensor_partial(DTENSOR_SUM);
    case 11:
      return dtensor_partial(DTENSOR_AVG);
    default:
      return dtensor_replicate();
  }
}

typedef struct sizes {
  int64_t of[3][8];
} sizes;

static dti_layout random_layout(uint32_t *random, const int64_t mesh[], const int64_t shape[],
                                sizes *room) {
  dti_layout layout;
  dtensor_placement p[3];
  int split = 0;
  for (int m = 0; m < 3; m++) {
    p[m] = placement_of(random, mesh[m], &split, room->of[m], shape);
    if (dti_placement_is_shard(p[m])) split |= 1 << p[m].dim;
  }
  if (dti_layout_init(&layout, 2, shape, 3, mesh, p) == DTENSOR_OK) return layout;
  return layout_of(2, shape, 3, mesh, "R,R,R");
}

static void check(const dti_layout *from, const dti_layout *to) {
  const dtensor_machine machine = dtensor_machine_default();
  const dti_question question = {.from = from,
                                 .to = to,
                                 .same_mesh = 1,
                                 .element = 8,
                                 .machine = &machine,
                                 .topology = {.ranks_per_node = 1}};
  const int64_t ranks = dti_numel(from->mesh_ndim, from->mesh);
  const dti_way_ends ends = {.from = from,
                             .to = to,
                             .same_mesh = 1,
                             .from_ranks = ranks,
                             .to_ranks = ranks,
                             .ranks_per_node = 1,
                             .sums_at_once = 1};
  static dti_way way;
  dti_way_of_route(&ends, &(dti_route){.steps = 1, .step = {{.to = *to}}}, &way);
  const dti_buffers most = dti_step_buffers(&question, &ends, &way, 0, DTI_ENGINE_DIRECT);
  for (int64_t place = 0; place < ranks; place++) {
    dti_volume v;
    int64_t coord[DTENSOR_MAX_NDIM], shape[DTENSOR_MAX_NDIM];
    REQUIRE_OK(dti_volume_of(
        &(dti_exchange_ends){
            .from = from, .to = to, .from_place = place, .to_place = place, .same_mesh = 1},
        1, &v));
    dti_mesh_unravel(to->mesh_ndim, to->mesh, place, coord);
    dti_layout_local(to, coord, shape, NULL);
    bool ok = EXPECT_LE(v.far_in.scattered * 8, most.received);
    ok = EXPECT_LE(v.far_out.scattered * 8, most.sent) && ok;
    ok = EXPECT_LE(v.far_in.messages, most.receive_peers) && ok;
    ok = EXPECT_LE(v.far_out.messages, most.send_peers) && ok;
    for (int d = 0; d < to->ndim; d++) {
      const dti_axis axis = dti_axis_of(to, d);
      ok = EXPECT_LE(shape[d], dti_axis_most(&axis)) && ok;
    }
    if (ok) continue;
    char a[200], b[200];
    dtest_fail(__FILE__, __LINE__, "%s -> %s at %lld", dti_layout_text(from, a, sizeof a),
               dti_layout_text(to, b, sizeof b), (long long)place);
    return;
  }
}

DTEST(Buffers, NoRankNeedsMore) {
  uint32_t random = 1;
  for (int round = 0; round < 300; round++)
    for (int m = 0; m < MESHES; m++)
      for (int s = 0; s < SHAPES; s++) {
        sizes before, after;
        const dti_layout from = random_layout(&random, meshes[m], shapes[s], &before);
        const dti_layout to = random_layout(&random, meshes[m], shapes[s], &after);
        check(&from, &to);
      }
}

typedef struct expected {
  const char *from, *to;
  int64_t sent, received; /* in elements of a matrix of 48 x 48 on 2 x 3 ranks */
} expected;

DTEST(Buffers, WhatLiesTogetherNeedsNone) {
  static const expected cases[] = {
      {"S0,R", "R,R", 0, 0},
      {"S0,S0", "R,R", 0, 0},
      {"S0,R", "S1,R", 24 * 24, 0},              /* columns are sent, rows come */
      {"S1,R", "S0,R", 0, 24 * 24},              /* and the other way round */
      {"R,S1", "R,R", 0, 2 * 48 * 16},           /* whole arrays are sent */
      {"P,R", "S0,R", 0, 24 * 48},               /* added up from one other rank */
      {"R,P", "R,S1", 2 * 48 * 16, 2 * 48 * 16}, /* or from two */
      {"SC(0,1),R", "S0,R", 24 * 48, 24 * 48},   /* every other row */
  };
  const int64_t mesh[] = {2, 3}, shape[] = {48, 48};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    const dti_layout from = layout_of(2, shape, 2, mesh, cases[i].from);
    const dti_layout to = layout_of(2, shape, 2, mesh, cases[i].to);
    const dti_question question = {.from = &from, .to = &to, .same_mesh = 1, .element = 1};
    const dti_way_ends ends = {.from = &from, .to = &to, .same_mesh = 1};
    static dti_way way;
    dti_way_of_route(&ends, &(dti_route){.steps = 1, .step = {{.to = to}}}, &way);
    const dti_buffers most = dti_step_buffers(&question, &ends, &way, 0, DTI_ENGINE_DIRECT);
    if (!EXPECT_EQ(most.sent, cases[i].sent) || !EXPECT_EQ(most.received, cases[i].received))
      dtest_fail(__FILE__, __LINE__, "%s -> %s", cases[i].from, cases[i].to);
    /* A source that is not packed has to be. */
    dti_question strided = question;
    strided.is_strided = 1;
    EXPECT_GT(dti_step_buffers(&strided, &ends, &way, 0, DTI_ENGINE_DIRECT).sent, 0);
    /* Neighbours read each other's memory. */
    dti_question near = question;
    near.topology.shared_memory = 1;
    near.inside_nodes = 3;
    const dti_buffers none = dti_step_buffers(&near, &ends, &way, 0, DTI_ENGINE_DIRECT);
    EXPECT_EQ(dti_buffers_bytes(&none, 0), 0);
  }
}

/* Shorter messages need less, down to the shortest. */
DTEST(Buffers, CutsFitTheBudget) {
  const int64_t mesh[] = {4, 4}, shape[] = {1 << 12, 1 << 12};
  const dti_layout from = layout_of(2, shape, 2, mesh, "S0,S0");
  const dti_layout to = layout_of(2, shape, 2, mesh, "S1,S1");
  const dti_way_ends ends = {.from = &from, .to = &to, .same_mesh = 1};
  static dti_way way;
  dti_way_of_route(&ends, &(dti_route){.steps = 1, .step = {{.to = to}}}, &way);
  dti_question question = {.from = &from, .to = &to, .same_mesh = 1, .element = 8};
  const int64_t whole = dti_way_budget(&question, &ends, &way, way.step).bytes;
  EXPECT_EQ(whole, 15 * (1 << 24) / 256 * 8); /* columns are packed */
  question.max_bytes = whole;
  EXPECT_EQ(dti_way_budget(&question, &ends, &way, way.step).cut, 0);
  int64_t cut = whole;
  for (question.max_bytes = whole - 1; question.max_bytes > 0; question.max_bytes /= 2) {
    const dti_budget budget = dti_way_budget(&question, &ends, &way, way.step);
    if (!budget.fits) {
      EXPECT_GT(budget.bytes, question.max_bytes);
      EXPECT_EQ(budget.bytes, 15 * DTI_CUT_WINDOW * DTI_CUT_BYTES);
      continue;
    }
    EXPECT_GE(budget.cut, DTI_CUT_BYTES);
    EXPECT_LE(budget.cut, cut);
    EXPECT_LE(budget.bytes, question.max_bytes);
    EXPECT_GT(budget.bytes + 15 * DTI_CUT_WINDOW * 16,
              question.max_bytes); /* no less than it can */
    cut = budget.cut;
  }
}
