#define _GNU_SOURCE /* memfd_create, fallocate, madvise */
#include "dtensor/base/arena.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <unistd.h>

/* Numbers that the kernel fixed long before C libraries named them. */
#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif

/* Addresses cost nothing, but a process maps the arenas of all ranks of its node: 2^47 bytes in all
 * are enough for 128 of these. */
#define LARGEST_ARENA ((size_t)1 << 40)
/* Of so much at once, first ask what the machine has: reading that takes a fraction of the time
 * that backing the memory takes. */
#define ASK_FROM ((size_t)256 << 20)

static pthread_once_t once = PTHREAD_ONCE_INIT;
static struct {
  char *base;
  size_t bytes;
  int fd;           /* -1: private */
  char reason[160]; /* why it is private */
} arena = {.fd = -1};

static void stay_private(const char *why, int error) {
  snprintf(arena.reason, sizeof arena.reason, "%s%s%s", why, error ? ": " : "",
           error ? strerror(error) : "");
  if (arena.fd >= 0) close(arena.fd);
  arena.fd = -1;
}

static size_t limit_of_addresses(void) {
  struct rlimit limit;
  return getrlimit(RLIMIT_AS, &limit) == 0 ? (size_t)limit.rlim_cur : SIZE_MAX;
}

static size_t limit_of_files(void) {
  struct rlimit limit;
  return getrlimit(RLIMIT_FSIZE, &limit) == 0 ? (size_t)limit.rlim_cur : SIZE_MAX;
}

/* Twice the memory of the machine, as free addresses are scattered among used ones. */
static size_t wanted_bytes(void) {
  const long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
  size_t bytes = pages > 0 && page > 0 ? 2 * (size_t)pages * (size_t)page : LARGEST_ARENA;
  if (bytes > LARGEST_ARENA) bytes = LARGEST_ARENA;
  if (bytes > limit_of_addresses() / 2) bytes = limit_of_addresses() / 2;
  return bytes / DTI_HUGE_PAGE * DTI_HUGE_PAGE;
}

/* An aligned range of addresses without memory, halved until there is one. */
static void reserve(void) {
  for (size_t bytes = wanted_bytes(); bytes >= 8 * (size_t)DTI_HUGE_PAGE;
       bytes = bytes / 2 / DTI_HUGE_PAGE * DTI_HUGE_PAGE) {
    char *range = mmap(NULL, bytes + DTI_HUGE_PAGE, PROT_NONE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (range == MAP_FAILED) continue;
    const size_t before = -(uintptr_t)range & (DTI_HUGE_PAGE - 1);
    if (before > 0) munmap(range, before);
    munmap(range + before + bytes, DTI_HUGE_PAGE - before);
    arena.base = range + before;
    arena.bytes = bytes;
    return;
  }
}

/* Put memory under the range: of the file, or of nobody else. */
static int map(int flags) {
  return mmap(arena.base, arena.bytes, PROT_READ | PROT_WRITE, flags | MAP_FIXED | MAP_NORESERVE,
              arena.fd, 0) != MAP_FAILED;
}

static int make_private(void) {
  if (!map(MAP_PRIVATE | MAP_ANONYMOUS)) return 0;
  madvise(arena.base, arena.bytes, MADV_HUGEPAGE); /* a hint: it may fail */
  return 1;
}

static int make_shared(void) {
  const char *setting = getenv("DTENSOR_SHARED_MEMORY");
  if (setting && strcmp(setting, "0") == 0) {
    stay_private("DTENSOR_SHARED_MEMORY=0 is set", 0);
    return 0;
  }
  if (arena.bytes > limit_of_files()) {
    stay_private("the limit of file sizes (ulimit -f) is below the memory of this machine", 0);
    return 0;
  }
  if (limit_of_addresses() != (size_t)RLIM_INFINITY) {
    stay_private("the address space is limited (ulimit -v)", 0);
    return 0;
  }
  dti_arena_stamp stamp;
  if (getrandom(&stamp, sizeof stamp, 0) != (ssize_t)sizeof stamp) {
    stay_private("no random numbers", errno);
    return 0;
  }
  arena.fd = memfd_create("dtensor", MFD_CLOEXEC);
  if (arena.fd < 0 || ftruncate(arena.fd, (off_t)arena.bytes) != 0 ||
      pwrite(arena.fd, &stamp, sizeof stamp, 0) != (ssize_t)sizeof stamp || !map(MAP_SHARED)) {
    stay_private("no file in memory could be made", errno);
    return 0;
  }
  return 1;
}

static void make_arena(void) {
  reserve();
  if (!arena.base)
    stay_private("no addresses are left", 0);
  else if (!make_shared() && !make_private())
    arena.base = NULL;
}

char *dti_arena_base(size_t *bytes) {
  pthread_once(&once, make_arena);
  *bytes = arena.bytes;
  return arena.base;
}

int dti_arena_shared(int *fd, void **base, size_t *bytes, const char **reason) {
  *base = dti_arena_base(bytes);
  *fd = arena.fd;
  *reason = arena.reason;
  return arena.fd >= 0;
}

int64_t dti_arena_offset(const void *data, size_t bytes) {
  const uintptr_t at = (uintptr_t)data - (uintptr_t)arena.base;
  if (arena.fd < 0 || at >= arena.bytes || bytes > arena.bytes - at) return -1;
  return (int64_t)at;
}

/* Whether the machine has so much to give; without an answer, yes. */
static int available(size_t bytes) {
  FILE *info = fopen("/proc/meminfo", "re");
  if (!info) return 1;
  char line[128];
  unsigned long long kilobytes;
  int enough = 1;
  while (fgets(line, sizeof line, info))
    if (sscanf(line, "MemAvailable: %llu", &kilobytes) == 1) enough = bytes >> 10 <= kilobytes;
  fclose(info);
  return enough;
}

/* A kernel that does not know how to populate (before 5.14) leaves it to the first touch, or, for
 * the file, to its allocation. */
static int populate(char *from, size_t bytes) {
  if (madvise(from, bytes, MADV_POPULATE_WRITE) == 0) return 1;
  if (errno != EINVAL) return 0;
  return arena.fd < 0 || fallocate(arena.fd, 0, from - arena.base, (off_t)bytes) == 0;
}

int dti_arena_back(size_t offset, size_t bytes) {
  if (bytes >= ASK_FROM && !available(bytes)) return 0;
  char *from = arena.base + offset;
  const size_t huge = bytes / DTI_HUGE_PAGE * DTI_HUGE_PAGE;
  if (arena.fd >= 0 && huge > 0 && offset % DTI_HUGE_PAGE == 0) {
    /* Huge pages of a file are off in most systems, but a range that has a page in each can be
     * asked to become huge. That also backs it, ten times faster than page by page. */
    for (size_t at = 0; at < huge; at += DTI_HUGE_PAGE)
      if (!populate(from + at, DTI_PAGE)) return 0;
    madvise(from, huge, MADV_COLLAPSE); /* may fail: then they are small */
  }
  return populate(from, bytes);
}

void dti_arena_give_back(size_t offset, size_t bytes) {
  if (arena.fd < 0)
    madvise(arena.base + offset, bytes, MADV_DONTNEED);
  else
    fallocate(arena.fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)offset, (off_t)bytes);
}

void dti_arena_after_fork(void) {
  if (arena.fd < 0) return;
  map(MAP_PRIVATE);
  stay_private("this process was forked from one that uses dtensor", 0);
}
