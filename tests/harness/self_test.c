/* The harness tries itself: what holds must pass, in one process and on MPI ranks. */
#include <pthread.h>
#include <stdlib.h>

#include "tests/harness/dtest.h"

DTEST(Harness, ComparesNumbers) {
  size_t n = 3;
  float f = 0.5f;
  int values[2] = {1, 2};
  EXPECT_EQ(1, 1);
  EXPECT_EQ(n, 3);
  EXPECT_EQ(f, 0.5);
  EXPECT_EQ(1, 1.0);
  EXPECT_NE(-1, 1);
  EXPECT_LT(-2, -1);
  EXPECT_LE(2.0, 2);
  EXPECT_GT(n, 2);
  EXPECT_GE(n, 3);
  EXPECT_NEAR(1.0, 1.0 + 1e-13, 1e-12);
  EXPECT_NE(values, NULL);
  EXPECT_NOT_NULL(values);
  EXPECT_MEMEQ(values, values, sizeof values);
  EXPECT_TRUE(EXPECT_EQ(values[1], 2));
}

DTEST(Harness, ComparesTextAndStatus) {
  EXPECT_STREQ("a", "a");
  EXPECT_CONTAINS("inner sizes differ", "sizes");
  EXPECT_OK(DTENSOR_OK);
  EXPECT_STATUS(DTENSOR_ESHAPE, DTENSOR_ESHAPE);
  EXPECT_STREQ(dtensor_status_name(DTENSOR_ESHAPE), "DTENSOR_ESHAPE");
}

DTEST(Harness, KnowsItsRank) {
  EXPECT_LT(dtest_rank(), dtest_size());
  if (dtest_comm() == MPI_COMM_NULL) {
    EXPECT_NULL(getenv("DTEST_MPI"));
    EXPECT_EQ(dtest_size(), 1);
    return;
  }
  int level = -1, sum = -1;
  MPI_Query_thread(&level);
  EXPECT_GE(level, MPI_THREAD_FUNNELED);
  MPI_Allreduce((int[]){1}, &sum, 1, MPI_INT, MPI_SUM, dtest_comm());
  EXPECT_EQ(sum, dtest_size());
}

DTEST(Harness, RanksAgree) {
  for (int i = 0; i < 100; i++) REQUIRE_TRUE(i >= 0);
  REQUIRE_OK(DTENSOR_OK);
}

static dtensor_status one_rank(void) {
  SIM_REQUIRE_TRUE(dtest_rank() < 8);
  SIM_REQUIRE_EQ(dtest_size(), 8);
  return DTENSOR_OK;
}

static void *one_thread(void *rank) {
  dtest_set_sim_rank(*(int *)rank, 8);
  EXPECT_EQ(dtest_rank(), *(int *)rank);
  EXPECT_OK(one_rank());
  return NULL;
}

DTEST(Harness, ThreadsAreRanks) {
  pthread_t threads[8];
  int ranks[8];
  for (int i = 0; i < 8; i++) {
    ranks[i] = i;
    REQUIRE_EQ(pthread_create(&threads[i], NULL, one_thread, &ranks[i]), 0);
  }
  for (int i = 0; i < 8; i++) pthread_join(threads[i], NULL);
}
