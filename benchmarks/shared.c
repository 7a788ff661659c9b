#define _GNU_SOURCE
#include "benchmarks/shared.h"

#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { HUGE_PAGE = 2 << 20 };

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25 /* Linux 6.1: make huge pages of what is there */
#endif

/* Map a file's memory where huge pages can begin. NULL if that is not possible. */
static void *map(int file, size_t bytes) {
  char *space = mmap(NULL, bytes + HUGE_PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (space == MAP_FAILED) return NULL;
  char *start = space + (HUGE_PAGE - (uintptr_t)space % HUGE_PAGE) % HUGE_PAGE;
  void *memory = mmap(start, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, file, 0);
  return memory == MAP_FAILED ? NULL : memory;
}

/* Memory without a name in the file system; other processes open it through /proc. */
static int make_file(size_t bytes) {
  const int file = memfd_create("bench", MFD_CLOEXEC);
  if (file >= 0 && ftruncate(file, (off_t)bytes) == 0) return file;
  if (file >= 0) close(file);
  return -1;
}

static void *map_of(int process, int file, size_t bytes) {
  char path[64];
  snprintf(path, sizeof path, "/proc/%d/fd/%d", process, file);
  FILE *opened = fopen(path, "r+");
  void *memory = opened ? map(fileno(opened), bytes) : NULL;
  if (opened) fclose(opened);
  return memory;
}

/* Where /proc is closed to us: MPI's own shared memory, without huge pages. */
static void window(const bench *b, size_t bytes, shared *s) {
  MPI_Win win;
  void *mine;
  MPI_Win_allocate_shared((MPI_Aint)bytes, 1, MPI_INFO_NULL, b->comm, &mine, &win);
  for (int r = 0; r < b->ranks; r++) {
    MPI_Aint size;
    int unit;
    MPI_Win_shared_query(win, r, &size, &unit, &s->of[r]);
  }
}

shared shared_alloc(const bench *b, size_t bytes) {
  bytes = (bytes + HUGE_PAGE) / HUGE_PAGE * HUGE_PAGE;
  shared s = {.of = calloc((size_t)b->ranks, sizeof(void *))};
  int(*all)[2] = calloc((size_t)b->ranks, sizeof *all);
  if (!s.of || !all) MPI_Abort(b->comm, 1);

  const int file = make_file(bytes);
  int mapped = file >= 0 && (s.of[b->rank] = map(file, bytes));
  if (mapped) {
    madvise(s.of[b->rank], bytes, MADV_HUGEPAGE);
    memset(s.of[b->rank], 0, bytes);
    madvise(s.of[b->rank], bytes, MADV_COLLAPSE);
  }
  MPI_Allgather((int[]){(int)getpid(), file}, 2, MPI_INT, all, 2, MPI_INT, b->comm);
  for (int r = 0; r < b->ranks && mapped; r++) {
    if (r != b->rank) s.of[r] = map_of(all[r][0], all[r][1], bytes);
    mapped = s.of[r] != NULL;
    if (mapped) madvise(s.of[r], bytes, MADV_HUGEPAGE);
  }
  MPI_Allreduce(MPI_IN_PLACE, &mapped, 1, MPI_INT, MPI_MIN, b->comm);
  if (file >= 0) close(file);
  if (!mapped) window(b, bytes, &s);
  memset(s.of[b->rank], 0, bytes);
  MPI_Barrier(b->comm); /* before anyone writes there */
  free(all);
  return s;
}

/* One counter for all, on a page of its own; a rank leaves when it has reached the round's number.
 */
void shared_barrier(const bench *b) {
  static shared place;
  static long round, cores;
  if (!place.of) {
    place = shared_alloc(b, sizeof(atomic_long));
    cores = sysconf(_SC_NPROCESSORS_ONLN);
  }
  atomic_long *arrived = place.of[0];
  round++;
  atomic_fetch_add_explicit(arrived, 1, memory_order_acq_rel);
  const int spins = b->ranks * b->threads > cores ? 50 : 20000;
  for (int i = 0; atomic_load_explicit(arrived, memory_order_acquire) < round * b->ranks; i++)
    if (i > spins) sched_yield();
}
