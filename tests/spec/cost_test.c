/* Which candidate wins on which machine, and how a cap on memory is kept. */
#include "tests/spec/plan_case.h"

static dti_candidates candidates;

typedef struct setting {
  dtensor_machine machine;
  int64_t n, mesh[2], ranks_per_node, max_bytes;
  int shared_memory;
} setting;

static const dti_candidate *best(const setting *s, const char *from_text, const char *to_text) {
  const int64_t size[] = {s->n, s->n};
  const dti_layout from = layout_of(2, size, 2, s->mesh, from_text);
  const dti_layout to = layout_of(2, size, 2, s->mesh, to_text);
  const dti_question question = {.from = &from,
                                 .to = &to,
                                 .same_mesh = 1,
                                 .element = 8,
                                 .max_bytes = s->max_bytes,
                                 .machine = &s->machine,
                                 .topology = {s->ranks_per_node, s->shared_memory}};
  EXPECT_OK(dti_route_candidates(&question, &candidates));
  return &candidates.list[0];
}

DTEST(Cost, InOneNodeSharedMemoryWins) {
  const setting s = {dtensor_machine_default(), 1024, {2, 4}, 8, 0, 1};
  static const char *const pairs[][2] = {
      {"S0,R", "S1,R"}, {"S0,S1", "R,R"}, {"P,R", "R,R"}, {"P,R", "S0,R"}, {"S0,S1", "S1,S0"}};
  for (int i = 0; i < 5; i++) {
    EXPECT_EQ(best(&s, pairs[i][0], pairs[i][1])->engine, DTI_ENGINE_DIRECT);
    EXPECT_EQ(candidates.list[0].cost.messages, 0);
  }
}

DTEST(Cost, WhereMessagesAreDearFewAreSent) {
  const setting s = {far_away(), 256, {16, 16}, 1, 0, 0};
  const dti_candidate *gather = best(&s, "S0,S0", "R,R");
  EXPECT_EQ(gather->engine, DTI_ENGINE_COLLECTIVE);
  EXPECT_EQ(gather->cost.messages, 8); /* 255 would be sent directly */
  /* Both dimensions at once: as many rounds, and one wait less. */
  EXPECT_TRUE(gather->route.step[0].is_all_gather);

  /* An element may travel twice if that saves a hundred messages, but not to save a few. */
  EXPECT_EQ(best(&s, "S0,S0", "S1,S1")->route.steps, 2);
  const setting small = {far_away(), 64, {2, 3}, 1, 0, 0};
  const dti_candidate *shards = best(&small, "S0,S0", "S1,S1");
  EXPECT_EQ(shards->route.steps, 1);
}

DTEST(Cost, BetweenNodesOneMessageWhereMessagesAreDear) {
  setting s = {far_away(), 256, {8, 8}, 8, 0, 1};
  const dti_candidate *few = best(&s, "S0,S0", "S1,S1");
  EXPECT_EQ(few->engine, DTI_ENGINE_HIERARCHICAL);
  EXPECT_EQ(few->cost.messages, 1); /* 7 other nodes, shared out among 8 ranks */
  s.machine = thin_wire();
  s.n = 8192;
  s.machine.pack = 1e-6; /* then what can be sent from its place should be */
  EXPECT_EQ(best(&s, "S0,S0", "R,S0")->engine, DTI_ENGINE_DIRECT);
}

/* On two nodes of four ranks one carrier of each keeps what leaves and what comes: half the matrix
 * each, once and not for every rank. */
DTEST(Cost, AnAllGatherCrossesBetweenNodesOnce) {
  const setting s = {thin_wire(), 256, {2, 4}, 4, 0, 1};
  const dti_candidate *gather = best(&s, "S0,S0", "R,R");
  EXPECT_EQ(gather->engine, DTI_ENGINE_HIERARCHICAL);
  EXPECT_EQ(gather->cost.messages, 1);
  EXPECT_EQ(gather->cost.workspace, 256 * 256 * 8);
  for (int i = 1; i < candidates.n; i++) /* whose wire brings it four times */
    if (candidates.list[i].engine == DTI_ENGINE_DIRECT && candidates.list[i].route.steps == 1)
      EXPECT_GT(candidates.list[i].cost.seconds, 3 * gather->cost.seconds);
}

/* Every figure of a plan that moves more is at least as large. */
DTEST(Cost, GrowsWithTheMachineAndTheTensor) {
  setting small = {dtensor_machine_default(), 512, {4, 4}, 4, 0, 1}, large = small;
  large.n = 1024;
  const dti_cost a = best(&small, "S0,S1", "R,R")->cost, b = best(&large, "S0,S1", "R,R")->cost;
  EXPECT_LT(a.seconds, b.seconds);
  EXPECT_EQ(4 * a.bytes_received, b.bytes_received);
  EXPECT_EQ(a.bytes_received, (512 * 512 - 128 * 128) * 8);
  small.machine.byte *= 10;
  EXPECT_LT(a.seconds, best(&small, "S0,S1", "R,R")->cost.seconds);
}

DTEST(Cost, ACapCutsMessagesIntoRounds) {
  setting s = {dtensor_machine_default(), 4096, {4, 4}, 1, 0, 0};
  const dti_candidate free_of_caps = *best(&s, "S0,S0", "S1,S1");
  EXPECT_EQ(free_of_caps.rounds, 1);
  EXPECT_GT(free_of_caps.cost.workspace, 1 << 20);
  s.max_bytes = 1 << 20;
  const dti_candidate *capped = best(&s, "S0,S0", "S1,S1");
  EXPECT_TRUE(capped->fits);
  EXPECT_GT(capped->rounds, 1);
  EXPECT_LE(capped->cost.workspace, 1 << 20);
  EXPECT_EQ(capped->cost.bytes_received, free_of_caps.cost.bytes_received);
  EXPECT_GT(capped->cost.messages, free_of_caps.cost.messages);
  EXPECT_GT(capped->cost.seconds, free_of_caps.cost.seconds);
  EXPECT_OK(dti_route_check_budget(&candidates, s.max_bytes));

  s.max_bytes = 64; /* less than a piece to anybody */
  EXPECT_FALSE(best(&s, "S0,S0", "S1,S1")->fits);
  EXPECT_STATUS(DTENSOR_EBUDGET, dti_route_check_budget(&candidates, s.max_bytes));
  EXPECT_CONTAINS(dtensor_last_error(), "allows 64 bytes");
}

/* Carriers keep whole messages: where there is no room for these, steps are not left to them. */
DTEST(Cost, ACapRulesOutCarriers) {
  setting s = {far_away(), 256, {8, 8}, 8, 0, 1};
  EXPECT_EQ(best(&s, "S0,S0", "S1,S1")->engine, DTI_ENGINE_HIERARCHICAL);
  s.max_bytes = candidates.list[0].cost.workspace - 1;
  const dti_candidate *capped = best(&s, "S0,S0", "S1,S1");
  EXPECT_TRUE(capped->fits);
  for (int i = 0; i < capped->route.steps; i++)
    EXPECT_NE(capped->route.step[i].engine, DTI_ENGINE_HIERARCHICAL);
}

/* What lies in between counts too, and no round makes it smaller. */
DTEST(Cost, ACapCanRuleOutAStepInBetween) {
  setting s = {dtensor_machine_default(), 2048, {8, 1}, 8, 0, 1};
  EXPECT_EQ(best(&s, "P,R", "R,R")->route.steps, 2);
  const int64_t between = 2048 * 2048 * 8 / 8;
  EXPECT_EQ(candidates.list[0].cost.workspace, between);
  s.max_bytes = between - 1;
  EXPECT_FALSE(best(&s, "P,R", "R,R")->fits);
}

/* The figures of a calibration differ from run to run; the order of sums must not. */
DTEST(Cost, SumsDoNotDependOnTheMachine) {
  const setting on_paper[] = {{far_away(), 5, {4, 4}, 1, 0, 0}, {thin_wire(), 5, {4, 4}, 1, 0, 0}};
  for (int i = 0; i < 2; i++) {
    const dti_candidate *few = best(&on_paper[i], "P,P", "R,R");
    EXPECT_EQ(candidates.n, 1);
    EXPECT_EQ(few->route.step[0].kind, DTI_STEP_GATHER);
    EXPECT_EQ(few->cost.messages, 4); /* log2 of 16 ranks */
    EXPECT_EQ(few->cost.bytes_received, 15 * 5 * 5 * 8);
  }
}
