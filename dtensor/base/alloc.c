/* Buffers in the arena: small ones in classes of one size, each with a list of free blocks; the
 * others in extents of whole pages, which stay warm for a while when they are freed.
 *
 * Large extents begin at a huge page, and lie in a part of the arena of their own, so that small
 * ones do not break up the room between them. */
#include "dtensor/base/alloc.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>

#include "dtensor/base/arena.h"
#include "dtensor/base/extent.h"
#include "dtensor/base/segment.h"
#include "dtensor/memory.h"

#if defined(__SANITIZE_ADDRESS__)
#define ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ASAN 1
#endif
#endif

/* AddressSanitizer is told by hand what is not a caller's: what is free, headers and tails. */
#ifdef ASAN
#include <sanitizer/asan_interface.h>
#define HIDE(memory, bytes) ASAN_POISON_MEMORY_REGION(memory, bytes)
#define SHOW(memory, bytes) ASAN_UNPOISON_MEMORY_REGION(memory, bytes)
#define READS_HEADERS __attribute__((no_sanitize_address))
enum { TAIL = 64 };
#else
#define HIDE(memory, bytes) ((void)(memory))
#define SHOW(memory, bytes) ((void)(memory))
#define READS_HEADERS
enum { TAIL = 0 };
#endif

enum {
  ALIGNMENT = 64,
  SMALL = 1 << 16,       /* the largest block of a class, with its header */
  SLAB = 1 << 16,        /* so much at once for a class, or */
  SLAB_BLOCKS = 8,       /* so many of its blocks */
  CLASSES = 37,          /* class_of(SMALL) + 1 */
  LARGE = DTI_HUGE_PAGE, /* bytes from which a buffer begins at a huge page */
};
/* Two copies of a matrix of 4096 x 4096 doubles, their sum, and as much again in flight. */
#define DEFAULT_LIMIT ((size_t)1 << 30)

/* In the 64 bytes before the caller's, unless it is large. */
typedef struct block {
  size_t bytes;       /* that the caller asked for */
  dti_extent *extent; /* NULL: it is of a class */
  int size_class;
  struct block *next; /* free */
} block;
_Static_assert(sizeof(block) <= ALIGNMENT, "the header must fit before the data");

typedef struct size_class {
  pthread_mutex_t lock;
  block *free;
  char *fresh, *end; /* of its last slab, what was never used */
} size_class;

static size_class classes[CLASSES];

static struct {
  pthread_mutex_t lock;
  char *base;
  size_t large_from; /* the offset where large ones begin */
  dti_extents medium, large;
  dti_extent **large_at; /* by number of the huge page where it begins */
  size_t limit;          /* of warm bytes */
} arena = {.lock = PTHREAD_MUTEX_INITIALIZER, .limit = DEFAULT_LIMIT};

static pthread_once_t once = PTHREAD_ONCE_INIT;
static atomic_llong current, peak, allocations;
static _Thread_local int fail_after = -1;

/* ---- the beginning, and forks */

static void before_fork(void) {
  for (int i = 0; i < CLASSES; i++) pthread_mutex_lock(&classes[i].lock);
  pthread_mutex_lock(&arena.lock);
}

static void after_fork(void) {
  pthread_mutex_unlock(&arena.lock);
  for (int i = 0; i < CLASSES; i++) pthread_mutex_unlock(&classes[i].lock);
}

static void in_child(void) {
  dti_arena_after_fork();
  after_fork();
}

/* Without memory for its tables, the arena has no room: all allocations fail. */
static void begin(void) {
  size_t bytes;
  arena.base = dti_arena_base(&bytes);
  for (int i = 0; i < CLASSES; i++) pthread_mutex_init(&classes[i].lock, NULL);
  pthread_atfork(before_fork, after_fork, in_child);
  if (!arena.base) return;
  arena.large_from = bytes / 4 / DTI_HUGE_PAGE * DTI_HUGE_PAGE;
  arena.large_at = calloc((bytes - arena.large_from) / DTI_HUGE_PAGE, sizeof *arena.large_at);
  if (!arena.large_at || !dti_extents_init(&arena.medium, DTI_PAGE, arena.large_from - DTI_PAGE))
    return; /* the first page has the stamp */
  dti_extents_init(&arena.large, arena.large_from, bytes - arena.large_from);
}

/* ---- extents */

static size_t warm(void) { return arena.medium.warm + arena.large.warm; }

static void give_back(dti_extent *e) {
  dti_arena_give_back(e->offset, e->bytes);
  pthread_mutex_lock(&arena.lock);
  dti_extents_put(e, DTI_EXTENT_COLD);
  pthread_mutex_unlock(&arena.lock);
}

static void trim_to(size_t limit) {
  for (;;) {
    pthread_mutex_lock(&arena.lock);
    dti_extents *more = arena.medium.warm > arena.large.warm ? &arena.medium : &arena.large;
    dti_extent *e = warm() > limit ? dti_extents_take_oldest(more, warm() - limit) : NULL;
    pthread_mutex_unlock(&arena.lock);
    if (!e) return;
    give_back(e);
  }
}

/* Whole huge pages become warm: on small ones neighbours lie anywhere in the caches, and lose their
 * places to each other. */
static void warm_huge_pages(dti_extents *to, size_t bytes) {
  bytes = (bytes + DTI_HUGE_PAGE - 1) / DTI_HUGE_PAGE * DTI_HUGE_PAGE;
  pthread_mutex_lock(&arena.lock);
  const int room = warm() + bytes <= arena.limit;
  dti_extent *e = room ? dti_extents_take(to, DTI_EXTENT_COLD, bytes, DTI_HUGE_PAGE) : NULL;
  pthread_mutex_unlock(&arena.lock);
  if (!e) return;
  if (!dti_arena_back(e->offset, e->bytes)) {
    give_back(e);
    return;
  }
  pthread_mutex_lock(&arena.lock);
  dti_extents_put(e, DTI_EXTENT_WARM);
  pthread_mutex_unlock(&arena.lock);
}

static dti_extent *try_warm(dti_extents *from, size_t bytes, size_t alignment) {
  pthread_mutex_lock(&arena.lock);
  dti_extent *e = dti_extents_take(from, DTI_EXTENT_WARM, bytes, alignment);
  pthread_mutex_unlock(&arena.lock);
  return e;
}

static dti_extent *try_extent(dti_extents *from, size_t bytes, size_t alignment) {
  dti_extent *e = try_warm(from, bytes, alignment);
  if (!e && alignment < DTI_HUGE_PAGE) {
    warm_huge_pages(from, bytes);
    e = try_warm(from, bytes, alignment);
  }
  if (e) return e;
  pthread_mutex_lock(&arena.lock);
  e = dti_extents_take(from, DTI_EXTENT_COLD, bytes, alignment);
  pthread_mutex_unlock(&arena.lock);
  if (!e || dti_arena_back(e->offset, e->bytes)) return e;
  give_back(e);
  return NULL;
}

static dti_extent *new_extent(dti_extents *from, size_t bytes, size_t alignment) {
  bytes = (bytes + DTI_PAGE - 1) & ~(size_t)(DTI_PAGE - 1);
  dti_extent *e = try_extent(from, bytes, alignment);
  if (!e) {
    trim_to(0); /* what is cached may be the memory, or the addresses, that are missing */
    e = try_extent(from, bytes, alignment);
  }
  if (e) HIDE(arena.base + e->offset, e->bytes);
  return e;
}

static void free_extent(dti_extent *e) {
  HIDE(arena.base + e->offset, e->bytes);
  pthread_mutex_lock(&arena.lock);
  const size_t limit = arena.limit;
  const int keep = e->bytes <= limit;
  if (keep) dti_extents_put(e, DTI_EXTENT_WARM);
  const int is_too_much = keep && warm() > limit;
  pthread_mutex_unlock(&arena.lock);
  if (is_too_much) trim_to(limit);
  if (!keep) give_back(e);
}

/* ---- buffers of each kind */

static void *data_of(block *b) { return (char *)b + ALIGNMENT; }
static block *block_of(void *data) { return (block *)(void *)((char *)data - ALIGNMENT); }

/* Four classes for each doubling of the size; *bytes becomes that of the class. */
static int class_of(size_t *bytes) {
  size_t units = (*bytes + ALIGNMENT - 1) / ALIGNMENT;
  int number = (int)units;
  if (units >= 4) {
    const int shift = 61 - __builtin_clzll(units);
    units = (units + ((size_t)1 << shift) - 1) >> shift;
    number = 4 * shift + (int)units;
    units <<= shift;
  }
  *bytes = units * ALIGNMENT;
  return number;
}

static int new_slab(size_class *c, size_t block_bytes) {
  const size_t bytes = block_bytes * SLAB_BLOCKS > SLAB ? block_bytes * SLAB_BLOCKS : SLAB;
  dti_extent *e = new_extent(&arena.medium, bytes, DTI_PAGE);
  if (!e) return 0;
  c->fresh = arena.base + e->offset;
  c->end = c->fresh + bytes / block_bytes * block_bytes;
  return 1;
}

READS_HEADERS static void *new_small(size_t bytes) {
  size_t total = bytes + ALIGNMENT + TAIL;
  const int number = class_of(&total);
  size_class *c = &classes[number];
  block *b = NULL;
  pthread_mutex_lock(&c->lock);
  if (c->free) {
    b = c->free;
    c->free = b->next;
  } else if (c->fresh < c->end || new_slab(c, total)) {
    b = (block *)(void *)c->fresh;
    c->fresh += total;
  }
  pthread_mutex_unlock(&c->lock);
  if (!b) return NULL;
  *b = (block){.bytes = bytes, .size_class = number};
  return data_of(b);
}

READS_HEADERS static void *new_medium(size_t bytes) {
  dti_extent *e = new_extent(&arena.medium, ALIGNMENT + bytes + TAIL, DTI_PAGE);
  if (!e) return NULL;
  block *b = (block *)(void *)(arena.base + e->offset);
  *b = (block){.bytes = bytes, .extent = e};
  return data_of(b);
}

static dti_extent **large_at(size_t offset) {
  return &arena.large_at[(offset - arena.large_from) / DTI_HUGE_PAGE];
}

static void *new_large(size_t bytes) {
  dti_extent *e = new_extent(&arena.large, bytes + TAIL, DTI_HUGE_PAGE);
  if (!e) return NULL;
  e->asked = bytes;
  *large_at(e->offset) = e;
  return arena.base + e->offset;
}

void *dti_alloc_permanent(size_t bytes) {
  pthread_once(&once, begin);
  if (bytes > PTRDIFF_MAX || !arena.base) return NULL;
  void *memory = bytes <= SMALL - ALIGNMENT - TAIL ? new_small(bytes)
                 : bytes < LARGE                   ? new_medium(bytes)
                                                   : new_large(bytes);
  if (memory) SHOW(memory, bytes);
  return memory;
}

void *dti_alloc(size_t bytes) {
  dti_segments_collect();
  if (fail_after >= 0 && fail_after-- == 0) return NULL;
  void *memory = dti_alloc_permanent(bytes);
  if (!memory) return NULL;

  const long long size = (long long)bytes;
  const long long now = atomic_fetch_add_explicit(&current, size, memory_order_relaxed) + size;
  long long most = atomic_load_explicit(&peak, memory_order_relaxed);
  while (now > most && !atomic_compare_exchange_weak_explicit(
                           &peak, &most, now, memory_order_relaxed, memory_order_relaxed)) {
  }
  atomic_fetch_add_explicit(&allocations, 1, memory_order_relaxed);
  return memory;
}

READS_HEADERS void dti_free(void *memory) {
  if (!memory) return;
  const size_t offset = (size_t)((char *)memory - arena.base);
  const int is_large = offset >= arena.large_from;
  block *b = is_large ? NULL : block_of(memory);
  dti_extent *e = is_large ? *large_at(offset) : b->extent;
  const size_t bytes = is_large ? e->asked : b->bytes;
  atomic_fetch_sub_explicit(&current, (long long)bytes, memory_order_relaxed);
  if (e) {
    free_extent(e);
    return;
  }
  HIDE(memory, bytes);
  size_class *c = &classes[b->size_class];
  pthread_mutex_lock(&c->lock);
  b->next = c->free;
  c->free = b;
  pthread_mutex_unlock(&c->lock);
}

int dti_alloc_fail_after(int after) {
  const int left = fail_after;
  fail_after = after;
  return left;
}

void dtensor_memory_stats(dtensor_memory_info *info) {
  if (!info) return;
  dti_segments_collect();
  pthread_mutex_lock(&arena.lock);
  info->cached = (int64_t)warm();
  pthread_mutex_unlock(&arena.lock);
  info->current = atomic_load(&current);
  info->peak = atomic_load(&peak);
  info->allocations = atomic_load(&allocations);
}

void dtensor_memory_reset_peak(void) {
  dti_segments_collect();
  atomic_store(&peak, atomic_load(&current));
}

void dtensor_memory_set_cache_limit(int64_t bytes) {
  const size_t limit = bytes > 0 ? (size_t)bytes : 0;
  pthread_mutex_lock(&arena.lock);
  arena.limit = limit;
  pthread_mutex_unlock(&arena.lock);
  trim_to(limit);
}
