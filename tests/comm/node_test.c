/* Ranks of a node: who they are, their memory, and meetings; on MPI and on simulated ranks. */
#include "dtensor/comm/node.h"

#include <stdlib.h>
#include <string.h>

#include "dtensor/base/alloc.h"
#include "dtensor/base/fail.h"
#include "dtensor/comm/sim.h"
#include "tests/harness/world.h"

static void wait_posted(const dti_node *node, uint64_t meeting) {
  for (int64_t round = 0; !dti_node_all_posted(node, meeting); round++) dti_comm_relax(round);
}

static void wait_left(const dti_node *node, uint64_t meeting) {
  for (int64_t round = 0; !dti_node_all_left(node, meeting); round++) dti_comm_relax(round);
}

static void wait_place(const dti_node *node, uint64_t meeting) {
  for (int64_t round = 0; !dti_node_can_post(node, meeting); round++) dti_comm_relax(round);
}

/* The body on all that share a node, on nodes of 1, 2, 3 and all simulated ranks; MPI ranks have
 * what DTENSOR_RANKS_PER_NODE says. */
static int per_node;

static void run_nodes(world_body body) {
  const char *setting = getenv("DTENSOR_RANKS_PER_NODE");
  per_node = setting ? atoi(setting) : 1000;
  if (dtest_comm() != MPI_COMM_NULL) {
    run_worlds(body);
    return;
  }
  per_node = 1000;
  run_worlds(body);
  for (per_node = 1; per_node <= 3; per_node++) (void)run_world((test_nodes){7, per_node}, body);
}

/* A node of this communicator where the rank in place i is `rank[i]` of the world. */
static void check_members(dti_comm *comm, const int rank[], int size, int me) {
  dti_node *node, *again;
  EXPECT_OK(dti_comm_node(comm, &node));
  EXPECT_OK(dti_comm_node(comm, &again));
  EXPECT_EQ((void *)again, (void *)node);
  int members = 0, on_node, nodes = 0;
  for (int i = 0; i < size; i++) {
    const int is_member = rank[i] / per_node == rank[me] / per_node;
    if (node) EXPECT_EQ(dti_node_member(node, i), is_member ? members : -1);
    if (node && is_member) EXPECT_EQ(dti_node_comm_rank(node, members), i);
    EXPECT_EQ(dti_comm_node_of(comm, i) == dti_comm_node_of(comm, me), is_member);
    members += is_member;
    int first = 1;
    for (int k = 0; k < i; k++) first = first && rank[k] / per_node != rank[i] / per_node;
    if (first) EXPECT_EQ(dti_comm_node_of(comm, i), nodes);
    nodes += first;
  }
  EXPECT_EQ(dti_comm_nodes(comm), nodes);
  EXPECT_OK(dti_comm_node_size(comm, &on_node));
  EXPECT_EQ(on_node, members);
  if (members == 1) {
    EXPECT_NULL(node);
    EXPECT_CONTAINS(dti_comm_node_reason(comm), "alone on its node");
    return;
  }
  EXPECT_STREQ(dti_comm_node_reason(comm), "");
  if (!EXPECT_NOT_NULL(node)) return;
  EXPECT_EQ(dti_node_size(node), members);
  EXPECT_EQ(dti_node_comm_rank(node, dti_node_rank(node)), me);
  EXPECT_EQ(dti_node_member(node, size), -1);
  EXPECT_EQ(dti_node_member(node, -1), -1);
}

static void members(const test_world *w) {
  int *rank = malloc((size_t)w->size * sizeof *rank);
  for (int i = 0; i < w->size; i++) rank[i] = i;
  check_members(w->comm, rank, w->size, w->rank);

  /* Backwards, and every other one: groups have nodes of their own. */
  for (int i = 0; i < w->size; i++) rank[i] = w->size - 1 - i;
  dti_comm *group;
  EXPECT_OK(dti_comm_group(w->comm, w->size, rank, &group));
  if (group) check_members(group, rank, w->size, w->size - 1 - w->rank);
  dti_comm_release(&group);
  const int odd = w->rank % 2, half = (w->size + 1 - odd) / 2;
  for (int i = 0; i < half; i++) rank[i] = 2 * i + odd;
  EXPECT_OK(dti_comm_group(w->comm, half, rank, &group));
  if (group) check_members(group, rank, half, w->rank / 2);
  dti_comm_release(&group);
  free(rank);
}
DTEST(Node, Members) { run_nodes(members); }

/* Each rank reads its neighbour's array and writes to it; both sizes of memory, small and large. */
static void read_neighbour(const test_world *w, size_t n) {
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

static void small_memory(const test_world *w) { read_neighbour(w, 10); }
DTEST(Node, SmallMemory) { run_nodes(small_memory); }

static void large_memory(const test_world *w) { read_neighbour(w, 700000); }
DTEST(Node, LargeMemory) { run_nodes(large_memory); }

/* An address of a neighbour's memory, from one member to another that is neither. */
static void second_hand(const test_world *w) {
  dti_node *node;
  EXPECT_OK(dti_comm_node(w->comm, &node));
  if (!node) return;
  const int size = dti_node_size(node), me = dti_node_rank(node), right = (me + 1) % size;
  int64_t *mine = dti_alloc(sizeof *mine);
  if (!EXPECT_NOT_NULL(mine)) return;
  *mine = w->rank;
  int64_t address = dti_node_export(node, mine, sizeof *mine);
  for (int hand = 1; hand <= 2 * size; hand++) {
    const uint64_t meeting = dti_node_next_meeting(node);
    wait_place(node, meeting);
    memcpy(dti_node_desk(node, meeting), &address, sizeof address);
    dti_node_post(node, meeting);
    wait_posted(node, meeting);
    memcpy(&address, dti_node_brought(node, meeting, right), sizeof address);
    int64_t *its = dti_node_import(node, right, address);
    EXPECT_EQ(*its, dti_node_comm_rank(node, (me + hand) % size));
    address = dti_node_export(node, its, sizeof *its);
    EXPECT_GE(address, 0);
    EXPECT_TRUE(dti_node_import(node, me, address) == its);
    dti_node_leave(node, meeting);
    wait_left(node, meeting);
  }
  dti_free(mine);
}
DTEST(Node, SecondHand) { run_nodes(second_hand); }

static void foreign_memory(const test_world *w) {
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
DTEST(Node, ForeignMemory) { run_nodes(foreign_memory); }

/* Every meeting brings what it should, and nobody is a whole round ahead. */
static void many_meetings(const test_world *w) {
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
DTEST(Node, ManyMeetings) { run_nodes(many_meetings); }

/* A copy stays as it is until all have left the meeting that it was made for, and there are so many
 * at a time. */
static void copies(const test_world *w) {
  dti_node *node;
  EXPECT_OK(dti_comm_node(w->comm, &node));
  if (!node) return;
  const int size = dti_node_size(node), me = dti_node_rank(node), right = (me + 1) % size;
  EXPECT_NULL(dti_node_room_for_copy(node, 0, DTI_COPY_BYTES + 1));
  for (int round = 0; round < 20; round++) {
    uint64_t meeting[DTI_COPIES + 1];
    for (int i = 0; i <= DTI_COPIES; i++) {
      meeting[i] = dti_node_next_meeting(node);
      wait_place(node, meeting[i]);
      int64_t *room = dti_node_room_for_copy(node, meeting[i], 2 * sizeof *room);
      EXPECT_EQ(room != NULL, i < DTI_COPIES);
      if (!room) {
        dti_node_post(node, meeting[i]);
        continue;
      }
      room[0] = w->rank;
      room[1] = round * DTI_COPIES + i;
      const int64_t exported = dti_node_export(node, room, 2 * sizeof *room);
      memcpy(dti_node_desk(node, meeting[i]), &exported, sizeof exported);
      dti_node_post(node, meeting[i]);
    }
    for (int i = 0; i <= DTI_COPIES; i++) {
      wait_posted(node, meeting[i]);
      int64_t there;
      memcpy(&there, dti_node_brought(node, meeting[i], right), sizeof there);
      const int64_t *its = i < DTI_COPIES ? dti_node_import(node, right, there) : NULL;
      if (its) EXPECT_EQ(its[0], dti_node_comm_rank(node, right));
      if (its) EXPECT_EQ(its[1], round * DTI_COPIES + i);
    }
    for (int i = 0; i <= DTI_COPIES; i++) dti_node_leave(node, meeting[i]);
    for (int i = 0; i <= DTI_COPIES; i++) wait_left(node, meeting[i]);
  }
}
DTEST(Node, Copies) { run_nodes(copies); }

/* Posted in another order than they were asked for, and left in another. */
static void meetings_in_flight(const test_world *w) {
  enum { FLIGHT = 5 };
  static const int post_order[FLIGHT] = {2, 0, 4, 1, 3}, leave_order[FLIGHT] = {1, 4, 3, 0, 2};
  dti_node *node;
  EXPECT_OK(dti_comm_node(w->comm, &node));
  if (!node) return;
  int wrong = 0;
  for (int round = 0; round < 50; round++) {
    uint64_t meeting[FLIGHT];
    for (int i = 0; i < FLIGHT; i++) meeting[i] = dti_node_next_meeting(node);
    for (int i = 0; i < FLIGHT; i++) {
      const int k = post_order[i];
      wait_place(node, meeting[k]);
      *(int *)dti_node_desk(node, meeting[k]) = 1000 * round + 10 * k + dti_node_rank(node);
      dti_node_post(node, meeting[k]);
    }
    for (int i = 0; i < FLIGHT; i++) {
      const int k = leave_order[(i + w->rank) % FLIGHT];
      wait_posted(node, meeting[k]);
      for (int m = 0; m < dti_node_size(node); m++)
        wrong += *(const int *)dti_node_brought(node, meeting[k], m) != 1000 * round + 10 * k + m;
      dti_node_leave(node, meeting[k]);
    }
  }
  EXPECT_EQ(wrong, 0);
}
DTEST(Node, MeetingsInFlight) { run_nodes(meetings_in_flight); }

/* As many as there are places, and not one more before the first is left by all. */
static void full_board(const test_world *w) {
  dti_node *node;
  EXPECT_OK(dti_comm_node(w->comm, &node));
  if (!node) return;
  uint64_t first = 0, meeting = 0;
  for (int i = 0; i < DTI_MEETINGS; i++) {
    meeting = dti_node_next_meeting(node);
    if (i == 0) first = meeting;
    wait_place(node, meeting);
    dti_node_post(node, meeting);
  }
  const uint64_t more = dti_node_next_meeting(node);
  wait_posted(node, meeting);
  EXPECT_FALSE(dti_node_can_post(node, more)); /* this rank has not left */
  EXPECT_FALSE(dti_node_all_left(node, first));
  for (uint64_t m = first; m < more; m++) dti_node_leave(node, m);
  wait_place(node, more);
  EXPECT_TRUE(dti_node_all_left(node, first));
  EXPECT_FALSE(dti_node_has_posted(node, more, dti_node_rank(node)));
  dti_node_post(node, more);
  EXPECT_TRUE(dti_node_has_posted(node, more, dti_node_rank(node)));
  dti_node_leave(node, more);
}
DTEST(Node, FullBoard) { run_nodes(full_board); }

/* Who leaves late is waited for where it has not left, and nowhere else. */
static void one_is_late(const test_world *w) {
  dti_node *node;
  EXPECT_OK(dti_comm_node(w->comm, &node));
  if (!node) return;
  uint64_t late = 0;
  for (int i = 0; i < DTI_MEETINGS; i++) {
    const uint64_t meeting = dti_node_next_meeting(node);
    if (i == 5) late = meeting;
    wait_place(node, meeting);
    dti_node_post(node, meeting);
    wait_posted(node, meeting);
    if (i != 5) dti_node_leave(node, meeting);
  }
  for (int i = 0; i < DTI_MEETINGS; i++) {
    const uint64_t meeting = dti_node_next_meeting(node);
    if (i == 5) {
      EXPECT_FALSE(dti_node_can_post(node, meeting));
      dti_node_leave(node, late);
    }
    wait_place(node, meeting);
    dti_node_post(node, meeting);
    dti_node_leave(node, meeting);
  }
}
DTEST(Node, OneIsLate) { run_nodes(one_is_late); }

/* A board that everybody has left serves the next communicator, with numbers that go on. */
static void next_communicator(const test_world *w) {
  if (w->sim || w->size < 2) return;
  for (int i = 0; i < 20; i++) {
    MPI_Comm user;
    MPI_Comm_dup(w->user, &user);
    dti_comm *comm;
    REQUIRE_OK(dti_comm_from_mpi(user, &comm));
    meetings_in_flight(&(test_world){.user = user, .comm = comm, .rank = w->rank, .size = w->size});
    dti_node *node;
    EXPECT_OK(dti_comm_node(comm, &node));
    if (node && i % 2) { /* leave it with a board that not all have left */
      const uint64_t meeting = dti_node_next_meeting(node);
      if (w->rank == 0) dti_node_post(node, meeting);
    }
    dti_comm_release(&comm);
    MPI_Comm_free(&user);
  }
}
DTEST(Node, NextCommunicator) { run_nodes(next_communicator); }

static void living_members(const test_world *w) {
  dti_node *node;
  EXPECT_OK(dti_comm_node(w->comm, &node));
  for (int m = 0; node && m < dti_node_size(node); m++) EXPECT_OK(dti_node_check(node, m));
  EXPECT_OK(dti_comm_agree(w->comm, DTENSOR_OK)); /* nobody ends before */
}
DTEST(Node, LivingMembers) { run_nodes(living_members); }

/* The last rank ends without a post: the others see that, and why. */
static dtensor_status wait_for_ever(dtensor_sim *sim, void *ctx) {
  (void)ctx;
  dtest_set_sim_rank(dtensor_sim_rank(sim), dtensor_sim_size(sim));
  dti_comm *comm = dti_sim_comm(sim);
  dti_node *node;
  SIM_REQUIRE_OK(dti_comm_node(comm, &node));
  const uint64_t meeting = dti_node_next_meeting(node);
  const int last = dti_comm_size(comm) - 1;
  if (dti_comm_rank(comm) == last) return DTI_FAIL(DTENSOR_EIO, "the disk is full");
  dti_node_post(node, meeting);
  dtensor_status status = DTENSOR_OK;
  for (int64_t round = 0; status == DTENSOR_OK && !dti_node_all_posted(node, meeting); round++) {
    dti_comm_relax(round);
    if (round % 256 == 255) status = dti_node_check(node, last);
  }
  EXPECT_STATUS(DTENSOR_EMPI, status);
  EXPECT_CONTAINS(dtensor_last_error(), "has ended with DTENSOR_EIO");
  return status;
}

DTEST(Node, EndedRank) {
  if (dtest_comm() != MPI_COMM_NULL) return;
  EXPECT_STATUS(DTENSOR_EIO, dtensor_sim_run(4, wait_for_ever, NULL));
  EXPECT_CONTAINS(dtensor_last_error(), "the disk is full");
  EXPECT_STATUS(DTENSOR_EINVAL, dtensor_sim_run_nodes(4, 0, wait_for_ever, NULL));
}
