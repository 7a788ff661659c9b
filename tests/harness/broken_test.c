/* Everything here is meant to fail; it shows what the reports look like. */
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/harness/dtest.h"

static int last(void) { return dtest_size() - 1; }

DTEST(Broken, WrongOnTheLastRank) { EXPECT_EQ(dtest_rank() == last() ? 41 : 42, 42); }

DTEST(Broken, RequireOnTheLastRank) {
  REQUIRE_TRUE(dtest_rank() != last());
  EXPECT_TRUE(!"no rank comes here");
}

DTEST(Broken, OneRankReturnsEarly) {
  EXPECT_STATUS(DTENSOR_OK, DTENSOR_ESHAPE);
  if (dtest_rank() == last()) return;
  REQUIRE_TRUE(true);
}

DTEST(Broken, ManyFailures) {
  for (int i = 0; i < 1000; i++) EXPECT_LT(i, 1);
}

static void *leak_here(void *p) { return p ? p : malloc(12345); }

DTEST(Broken, LeaksOnTheLastRank) { /* with --config=asan */
  void *volatile p = dtest_rank() == last() ? leak_here(NULL) : NULL;
  p = NULL;
  EXPECT_NULL(p);
}

static void *one_thread(void *rank) {
  dtest_set_sim_rank(*(int *)rank, 4);
  EXPECT_NE(dtest_rank(), 2);
  if (getenv("DTEST_BROKEN_HANG")) sleep(1000);
  return NULL;
}

DTEST(Broken, SimulatedRankTwo) { /* and a hang with --test_env=DTEST_BROKEN_HANG=1 */
  pthread_t threads[4];
  int ranks[4] = {0, 1, 2, 3};
  for (int i = 0; i < 4; i++) pthread_create(&threads[i], NULL, one_thread, &ranks[i]);
  for (int i = 0; i < 4; i++) pthread_join(threads[i], NULL);
}
