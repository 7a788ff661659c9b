#define _DEFAULT_SOURCE /* posix_memalign, madvise */
#include "dtensor/base/alloc.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "dtensor/memory.h"

/* A buffer that waits in the cache looks used to AddressSanitizer, so there it is freed. */
#if defined(__SANITIZE_ADDRESS__)
#define CACHES 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define CACHES 0
#endif
#endif
#ifndef CACHES
#define CACHES 1
#endif

enum {
  ALIGNMENT = 64,
  /* Bytes from which a buffer is worth keeping warm: malloc gives what is freed at the end of its
   * heap back to the system, and the next exchange pays for every page again. */
  LARGE = 1 << 16,
  HUGE_FROM = 1 << 20, /* bytes from which huge pages are asked for */
  HUGE_PAGE = 2 << 20, /* the alignment that they need */
  PAGE = 4096
};

/* In the 64 bytes before the caller's. */
typedef struct buffer {
  size_t bytes;                 /* that the caller asked for */
  size_t capacity;              /* that it has room for; 0: small, and never cached */
  void *base;                   /* what free() takes */
  struct buffer *older, *newer; /* in the cache */
} buffer;

_Static_assert(sizeof(buffer) <= ALIGNMENT, "the header must fit before the data");

static atomic_llong current, peak, allocations;

static struct {
  pthread_mutex_t lock;
  buffer *oldest, *newest;
  size_t bytes, limit;
} cache = {.lock = PTHREAD_MUTEX_INITIALIZER, .limit = CACHES ? (size_t)256 << 20 : 0};

static _Thread_local int fail_after = -1;

static void *data_of(buffer *b) { return (char *)b + ALIGNMENT; }
static buffer *buffer_of(void *memory) { return (buffer *)(void *)((char *)memory - ALIGNMENT); }

/* ---- the cache: a list in the order of age, in the headers of the buffers themselves */

static void unlink_buffer(buffer *b) {
  *(b->older ? &b->older->newer : &cache.oldest) = b->newer;
  *(b->newer ? &b->newer->older : &cache.newest) = b->older;
  cache.bytes -= b->capacity;
}

static void push_newest(buffer *b) {
  b->older = cache.newest;
  b->newer = NULL;
  *(b->older ? &b->older->newer : &cache.oldest) = b;
  cache.newest = b;
  cache.bytes += b->capacity;
}

/* The smallest that is large enough and wastes a quarter at most. */
static buffer *take_cached(size_t bytes) {
  buffer *best = NULL;
  pthread_mutex_lock(&cache.lock);
  for (buffer *b = cache.newest; b && !(best && best->capacity == bytes); b = b->older)
    if (b->capacity >= bytes && b->capacity - bytes <= bytes / 4 &&
        (!best || b->capacity < best->capacity))
      best = b;
  if (best) unlink_buffer(best);
  pthread_mutex_unlock(&cache.lock);
  return best;
}

/* Keeps `b`, if there is one, and gives back what is then over the limit, the oldest first. */
static void trim_cache(buffer *b) {
  buffer *dropped = NULL;
  pthread_mutex_lock(&cache.lock);
  if (b && b->capacity <= cache.limit) {
    push_newest(b);
    b = NULL;
  }
  while (cache.bytes > cache.limit) {
    buffer *oldest = cache.oldest;
    unlink_buffer(oldest);
    oldest->newer = dropped;
    dropped = oldest;
  }
  pthread_mutex_unlock(&cache.lock);

  if (b) free(b->base); /* larger than the whole cache */
  while (dropped) {
    buffer *next = dropped->newer;
    free(dropped->base);
    dropped = next;
  }
}

static void empty_cache(void) {
  pthread_mutex_lock(&cache.lock);
  buffer *b = cache.oldest;
  cache.oldest = cache.newest = NULL;
  cache.bytes = 0;
  pthread_mutex_unlock(&cache.lock);
  while (b) {
    buffer *next = b->newer;
    free(b->base);
    b = next;
  }
}

/* ---- new buffers */

static buffer *new_small(size_t bytes) {
  /* malloc and a hand-made alignment: aligned allocation is several times slower. */
  char *base = malloc(bytes + 2 * ALIGNMENT);
  if (!base) return NULL;
  buffer *b = (buffer *)(void *)(base + (-(uintptr_t)base & (ALIGNMENT - 1)));
  b->base = base;
  b->capacity = 0;
  return b;
}

static buffer *new_large(size_t bytes) {
  const size_t total = (bytes + ALIGNMENT + PAGE - 1) & ~(size_t)(PAGE - 1);
  const size_t alignment = bytes < HUGE_FROM ? PAGE : HUGE_PAGE;
  void *base;
  if (posix_memalign(&base, alignment, total) != 0) {
    empty_cache();
    if (posix_memalign(&base, alignment, total) != 0) return NULL;
  }
#ifdef MADV_HUGEPAGE
  if (alignment == HUGE_PAGE) madvise(base, total, MADV_HUGEPAGE); /* a hint: it may fail */
#endif
  buffer *b = base;
  b->base = base;
  b->capacity = total - ALIGNMENT;
  return b;
}

static buffer *new_buffer(size_t bytes) {
  if (bytes > PTRDIFF_MAX - 2 * HUGE_PAGE) return NULL;
  if (bytes < LARGE) return new_small(bytes);
  buffer *b = take_cached(bytes);
  return b ? b : new_large(bytes);
}

void *dti_alloc(size_t bytes) {
  if (fail_after >= 0 && fail_after-- == 0) return NULL;
  buffer *b = new_buffer(bytes);
  if (!b) return NULL;
  b->bytes = bytes;

  const long long size = (long long)bytes;
  const long long now = atomic_fetch_add_explicit(&current, size, memory_order_relaxed) + size;
  long long most = atomic_load_explicit(&peak, memory_order_relaxed);
  while (now > most && !atomic_compare_exchange_weak_explicit(
                           &peak, &most, now, memory_order_relaxed, memory_order_relaxed)) {
  }
  atomic_fetch_add_explicit(&allocations, 1, memory_order_relaxed);
  return data_of(b);
}

void dti_free(void *memory) {
  if (!memory) return;
  buffer *b = buffer_of(memory);
  atomic_fetch_sub_explicit(&current, (long long)b->bytes, memory_order_relaxed);
  if (b->capacity == 0)
    free(b->base);
  else
    trim_cache(b);
}

void dti_alloc_fail_after(int after) { fail_after = after; }

void dtensor_memory_stats(dtensor_memory_info *info) {
  if (!info) return;
  pthread_mutex_lock(&cache.lock);
  info->cached = (int64_t)cache.bytes;
  pthread_mutex_unlock(&cache.lock);
  info->current = atomic_load(&current);
  info->peak = atomic_load(&peak);
  info->allocations = atomic_load(&allocations);
}

void dtensor_memory_reset_peak(void) { atomic_store(&peak, atomic_load(&current)); }

void dtensor_memory_set_cache_limit(int64_t bytes) {
  pthread_mutex_lock(&cache.lock);
  cache.limit = CACHES && bytes > 0 ? (size_t)bytes : 0;
  pthread_mutex_unlock(&cache.lock);
  trim_cache(NULL);
}
