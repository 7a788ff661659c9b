/* The ways that the planner considers: what each step of each of them does, on all places. */
#include "dtensor/spec/chain.h"
#include "dtensor/spec/confine.h"
#include "dtensor/spec/digits.h"
#include "tests/spec/plan_case.h"

static const char *const placements[] = {
    "R,R,R",           "S0,R,R",       "R,S0,R",     "R,R,S0",      "S0,S0,R",
    "S0,S0,S0",        "S0,S1,R",      "S1,S0,R",    "R,S1,S0",     "S1,S1,S0",
    "P,R,R",           "P,P,R",        "P,S0,R",     "S0,P,S1",     "P,P,P",
    "P(avg),R,P(avg)", "SC(0,2),R,S1", "SB(1),S1,P", "R,P(max),S0",
};
enum { PLACEMENTS = sizeof placements / sizeof *placements };

/* Where splits are uneven, and where all of them are even. */
static const int64_t shapes[][2] = {{14, 30}, {24, 36}};
static const int64_t meshes[][3] = {{2, 3, 2}, {1, 4, 2}, {3, 1, 1}};

static dti_layout layout_on(int shape, int mesh, int i) {
  return layout_of(2, shapes[shape], 3, meshes[mesh], placements[i]);
}

/* Whether a place's peer differs from it in these mesh dimensions only. */
static bool is_in_group(const dti_layout *layout, int64_t place, int64_t peer, unsigned dims) {
  int64_t a[DTENSOR_MAX_NDIM], b[DTENSOR_MAX_NDIM];
  dti_mesh_unravel(layout->mesh_ndim, layout->mesh, place, a);
  dti_mesh_unravel(layout->mesh_ndim, layout->mesh, peer, b);
  for (int m = 0; m < layout->mesh_ndim; m++)
    if (a[m] != b[m] && !(dims & (1u << m))) return false;
  return true;
}

static bool is_even(const dti_layout *layout) {
  dti_digits digits;
  for (int d = 0; d < layout->ndim; d++) {
    const dti_axis axis = dti_axis_of(layout, d);
    if (!dti_digits_of(&axis, &digits)) return false;
  }
  return true;
}

static void check_step(const dti_layout *from, const dti_step *step, int64_t place) {
  dti_exchange x = exchange_at(from, &step->to, place);
  for (int64_t i = 0; i < x.sends; i++)
    EXPECT_TRUE(is_in_group(from, place, x.send[i].peer, step->mesh_dims));
  for (int64_t i = 0; i < x.parcels; i++)
    for (int64_t k = 0; k < x.parcel[i].contributions; k++)
      if (x.parcel[i].sources[k] != DTI_SELF)
        EXPECT_TRUE(is_in_group(from, place, x.parcel[i].sources[k], step->mesh_dims));
  const dti_layout *to = &step->to;
  if (is_even(from) && is_even(to))
    EXPECT_LE(x.messages_received, dti_peers_at_most(from, to, step->mesh_dims));
  if (step->is_all_gather) {
    int64_t coord[DTENSOR_MAX_NDIM], local[DTENSOR_MAX_NDIM];
    dti_mesh_unravel(from->mesh_ndim, from->mesh, place, coord);
    dti_layout_local(from, coord, local, NULL);
    const int64_t whole = dti_numel(from->ndim, local);
    if (whole > 0) EXPECT_EQ(x.sends, dti_group_size(from, step->mesh_dims) - 1);
    for (int64_t i = 0; i < x.sends; i++) EXPECT_EQ(x.send[i].region.elements, whole);
  }
  dti_exchange_free(&x);
}

static dti_candidates candidates;

/* Of f64 elements, from one layout to another of the same mesh. */
static dti_question question_of(const dti_layout *from, const dti_layout *to,
                                const dtensor_machine *machine, dti_topology topology) {
  return (dti_question){.from = from,
                        .to = to,
                        .same_mesh = 1,
                        .element = 8,
                        .machine = machine,
                        .topology = topology};
}

/* Candidates of a pair for a small tensor and a large one, on two machines, with and without nodes.
 */
static void each_pair(void (*check)(const dti_layout *from, const dti_layout *to)) {
  const dtensor_machine machines[] = {far_away(), thin_wire()};
  for (int variant = 0; variant < 8; variant++)
    for (int mesh = 0; mesh < 3; mesh++)
      for (int a = 0; a < PLACEMENTS; a++)
        for (int b = 0; b < PLACEMENTS; b++) {
          const dti_layout from = layout_on(variant / 4, mesh, a);
          const dti_layout to = layout_on(variant / 4, mesh, b);
          const dti_question question =
              question_of(&from, &to, &machines[variant % 2],
                          (dti_topology){variant % 4 < 2 ? 1 : 2, variant % 4 >= 2});
          EXPECT_OK(dti_route_candidates(&question, &candidates));
          check(&from, &to);
        }
}

static void check_candidates(const dti_layout *from, const dti_layout *to) {
  EXPECT_GE(candidates.n, 1);
  for (int c = 0; c < candidates.n; c++) {
    const dti_route *route = &candidates.list[c].route;
    const dti_layout *now = from;
    EXPECT_GE(route->steps, 1);
    int sums = 0;
    for (int i = 0; i < route->steps; i++) {
      for (int64_t place = 0; place < places_of(from); place++)
        check_step(now, &route->step[i], place);
      dti_exchange x = exchange_at(now, &route->step[i].to, 0);
      sums += x.parcels > 0 && x.parcel[0].contributions > 1;
      dti_exchange_free(&x);
      now = &route->step[i].to;
    }
    EXPECT_LE(sums, 1); /* else they would be made in another order */
    EXPECT_TRUE(dti_layout_equal(now, to));
  }
}

DTEST(Route, StepsStayInTheirGroupsAndSumOnce) { each_pair(check_candidates); }

/* Groups are as small as peers allow, where all of a group talk: if nobody ever differs in a mesh
 * dimension, it is not in the set. Even shards, so that nobody is left out. */
DTEST(Route, GroupsAreNoLargerThanNeeded) {
  const int64_t even[] = {24, 24}, mesh[] = {2, 2, 2};
  static const char *const pairs[][2] = {
      {"S0,R,R", "R,R,R"},    {"R,S0,R", "R,S1,R"},   {"S0,S0,R", "S0,R,R"}, {"S0,S1,R", "S1,S0,R"},
      {"P,R,R", "S0,R,R"},    {"P,S0,R", "R,S0,R"},   {"R,R,R", "S0,S1,P"},  {"S0,R,R", "P,R,S1"},
      {"S0,S0,S0", "S0,R,R"}, {"S0,R,S1", "S0,S1,R"}, {"P,P,S1", "P,S0,S1"},
  };
  for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
    const dti_layout from = layout_of(2, even, 3, mesh, pairs[i][0]);
    const dti_layout to = layout_of(2, even, 3, mesh, pairs[i][1]);
    unsigned needed = 0;
    for (int64_t place = 0; place < 8; place++) {
      dti_exchange x = exchange_at(&from, &to, place);
      for (int64_t k = 0; k < x.sends; k++)
        for (int m = 0; m < 3; m++)
          if ((place ^ x.send[k].peer) & (4 >> m)) needed |= 1u << m;
      dti_exchange_free(&x);
    }
    EXPECT_EQ(dti_exchange_mesh_dims(&from, &to), needed);
  }
}

static int chain_in(dti_chain_order order, const char *from_text, const char *to_text,
                    dti_layout step[]) {
  const int64_t size[] = {64, 64}, mesh[] = {4, 4};
  const dti_layout from = layout_of(2, size, 2, mesh, from_text);
  const dti_layout to = layout_of(2, size, 2, mesh, to_text);
  return dti_chain(&from, &to, order, 1, step);
}

static int chain_of(const char *from_text, const char *to_text, dti_layout step[]) {
  return chain_in(DTI_CHAIN_INNER_FIRST, from_text, to_text, step);
}

DTEST(Route, ChainsTakeTheLastSplitFirst) {
  dti_layout step[DTENSOR_MAX_NDIM];
  EXPECT_EQ(chain_of("S0,S0", "R,R", step), 2);
  EXPECT_TRUE(dtensor_placement_equal(step[0].p[0], dtensor_shard(0)));
  EXPECT_EQ(step[0].p[1].kind, DTENSOR_REPLICATE);

  EXPECT_EQ(chain_of("P,S0", "S1,R", step), 2); /* what shrinks comes first */
  EXPECT_TRUE(dtensor_placement_equal(step[0].p[0], dtensor_shard(1)));
  EXPECT_TRUE(dtensor_placement_equal(step[0].p[1], dtensor_shard(0)));

  EXPECT_EQ(chain_of("S0,R", "R,P", step), 1); /* identities do not travel */
  EXPECT_EQ(chain_of("R,S0", "S0,R", step), 1);
  EXPECT_EQ(chain_of("P,P", "R,R", step), 1);     /* sums in one step */
  EXPECT_EQ(chain_of("S0,S1", "S1,S0", step), 1); /* each waits for the other: together */
}

static void expect_step(const dti_layout *step, const char *text) {
  char placements_text[64];
  EXPECT_OK(dtensor_placements_format(step->p, 2, placements_text, sizeof placements_text));
  EXPECT_STREQ(placements_text, text);
}

/* What is left of even splits when the first one has gone, or before it has come. */
DTEST(Route, EvenSplitsComeAndGoInAnyOrder) {
  dti_layout step[DTENSOR_MAX_NDIM];
  EXPECT_EQ(chain_in(DTI_CHAIN_OUTER_FIRST, "S0,S0", "R,R", step), 2);
  expect_step(&step[0], "R,SS(0,4)");
  EXPECT_EQ(chain_of("S0,S0", "S1,S1", step), 2);
  expect_step(&step[0], "S(0),SS(1,4)");
  EXPECT_EQ(chain_in(DTI_CHAIN_UNBROKEN, "S0,S0", "S1,S1", step), 3);
  expect_step(&step[0], "S(0),S(1)");
  expect_step(&step[1], "S(1),S(1)");
  EXPECT_EQ(step[1].order[0], 1); /* whose parts are those of the target, but on other ranks */
  EXPECT_EQ(dti_peers_at_most(&step[1], &step[2], dti_exchange_mesh_dims(&step[1], &step[2])), 1);
}

/* So many ranks that their values are not added up at once: along one mesh dimension after the
 * other, in an order that does not depend on the machine. */
DTEST(Route, SumsOfACrowdAreMadeInTurn) {
  const int64_t size[] = {1 << 16, 4}, mesh[] = {128, 64};
  static const char *const targets[] = {"S0,S0", "R,R", "S0,R", "S1,S0"};
  const dtensor_machine machines[] = {far_away(), thin_wire(), dtensor_machine_default()};
  for (int t = 0; t < 4; t++) {
    const dti_layout from = layout_of(2, size, 2, mesh, "P,P");
    const dti_layout to = layout_of(2, size, 2, mesh, targets[t]);
    int order[2] = {-1, -1}; /* of the mesh dimensions, as the first candidate adds up */
    for (int i = 0; i < 3; i++) {
      const dti_question question =
          question_of(&from, &to, &machines[i], (dti_topology){i == 0 ? 1 : 64, i != 0});
      EXPECT_OK(dti_route_candidates(&question, &candidates));
      for (int c = 0; c < candidates.n; c++) {
        const dti_route *route = &candidates.list[c].route;
        const dti_layout *now = &from;
        int sums = 0;
        for (int k = 0; k < route->steps; k++) {
          for (int m = 0; m < 2; m++)
            if (now->p[m].kind == DTENSOR_PARTIAL &&
                route->step[k].to.p[m].kind != DTENSOR_PARTIAL) {
              if (order[sums] < 0) order[sums] = m;
              EXPECT_EQ(order[sums], m);
              sums++;
            }
          now = &route->step[k].to;
        }
        EXPECT_EQ(sums, 2);
        EXPECT_GE(route->steps, 2);
      }
    }
  }
}

/* Two nodes of four ranks that do not share memory: each byte comes over the wire to a node once,
 * where the last mesh dimension first would bring it to each of its ranks. */
DTEST(Route, AGatherCrossesBetweenNodesBeforeItSpreadsInside) {
  const int64_t size[] = {1024, 16}, mesh[] = {2, 4};
  static const char *const sources[] = {"S0,S0", "S1,S0", "P,P"};
  const dtensor_machine machine = thin_wire();
  for (int s = 0; s < 3; s++) {
    const dti_layout from = layout_of(2, size, 2, mesh, sources[s]);
    const dti_layout to = layout_of(2, size, 2, mesh, "R,R");
    const dti_question question = question_of(&from, &to, &machine, (dti_topology){4, 0});
    EXPECT_OK(dti_route_candidates(&question, &candidates));
    const dti_route *route = &candidates.list[0].route;
    int64_t far = 0, all = 0, messages = 0;
    for (int i = 0; i < route->steps; i++) {
      if (i == 0 && s == 2) continue; /* all ranks' values have to come first */
      for (int64_t place = 0; place < 8; place++) {
        dti_volume v;
        EXPECT_OK(dti_volume_of(&(dti_exchange_ends){.from = i ? &route->step[i - 1].to : &from,
                                                     .to = &route->step[i].to,
                                                     .from_place = place,
                                                     .to_place = place,
                                                     .same_mesh = 1},
                                4, &v));
        far += v.far_in.elements;
        all += v.far_in.elements + v.near_in.elements;
        messages += v.far_in.messages + v.near_in.messages;
      }
    }
    EXPECT_EQ(far, 2 * (1024 * 16) / 2); /* half of it to each of two nodes */
    EXPECT_EQ(all, 8 * (1024 * 16) * 7 / 8);
    EXPECT_LE(messages, 8 * 4); /* 1 rank far away, 3 near by */
  }
}

/* A rank's block goes to one other rank, whatever the mesh. */
DTEST(Route, BlockTransposeMovesWhatADirectExchangeMoves) {
  for (int64_t q = 2; q <= 16; q *= q) {
    const int64_t size[] = {64 * q, 64 * q}, mesh[] = {q, q};
    const dti_layout from = layout_of(2, size, 2, mesh, "S0,S1");
    const dti_layout to = layout_of(2, size, 2, mesh, "S1,S0");
    const dtensor_machine machines[] = {far_away(), thin_wire(), dtensor_machine_default()};
    for (int i = 0; i < 3; i++) {
      const dti_question question = question_of(&from, &to, &machines[i], (dti_topology){1, 0});
      EXPECT_OK(dti_route_candidates(&question, &candidates));
      const dti_route *route = &candidates.list[0].route;
      EXPECT_EQ(candidates.list[0].engine, DTI_ENGINE_DIRECT);
      EXPECT_EQ(route->steps, 1);
      for (int64_t place = 0; place < q * q; place++) {
        dti_exchange x = exchange_at(&from, &to, place);
        EXPECT_EQ(x.elements_received, place / q == place % q ? 0 : 64 * 64);
        EXPECT_EQ(x.messages_received, place / q == place % q ? 0 : 1);
        dti_exchange_free(&x);
      }
    }
  }
}

/* A million ranks: a gather over all of them is taken apart before anybody counts its peers. */
DTEST(Route, CrowdsAreAvoided) {
  const int64_t size[] = {1 << 22, 4}, mesh[] = {1024, 1024};
  const dti_layout from = layout_of(2, size, 2, mesh, "S0,S0");
  const dti_layout to = layout_of(2, size, 2, mesh, "R,R");
  const dtensor_machine machine = dtensor_machine_default();
  const dti_question question = question_of(&from, &to, &machine, (dti_topology){64, 1});
  EXPECT_OK(dti_route_candidates(&question, &candidates));
  EXPECT_EQ(candidates.list[0].route.steps, 2);
  for (int i = 0; i < candidates.n; i++) EXPECT_LE(candidates.list[i].cost.messages, 2 * 1023);
}
