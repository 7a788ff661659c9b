/* Ways for a process to read another's array: a program of its own, without the library and MPI.
 *
 *   shared_memory [MiB]
 *
 * The owner backs the array with memory in one of several ways, a second process reads it twice
 * into an array of its own: the first time it finds the pages, the second time it only copies. */
#define _GNU_SOURCE /* memfd_create, process_vm_readv */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif

enum { HUGE_PAGE = 2 << 20, PAGE = 4096 };

typedef enum backing { TOUCHED, POPULATED, COLLAPSED } backing;

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void back(char *data, size_t bytes, backing how) {
  if (how == POPULATED) madvise(data, bytes, MADV_POPULATE_WRITE);
  if (how == COLLAPSED) {
    for (size_t at = 0; at < bytes; at += HUGE_PAGE) data[at] = 1;
    if (madvise(data, bytes, MADV_COLLAPSE) != 0) printf("(no huge pages) ");
  }
  memset(data, 1, bytes);
}

static void read_all(char *to, const char *from, size_t bytes, pid_t owner) {
  if (owner == 0) {
    memcpy(to, from, bytes);
    return;
  }
  struct iovec local = {to, bytes}, remote = {(void *)(size_t)from, bytes};
  if (process_vm_readv(owner, &local, 1, &remote, 1, 0) != (ssize_t)bytes)
    printf("(process_vm_readv failed) ");
}

/* In the second process. */
static void measure_reads(const char *from, size_t bytes, pid_t owner) {
  char *to = aligned_alloc(HUGE_PAGE, bytes);
  if (!to) return;
  memset(to, 2, bytes);
  double best = 1e9;
  for (int i = 0; i < 6; i++) {
    const double begin = now();
    read_all(to, from, bytes, owner);
    const double seconds = now() - begin;
    if (i == 0) printf("first read %5.1f GB/s, ", 1e-9 * (double)bytes / seconds);
    if (i > 0 && seconds < best) best = seconds;
  }
  printf("then %5.1f GB/s%s\n", 1e-9 * (double)bytes / best, to[bytes - 1] == 1 ? "" : " WRONG");
  fflush(stdout);
  free(to);
}

static void run(const char *name, int flags, int memory_file, backing how, int in_place,
                size_t bytes) {
  printf("%-34s ", name);
  fflush(stdout);
  int file = -1;
  if (memory_file &&
      ((file = memfd_create("benchmark", MFD_CLOEXEC)) < 0 || ftruncate(file, (off_t)bytes) != 0)) {
    printf("not available\n");
    return;
  }
  char *range = mmap(NULL, bytes + HUGE_PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  char *data = range + (-(size_t)range & (HUGE_PAGE - 1));
  if (range == MAP_FAILED ||
      mmap(data, bytes, PROT_READ | PROT_WRITE, flags | MAP_FIXED, file, 0) == MAP_FAILED) {
    printf("not available\n");
  } else {
    const double begin = now();
    back(data, bytes, how);
    printf("backed in %6.1f ms, ", 1e3 * (now() - begin));
    fflush(stdout);
    const pid_t owner = in_place ? 0 : getpid(), child = fork();
    if (child == 0) { /* its page table of a shared mapping is empty, as a peer's is */
      measure_reads(data, bytes, owner);
      _exit(0);
    }
    waitpid(child, NULL, 0);
  }
  if (range != MAP_FAILED) munmap(range, bytes + HUGE_PAGE);
  if (file >= 0) close(file);
}

int main(int argc, char **argv) {
  const size_t bytes = (size_t)(argc > 1 ? atoi(argv[1]) : 128) << 20;
  for (int round = 0; round < 2; round++) { /* in the first one the host may lack the memory too */
    run("memfd, touched", MAP_SHARED, 1, TOUCHED, 1, bytes);
    run("memfd, populated", MAP_SHARED, 1, POPULATED, 1, bytes);
    run("memfd, collapsed to huge pages", MAP_SHARED, 1, COLLAPSED, 1, bytes);
    run("hugetlb", MAP_SHARED | MAP_ANONYMOUS | MAP_HUGETLB, 0, TOUCHED, 1, bytes);
    run("private, by process_vm_readv", MAP_PRIVATE | MAP_ANONYMOUS, 0, TOUCHED, 0, bytes);
  }
  return 0;
}
