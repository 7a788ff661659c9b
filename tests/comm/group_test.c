/* Communicators of some ranks, on MPI and on simulated ranks. */
#include <stdlib.h>

#include "dtensor/base/fail.h"
#include "tests/harness/world.h"

/* Ranks are numbered in the order of the list. */
static void reversed(const test_world *w) {
  int *ranks = malloc((size_t)w->size * sizeof *ranks);
  for (int i = 0; i < w->size; i++) ranks[i] = w->size - 1 - i;
  dti_comm *group, *again;
  if (EXPECT_OK(dti_comm_group(w->comm, w->size, ranks, &group))) {
    EXPECT_EQ(dti_comm_size(group), w->size);
    EXPECT_EQ(dti_comm_rank(group), w->size - 1 - w->rank);
    EXPECT_OK(dti_comm_group(w->comm, w->size, ranks, &again));
    EXPECT_TRUE(again == group);
    EXPECT_EQ(group == w->comm, w->size == 1);
    dti_comm_release(&again);
    int64_t value = dti_comm_rank(group) == 0 ? 0 : 1;
    EXPECT_OK(dti_comm_allreduce(group, &value, 1, DTI_COMM_SUM));
    EXPECT_EQ(value, w->size - 1);
    dti_comm_release(&group);
    EXPECT_NULL(group);
  }
  free(ranks);
}
DTEST(Group, Reversed) { run_worlds(reversed); }

static void everybody(const test_world *w) {
  int *ranks = malloc((size_t)w->size * sizeof *ranks);
  for (int i = 0; i < w->size; i++) ranks[i] = i;
  dti_comm *group;
  EXPECT_OK(dti_comm_group(w->comm, w->size, ranks, &group));
  EXPECT_TRUE(group == w->comm);
  dti_comm_release(&group);
  free(ranks);
}
DTEST(Group, EverybodyInOrderIsTheSame) { run_worlds(everybody); }

/* The even and the odd ranks; only members call. Each has traffic of its own: the same tag and the
 * same peers in the group and in the whole do not mix. */
static void halves(const test_world *w) {
  const int n = (w->size + 1 - w->rank % 2) / 2;
  int *ranks = malloc((size_t)n * sizeof *ranks);
  for (int i = 0; i < n; i++) ranks[i] = 2 * i + w->rank % 2;
  dti_comm *half;
  if (EXPECT_OK(dti_comm_group(w->comm, n, ranks, &half))) {
    EXPECT_EQ(dti_comm_rank(half), w->rank / 2);
    int64_t count = 1;
    EXPECT_OK(dti_comm_allreduce(half, &count, 1, DTI_COMM_SUM));
    EXPECT_EQ(count, n);

    const int to = (w->rank / 2 + 1) % n, from = (w->rank / 2 + n - 1) % n;
    int out[2] = {w->rank, 100 + w->rank}, in[2] = {-1, -1};
    const int tag = half == w->comm ? 6 : 5; /* of one rank, the half is the whole */
    dti_batch *inner, *outer;
    EXPECT_OK(dti_batch_create(half, 2, NULL, &inner));
    EXPECT_OK(dti_batch_create(w->comm, 2, NULL, &outer));
    EXPECT_OK(dti_batch_send(outer, &out[1], sizeof(int), ranks[to], tag));
    EXPECT_OK(dti_batch_recv(inner, &in[0], sizeof(int), from, 5));
    EXPECT_OK(dti_batch_send(inner, &out[0], sizeof(int), to, 5));
    EXPECT_OK(dti_batch_recv(outer, &in[1], sizeof(int), ranks[from], tag));
    EXPECT_OK(dti_batch_wait(inner));
    EXPECT_OK(dti_batch_wait(outer));
    EXPECT_EQ(in[0], ranks[from]);
    EXPECT_EQ(in[1], 100 + ranks[from]);
    dti_batch_destroy(&inner);
    dti_batch_destroy(&outer);

    /* A group of a group: this rank alone. */
    dti_comm *alone;
    EXPECT_OK(dti_comm_group(half, 1, (int[]){w->rank / 2}, &alone));
    EXPECT_EQ(dti_comm_size(alone), 1);
    EXPECT_OK(dti_comm_agree(alone, DTENSOR_OK));
    dti_comm_release(&alone);
    dti_comm_release(&half);
  }
  free(ranks);
}
DTEST(Group, HalvesHaveTheirOwnTraffic) { run_worlds(halves); }

static void refused(const test_world *w) {
  dti_comm *group;
  EXPECT_STATUS(DTENSOR_EINVAL, dti_comm_group(w->comm, 1, (int[]){w->size}, &group));
  EXPECT_NULL(group);
  if (w->size == 1) return;
  EXPECT_STATUS(DTENSOR_EINVAL,
                dti_comm_group(w->comm, 1, (int[]){(w->rank + 1) % w->size}, &group));
  EXPECT_CONTAINS(dtensor_last_error(), "is not in the group");
}
DTEST(Group, Refused) { run_worlds(refused); }

static void node(const test_world *w) {
  int size = 0;
  EXPECT_OK(dti_comm_node_size(w->comm, &size));
  EXPECT_GE(size, 1);
  EXPECT_LE(size, w->size);
  if (w->sim) EXPECT_EQ(size, w->size);
  EXPECT_EQ(dti_comm_mpi(w->comm) == MPI_COMM_NULL, w->sim != NULL);
}
DTEST(Group, NodeSize) { run_worlds(node); }
