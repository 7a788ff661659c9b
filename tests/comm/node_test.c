/* Ranks of a node: who they are, their memory, and meetings; on MPI and on simulated ranks. */
#include "dtensor/comm/node.h"

#include <stdlib.h>
#include <string.h>

#include "dtensor/base/alloc.h"
#include "tests/comm/worlds.h"
#include "tests/harness/dtest.h"

/* Until everybody has posted, or a member that has not will never come. */
static bool wait_posted(const dti_node *node, uint64_t meeting) {
  for (int64_t round = 0; !dti_node_all_posted(node, meeting); round++) dti_comm_relax(round);
  return true;
}

static void wait_left(const dti_node *node, uint64_t meeting) {
  for (int64_t round = 0; !dti_node_all_left(node, meeting); round++) dti_comm_relax(round);
}

static void wait_place(const dti_node *node, uint64_t meeting) {
  for (int64_t round = 0; !dti_node_can_post(node, meeting); round++) dti_comm_relax(round);
}

static void members(const world *w) {
  dti_node *node, *again;
  EXPECT_OK(dti_comm_node(w->comm, &node));
  EXPECT_OK(dti_comm_node(w->comm, &again));
  EXPECT_EQ((void *)again, (void *)node);
  EXPECT_EQ(dti_comm_nodes(w->comm), 1);
  EXPECT_EQ(dti_comm_node_of(w->comm, w->size - 1), 0);
  if (w->size == 1) {
    EXPECT_NULL(node);
    EXPECT_CONTAINS(dti_comm_node_reason(w->comm), "alone on its node");
    return;
  }
  EXPECT_STREQ(dti_comm_node_reason(w->comm), "");
  if (!EXPECT_NOT_NULL(node)) return;
  EXPECT_EQ(dti_node_size(node), w->size);
  EXPECT_EQ(dti_node_rank(node), w->rank);
  for (int i = 0; i < w->size; i++) {
    EXPECT_EQ(dti_node_member(node, i), i);
    EXPECT_EQ(dti_node_comm_rank(node, i), i);
  }
  EXPECT_EQ(dti_node_member(node, w->size), -1);
  EXPECT_EQ(dti_node_member(node, -1), -1);
}
DTEST(Node, Members) { run_worlds(members); }

/* Each rank reads its neighbour's array and writes to it; both sizes of memory, small and large. */
static void neighbours_memory(const world *w, size_t n) {
  dti_node *node;
  EXPECT_OK(dti_comm_node(w->comm, &node));
  if (!node) return;
  int64_t *mine = dti_alloc((n + 1) * sizeof *mine);
  if (!EXPECT_NOT_NULL(mine)) return;
  for (size_t i = 0; i <= n; i++) mine[i] = w->rank;
  const int64_t exported = dti_node_export(node, mine, (n + 1) * sizeof *mine);
  EXPECT_GE(exported, 0);

  const uint64_t meeting = dti_node_next_meeting(node);
  wait_place(node, meeting);
  memcpy(dti_node_desk(node, meeting), &exported, sizeof exported);
  dti_node_post(node, meeting);
  wait_posted(node, meeting);
  const int size = dti_node_size(node), me = dti_node_rank(node), right = (me + 1) % size;
  int64_t there;
  memcpy(&there, dti_node_brought(node, meeting, right), sizeof there);
  int64_t *its = dti_node_import(node, right, there);
  const int64_t owner = dti_node_comm_rank(node, right);
  EXPECT_EQ(its[0], owner);
  EXPECT_EQ(its[n - 1], owner);
  its[n] = 100 + w->rank;
  dti_node_leave(node, meeting);
  wait_left(node, meeting);
  EXPECT_EQ(mine[n], 100 + dti_node_comm_rank(node, (me + size - 1) % size));
  dti_free(mine);
}

static void small_memory(const world *w) { neighbours_memory(w, 10); }
DTEST(Node, SmallMemory) { run_worlds(small_memory); }

static void large_memory(const world *w) { neighbours_memory(w, 700000); }
DTEST(Node, LargeMemory) { run_worlds(large_memory); }

static void foreign_memory(const world *w) {
  dti_node *node;
  EXPECT_OK(dti_comm_node(w->comm, &node));
  if (!node || w->sim) return;
  char own[16];
  EXPECT_EQ(dti_node_export(node, own, sizeof own), -1);
  char *shared = dti_alloc(16);
  EXPECT_EQ(dti_node_export(node, shared, SIZE_MAX / 2), -1);
  EXPECT_GE(dti_node_export(node, shared, 16), 0);
  dti_free(shared);
}
DTEST(Node, ForeignMemory) { run_worlds(foreign_memory); }

/* Every meeting brings what it should, and nobody is a whole round ahead. */
static void many_meetings(const world *w) {
  dti_node *node;
  EXPECT_OK(dti_comm_node(w->comm, &node));
  if (!node) return;
  const int meetings = w->sim && w->size > 6 ? 100 : 10000;
  int wrong = 0;
  for (int i = 0; i < meetings; i++) {
    const uint64_t meeting = dti_node_next_meeting(node);
    wait_place(node, meeting);
    const int64_t bring[2] = {i, w->rank * 7 + i};
    memcpy(dti_node_desk(node, meeting), bring, sizeof bring);
    dti_node_post(node, meeting);
    wait_posted(node, meeting);
    for (int m = 0; m < dti_node_size(node); m++) {
      int64_t got[2];
      memcpy(got, dti_node_brought(node, meeting, m), sizeof got);
      wrong += got[0] != i || got[1] != dti_node_comm_rank(node, m) * 7 + i;
    }
    dti_node_leave(node, meeting);
  }
  EXPECT_EQ(wrong, 0);
}
DTEST(Node, ManyMeetings) { run_worlds(many_meetings); }
