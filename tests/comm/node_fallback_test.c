#define _DEFAULT_SOURCE /* setenv */
/* One rank cannot share its memory, or not reach that of another: then no one of its node does, and
 * all know why. A process makes its arena once, so each way is a process of its own:
 * NODE_FALLBACK_TEST says which. */
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "dtensor/base/alloc.h"
#include "dtensor/base/arena.h"
#include "dtensor/comm/node.h"
#include "tests/harness/world.h"

static void limit(int resource, rlim_t bytes, struct rlimit *before) {
  struct rlimit now;
  getrlimit(resource, &now);
  if (before) *before = now;
  now.rlim_cur = bytes;
  EXPECT_EQ(setrlimit(resource, &now), 0);
}

static void expect_nobody_shares(const test_world *w, const char *reason) {
  dti_node *node;
  EXPECT_OK(dti_comm_node(w->comm, &node));
  EXPECT_NULL(node);
  EXPECT_CONTAINS(dti_comm_node_reason(w->comm), "rank 1: ");
  EXPECT_CONTAINS(dti_comm_node_reason(w->comm), reason);
}

static void one_rank_cannot_share(const test_world *w, const char *how) {
  const int odd = w->rank == 1;
  const char *reason = NULL;
  if (strcmp(how, "setting") == 0) {
    if (odd) setenv("DTENSOR_SHARED_MEMORY", "0", 1);
    reason = "DTENSOR_SHARED_MEMORY=0 is set";
  } else if (strcmp(how, "file_size") == 0) {
    if (odd) limit(RLIMIT_FSIZE, (rlim_t)1 << 30, NULL);
    reason = "ulimit -f";
  } else {
    if (odd) limit(RLIMIT_AS, (rlim_t)16 << 30, NULL);
    reason = "ulimit -v";
  }
  expect_nobody_shares(w, reason);
  char *memory = dti_alloc(5 << 20); /* it works as before */
  if (EXPECT_NOT_NULL(memory)) memset(memory, 1, 5 << 20);
  EXPECT_EQ(dti_arena_offset(memory, 5 << 20) == -1, odd);
  dti_free(memory);
}

/* With the arenas made, one rank has no addresses left to map its neighbour's; later it has. */
static void one_rank_cannot_map(const test_world *w) {
  dti_free(dti_alloc(1));
  struct rlimit before;
  if (w->rank == 1) limit(RLIMIT_AS, (rlim_t)1 << 30, &before);
  expect_nobody_shares(w, "mapping /proc/");
  if (w->rank == 1) EXPECT_EQ(setrlimit(RLIMIT_AS, &before), 0);
  int backwards[8];
  for (int i = 0; i < w->size; i++) backwards[i] = w->size - 1 - i;
  dti_comm *group;
  REQUIRE_OK(dti_comm_group(w->comm, w->size, backwards, &group));
  dti_node *node;
  EXPECT_OK(dti_comm_node(group, &node));
  EXPECT_NOT_NULL(node);
  EXPECT_STREQ(dti_comm_node_reason(group), "");
  dti_comm_release(&group);
}

static void fall_back(const test_world *w) {
  const char *how = getenv("NODE_FALLBACK_TEST");
  REQUIRE_TRUE(how != NULL);
  if (strcmp(how, "map") == 0)
    one_rank_cannot_map(w);
  else
    one_rank_cannot_share(w, how);
}
DTEST(NodeFallback, OneRank) { run_worlds(fall_back); }
