/* Ways for a process to read another's array: a program of its own, without the library.
 *
 *   mpiexec -n 2 shared_memory [MiB]
 *
 * The owner backs the array with memory in one of several ways, a second process reads it into an
 * array of its own: the first time it finds the pages, from then on it only copies. The second
 * process is a child of rank 0, which alone works; only MPI's own shared windows are read by rank
 * 1, and of one rank there are none. */
#define _GNU_SOURCE /* memfd_create, process_vm_readv */
#include <mpi.h>
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

/* Collective over both ranks of `pair`. */
static void run_window(MPI_Comm pair, size_t bytes) {
  int rank, unit;
  char *data;
  MPI_Win window;
  MPI_Aint size;
  MPI_Comm_rank(pair, &rank);
  MPI_Barrier(pair);
  const double begin = now();
  MPI_Win_allocate_shared(rank == 0 ? (MPI_Aint)bytes : 0, 1, MPI_INFO_NULL, pair, &data, &window);
  const double allocated = now();
  MPI_Win_shared_query(window, 0, &size, &unit, &data);
  MPI_Win_lock_all(MPI_MODE_NOCHECK, window);
  if (rank == 0) {
    memset(data, 1, bytes);
    printf("%-34s backed in %6.1f ms, ", "MPI shared window, touched", 1e3 * (now() - begin));
    fflush(stdout);
  }
  MPI_Win_sync(window);
  MPI_Barrier(pair);
  MPI_Win_sync(window);
  if (rank == 1) measure_reads(data, bytes, 0);
  MPI_Win_unlock_all(window);
  MPI_Barrier(pair);
  const double end = now();
  MPI_Win_free(&window);
  if (rank == 0)
    printf("%-34s %.2f ms to allocate, %.2f ms to free\n", "", 1e3 * (allocated - begin),
           1e3 * (now() - end));
  fflush(stdout);
}

static void run_all(size_t bytes) {
  run("memfd, touched", MAP_SHARED, 1, TOUCHED, 1, bytes);
  run("memfd, populated", MAP_SHARED, 1, POPULATED, 1, bytes);
  run("memfd, collapsed to huge pages", MAP_SHARED, 1, COLLAPSED, 1, bytes);
  run("hugetlb", MAP_SHARED | MAP_ANONYMOUS | MAP_HUGETLB, 0, TOUCHED, 1, bytes);
  run("private, by process_vm_readv", MAP_PRIVATE | MAP_ANONYMOUS, 0, TOUCHED, 0, bytes);
}

int main(int argc, char **argv) {
  int rank, ranks;
  MPI_Init(&argc, &argv);
  MPI_Comm node;
  MPI_Comm_split_type(MPI_COMM_WORLD, MPI_COMM_TYPE_SHARED, 0, MPI_INFO_NULL, &node);
  MPI_Comm_rank(node, &rank);
  MPI_Comm_size(node, &ranks);
  const size_t bytes = (size_t)(argc > 1 ? atoi(argv[1]) : 128) << 20;
  for (int round = 0; round < 2; round++) { /* in the first one the host may lack the memory too */
    if (rank == 0) run_all(bytes);
    if (ranks == 2) run_window(node, bytes);
    MPI_Barrier(node);
  }
  MPI_Comm_free(&node);
  MPI_Finalize();
  return 0;
}
