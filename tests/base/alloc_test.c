#include "dtensor/base/alloc.h"

#include <dtensor/memory.h>
#include <pthread.h>
#include <stdint.h>
#include <string.h>

#include "tests/harness/dtest.h"

static const size_t MIB = 1 << 20;

static dtensor_memory_info stats(void) {
  dtensor_memory_info info;
  dtensor_memory_stats(&info);
  return info;
}

/* AddressSanitizer builds have no cache. */
static bool caches(void) {
  dti_free(dti_alloc(MIB));
  return stats().cached > 0;
}

static void start_with_empty_cache(void) {
  dtensor_memory_set_cache_limit(0);
  dtensor_memory_set_cache_limit((int64_t)(256 * MIB));
}

DTEST(Alloc, AlignedAndWritable) {
  static const size_t sizes[] = {0, 1, 63, 64, 65, 128, 65535, 65536, 1 << 20, (5 << 20) + 7};
  for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
    char *memory = dti_alloc(sizes[i]);
    REQUIRE_NOT_NULL(memory);
    EXPECT_EQ((uintptr_t)memory % 64, 0u);
    memset(memory, 0x5a, sizes[i]);
    dti_free(memory);
  }
  dti_free(NULL);
}

DTEST(Alloc, CountsBytes) {
  const dtensor_memory_info before = stats();
  void *small = dti_alloc(100), *large = dti_alloc(3 * MIB);
  dtensor_memory_info now = stats();
  EXPECT_EQ(now.current - before.current, 100 + (int64_t)(3 * MIB));
  EXPECT_EQ(now.allocations - before.allocations, 2);
  dti_free(large);
  dti_free(small);
  now = stats();
  EXPECT_EQ(now.current, before.current);
  EXPECT_GE(now.peak - before.current, 100 + (int64_t)(3 * MIB));
  dtensor_memory_reset_peak();
  EXPECT_EQ(stats().peak, now.current);
  dtensor_memory_stats(NULL); /* nobody asks */
}

DTEST(Alloc, LargeBuffersStayWarm) {
  start_with_empty_cache();
  if (!caches()) return;
  start_with_empty_cache();
  char *first = dti_alloc(4 * MIB);
  dti_free(first);
  EXPECT_GE(stats().cached, (int64_t)(4 * MIB));

  EXPECT_EQ((void *)dti_alloc(4 * MIB), (void *)first);
  EXPECT_EQ(stats().cached, 0);
  dti_free(first);
  void *smaller = dti_alloc(4 * MIB - MIB / 2); /* wastes less than a quarter */
  EXPECT_EQ(smaller, (void *)first);
  dti_free(smaller);
  void *much_smaller = dti_alloc(2 * MIB);
  EXPECT_NE(much_smaller, (void *)first);
  dti_free(much_smaller);
}

DTEST(Alloc, CacheTakesTheBestFit) {
  start_with_empty_cache();
  if (!caches()) return;
  start_with_empty_cache();
  void *larger = dti_alloc(11 * MIB), *best = dti_alloc(10 * MIB + 100);
  dti_free(best);
  dti_free(larger);
  void *taken = dti_alloc(10 * MIB);
  EXPECT_EQ(taken, best);
  dti_free(taken);
}

DTEST(Alloc, CacheDropsTheOldest) {
  if (!caches()) return;
  start_with_empty_cache();
  dtensor_memory_set_cache_limit((int64_t)(9 * MIB));
  void *oldest = dti_alloc(4 * MIB), *newer = dti_alloc(3 * MIB), *newest = dti_alloc(5 * MIB);
  dti_free(oldest);
  dti_free(newer);
  dti_free(newest);
  EXPECT_GE(stats().cached, (int64_t)(8 * MIB));
  EXPECT_LE(stats().cached, (int64_t)(9 * MIB));
  dti_free(dti_alloc(16 * MIB)); /* larger than the cache: it drives out nothing */
  EXPECT_GE(stats().cached, (int64_t)(8 * MIB));
  dtensor_memory_set_cache_limit((int64_t)(6 * MIB));
  EXPECT_GE(stats().cached, (int64_t)(5 * MIB));
  EXPECT_LE(stats().cached, (int64_t)(6 * MIB));
  dtensor_memory_set_cache_limit(0);
  EXPECT_EQ(stats().cached, 0);
  dti_free(dti_alloc(2 * MIB));
  EXPECT_EQ(stats().cached, 0);
  start_with_empty_cache();
}

DTEST(Alloc, FailsWhenTold) {
  const dtensor_memory_info before = stats();
  dti_alloc_fail_after(1);
  void *first = dti_alloc(8), *second = dti_alloc(8), *third = dti_alloc(8);
  EXPECT_NOT_NULL(first);
  EXPECT_NULL(second);
  EXPECT_NOT_NULL(third);
  EXPECT_EQ(stats().allocations - before.allocations, 2);
  dti_alloc_fail_after(0);
  dti_alloc_fail_after(-1);
  void *fourth = dti_alloc(8);
  EXPECT_NOT_NULL(fourth);
  dti_free(first);
  dti_free(third);
  dti_free(fourth);
}

DTEST(Alloc, RefusesWhatNoMachineHas) {
  const dtensor_memory_info before = stats();
  EXPECT_NULL(dti_alloc(SIZE_MAX));
  EXPECT_NULL(dti_alloc(SIZE_MAX - 100));
  EXPECT_NULL(dti_alloc(PTRDIFF_MAX));
  EXPECT_EQ(stats().current, before.current);
}

static void *churn(void *seed) {
  unsigned state = *(unsigned *)seed;
  void *held[8] = {0};
  for (int i = 0; i < 1000; i++) {
    state = state * 1664525u + 1013904223u;
    void **slot = &held[state >> 29];
    dti_free(*slot);
    *slot = dti_alloc(state % 16 ? state >> 12 & 0xffff : MIB + (state >> 8 & 0xfffff));
    if (!EXPECT_NOT_NULL(*slot)) break;
    *(char *)*slot = (char)state;
  }
  for (int i = 0; i < 8; i++) dti_free(held[i]);
  return NULL;
}

DTEST(Alloc, ManyThreads) {
  const int64_t before = stats().current;
  pthread_t threads[4];
  unsigned seeds[4] = {1, 2, 3, 4};
  for (int i = 0; i < 4; i++) REQUIRE_EQ(pthread_create(&threads[i], NULL, churn, &seeds[i]), 0);
  for (int i = 0; i < 4; i++) pthread_join(threads[i], NULL);
  EXPECT_EQ(stats().current, before);
}
