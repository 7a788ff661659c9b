#define _DEFAULT_SOURCE /* mincore */
#include "dtensor/base/alloc.h"

#include <dtensor/memory.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "dtensor/base/arena.h"
#include "tests/harness/dtest.h"

static const size_t MIB = 1 << 20;

static dtensor_memory_info stats(void) {
  dtensor_memory_info info;
  dtensor_memory_stats(&info);
  return info;
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

/* Pages of it that have memory. */
static size_t resident(const char *memory, size_t bytes) {
  unsigned char page[4096];
  const size_t pages = (bytes + 4095) / 4096;
  size_t n = 0;
  if (!EXPECT_LE(pages, sizeof page)) return 0;
  if (!EXPECT_EQ(mincore((void *)(uintptr_t)memory, bytes, page), 0)) return 0;
  for (size_t i = 0; i < pages; i++) n += page[i] & 1;
  return n;
}

DTEST(Alloc, LargeBuffersStayWarm) {
  start_with_empty_cache();
  char *first = dti_alloc(4 * MIB);
  dti_free(first);
  EXPECT_GE(stats().cached, (int64_t)(4 * MIB));

  EXPECT_EQ((void *)dti_alloc(4 * MIB), (void *)first);
  EXPECT_LT(stats().cached, (int64_t)MIB);
  dti_free(first);
  void *smaller = dti_alloc(2 * MIB); /* a part of it: the rest stays where it is */
  EXPECT_EQ(smaller, (void *)first);
  EXPECT_GE(stats().cached, (int64_t)(2 * MIB - MIB / 4));
  dti_free(smaller);
  EXPECT_EQ((void *)dti_alloc(4 * MIB), (void *)first); /* whole again */
  dti_free(first);
}

DTEST(Alloc, LargeBuffersBeginAtHugePages) {
  for (size_t bytes = 2 * MIB; bytes < 9 * MIB; bytes += MIB / 2 + 8) {
    char *memory = dti_alloc(bytes);
    EXPECT_EQ((uintptr_t)memory % (2 * MIB), 0u);
    EXPECT_EQ(resident(memory, bytes), (bytes + 4095) / 4096);
    dti_free(memory);
  }
}

/* As far as the cache has room for the rest of the page. */
DTEST(Alloc, SmallerBuffersShareHugePages) {
  start_with_empty_cache();
  char *first = dti_alloc(300 << 10), *second = dti_alloc(300 << 10);
  EXPECT_EQ((uintptr_t)first / (2 * MIB), (uintptr_t)second / (2 * MIB));
  EXPECT_GE(stats().cached, (int64_t)MIB);
  EXPECT_LT(stats().cached, (int64_t)(2 * MIB));
  dti_free(first);
  dti_free(second);
  dtensor_memory_set_cache_limit(0);
  first = dti_alloc(300 << 10);
  EXPECT_EQ(stats().cached, 0);
  EXPECT_EQ(resident(first - 64, 300 << 10), 75u);
  dti_free(first);
  start_with_empty_cache();
}

DTEST(Alloc, CacheTakesTheBestFit) {
  start_with_empty_cache();
  void *larger = dti_alloc(11 * MIB), *between = dti_alloc(2 * MIB);
  void *best = dti_alloc(10 * MIB + 100), *behind = dti_alloc(2 * MIB);
  dti_free(best);
  dti_free(larger);
  void *taken = dti_alloc(10 * MIB);
  EXPECT_EQ(taken, best);
  dti_free(taken);
  dti_free(between);
  dti_free(behind);
}

/* Freed in any order, neighbours become one. */
DTEST(Alloc, NeighboursBecomeOne) {
  enum { N = 4 };
  static const int orders[][N] = {{0, 1, 2, 3}, {3, 2, 1, 0}, {1, 3, 0, 2}, {0, 2, 1, 3}};
  const size_t part = 4 * MIB - 64; /* to a whole number of huge pages, with any tail */
  for (size_t order = 0; order < sizeof orders / sizeof *orders; order++) {
    start_with_empty_cache();
    char *at[N];
    for (int i = 0; i < N; i++) at[i] = dti_alloc(part);
    for (int i = 1; i < N; i++) REQUIRE_EQ((void *)at[i], (void *)(at[i - 1] + 4 * MIB));
    for (int i = 0; i < N; i++) dti_free(at[orders[order][i]]);
    void *whole = dti_alloc(N * 4 * MIB - 64);
    EXPECT_EQ(whole, (void *)at[0]);
    dti_free(whole);
  }
}

DTEST(Alloc, CacheDropsTheOldest) {
  start_with_empty_cache();
  dtensor_memory_set_cache_limit((int64_t)(10 * MIB));
  const size_t part = 4 * MIB - 64; /* 4 MiB, with any tail */
  char *oldest = dti_alloc(part), *between = dti_alloc(2 * MIB);
  char *newer = dti_alloc(part), *behind = dti_alloc(2 * MIB);
  char *newest = dti_alloc(part);
  dti_free(oldest);
  dti_free(newer);
  EXPECT_EQ(resident(oldest, 4 * MIB), 4 * MIB / 4096);
  dti_free(newest); /* too much: of the oldest, a part is given back */
  EXPECT_GE(stats().cached, (int64_t)(9 * MIB));
  EXPECT_LE(stats().cached, (int64_t)(10 * MIB));
  EXPECT_EQ(resident(oldest, 2 * MIB), 2 * MIB / 4096);
  EXPECT_EQ(resident(oldest + 2 * MIB, 2 * MIB), 0u);
  EXPECT_EQ(resident(newer, 4 * MIB), 4 * MIB / 4096);
  EXPECT_EQ(resident(newest, 4 * MIB), 4 * MIB / 4096);

  char *huge = dti_alloc(16 * MIB);
  dti_free(huge); /* larger than the cache: it drives out nothing */
  EXPECT_GE(stats().cached, (int64_t)(9 * MIB));
  EXPECT_EQ(resident(huge, 16 * MIB), 0u);
  dtensor_memory_set_cache_limit((int64_t)(4 * MIB));
  EXPECT_LE(stats().cached, (int64_t)(4 * MIB));
  EXPECT_EQ(resident(oldest, 4 * MIB), 0u);
  EXPECT_EQ(resident(newest, 2 * MIB), 2 * MIB / 4096);
  dtensor_memory_set_cache_limit(0);
  EXPECT_EQ(stats().cached, 0);
  EXPECT_EQ(resident(newest, 4 * MIB), 0u);
  char *last = dti_alloc(3 * MIB);
  EXPECT_EQ(resident(last, 3 * MIB), 3 * MIB / 4096);
  for (size_t i = 0; i < 3 * MIB; i++) REQUIRE_EQ(last[i], 0); /* as it was given back */
  dti_free(last);
  EXPECT_EQ(stats().cached, 0);
  dti_free(between);
  dti_free(behind);
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
  for (int log = 62; log > 44; log--) EXPECT_NULL(dti_alloc((size_t)1 << log));
  /* Some address space, but less memory. */
  const size_t machine = (size_t)sysconf(_SC_PHYS_PAGES) * (size_t)sysconf(_SC_PAGESIZE);
  EXPECT_NULL(dti_alloc(machine));
  EXPECT_NULL(dti_alloc(machine / 10 * 11));
  EXPECT_EQ(stats().current, before.current);
}

/* Many of each size at once: none overlaps another, or changes when others are freed. */
DTEST(Alloc, EverySizeIsItsOwn) {
  enum { N = 600 };
  unsigned char *held[N];
  size_t bytes[N];
  for (int i = 0; i < N; i++) {
    bytes[i] = (size_t)i * (size_t)i * 3 / 2 + (size_t)(i % 7);
    held[i] = dti_alloc(bytes[i]);
    REQUIRE_NOT_NULL(held[i]);
    memset(held[i], i, bytes[i]);
  }
  for (int i = 0; i < N; i += 2) {
    dti_free(held[i]);
    held[i] = dti_alloc(bytes[i] / 2);
    REQUIRE_NOT_NULL(held[i]);
    bytes[i] /= 2;
    memset(held[i], i, bytes[i]);
  }
  size_t wrong = 0;
  for (int i = 0; i < N; i++)
    for (size_t k = 0; k < bytes[i]; k++) wrong += held[i][k] != (unsigned char)i;
  EXPECT_EQ(wrong, 0u);
  for (int i = 0; i < N; i++) dti_free(held[i]);
}

static int child_of(char *shared, char *large) {
  int fd;
  void *base;
  size_t bytes;
  const char *reason;
  if (dti_arena_shared(&fd, &base, &bytes, &reason) || !reason[0]) return 1;
  if (shared[0] != 'p' || large[5] != 'q') return 2; /* what there was is there */
  shared[0] = large[5] = 'c';
  dtensor_memory_set_cache_limit(0); /* gives back the memory of this process alone */
  dti_free(large);
  char *own = dti_alloc(8 * MIB);
  if (!own) return 3;
  memset(own, 'c', 8 * MIB);
  dti_free(own);
  return 0;
}

DTEST(Alloc, AForkedChildHasItsOwn) {
  char *small = dti_alloc(100), *large = dti_alloc(8 * MIB);
  memset(small, 'p', 100);
  memset(large, 'q', 8 * MIB);
  const pid_t child = fork();
  if (child == 0) _exit(child_of(small, large));
  int status = -1;
  REQUIRE_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  for (size_t i = 0; i < 100; i++) REQUIRE_EQ(small[i], 'p');
  for (size_t i = 0; i < 8 * MIB; i++) REQUIRE_EQ(large[i], 'q');
  dti_free(small);
  dti_free(large);
}

DTEST(Alloc, LiesInTheArena) {
  int fd;
  void *base;
  size_t bytes;
  const char *reason;
  const int shared = dti_arena_shared(&fd, &base, &bytes, &reason);
  const char *setting = getenv("DTENSOR_SHARED_MEMORY");
  EXPECT_EQ(shared, !(setting && setting[0] == '0'));
  EXPECT_EQ(shared, reason[0] == '\0');
  EXPECT_EQ(shared, fd >= 0);
  static const size_t sizes[] = {0, 100, 100000, 3 << 20};
  for (int i = 0; i < 4; i++) {
    char *memory = dti_alloc(sizes[i]);
    const int64_t offset = shared ? memory - (char *)base : -1;
    EXPECT_EQ(dti_arena_offset(memory, sizes[i]), offset);
    EXPECT_EQ(dti_arena_offset(memory, bytes), -1);
    dti_free(memory);
  }
  EXPECT_EQ(dti_arena_offset(&fd, sizeof fd), -1);
  EXPECT_EQ(dti_arena_offset((char *)base + bytes, 0), -1);
}

#ifdef __SANITIZE_ADDRESS__
int __asan_address_is_poisoned(void const volatile *address);

DTEST(Alloc, AddressSanitizerSeesTheEdges) {
  static const size_t sizes[] = {1, 64, 100, 4096, 100000, 2 << 20, (3 << 20) + 1};
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
    char *memory = dti_alloc(sizes[i]);
    EXPECT_FALSE(__asan_address_is_poisoned(memory));
    EXPECT_FALSE(__asan_address_is_poisoned(memory + sizes[i] - 1));
    EXPECT_TRUE(__asan_address_is_poisoned(memory + sizes[i]));
    if (sizes[i] < 2 << 20) EXPECT_TRUE(__asan_address_is_poisoned(memory - 1));
    dti_free(memory);
    EXPECT_TRUE(__asan_address_is_poisoned(memory));
    EXPECT_TRUE(__asan_address_is_poisoned(memory + sizes[i] - 1));
  }
}
#endif

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
