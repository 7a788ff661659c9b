/* The arenas of other processes of this node, each mapped once for all communicators. */
#define _GNU_SOURCE /* syscall */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "dtensor/base/arena.h"
#include "dtensor/comm/mpi_internal.h"
#include "dtensor/comm/node_internal.h"

typedef struct peer {
  struct peer *next;
  pid_t process;
  int handle; /* of the process; -1: this kernel has none */
  dti_arena_stamp stamp;
  char *base;
  size_t bytes;
  int users;
} peer;

static peer *peers; /* of the thread that initialised MPI */

void dti_mpi_card(dti_card *card) {
  int file;
  void *base;
  size_t bytes;
  const char *reason;
  if (!dti_arena_shared(&file, &base, &bytes, &reason)) {
    dti_reason_set(&card->reason, "%s", reason);
    return;
  }
  card->process = getpid();
  card->file = file;
  card->bytes = bytes;
  const dti_arena_stamp *stamp = base;
  memcpy(card->nonce, stamp->nonce, sizeof card->nonce);
}

static int open_process(pid_t process) {
#ifdef SYS_pidfd_open
  return (int)syscall(SYS_pidfd_open, process, 0);
#else
  (void)process;
  return -1;
#endif
}

/* The arena that a card tells of, or MAP_FAILED: the same number may mean another process here,
 * where it is in a container of its own. */
static char *map_arena(const dti_card *card, dti_reason *reason) {
  char path[64];
  snprintf(path, sizeof path, "/proc/%lld/fd/%lld", (long long)card->process,
           (long long)card->file);
  const int file = open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK);
  if (file < 0) {
    dti_reason_set(reason, "%s: %s", path, strerror(errno));
    return MAP_FAILED;
  }
  struct stat status;
  dti_arena_stamp stamp;
  char *base = MAP_FAILED;
  if (fstat(file, &status) != 0 || !S_ISREG(status.st_mode) ||
      (uint64_t)status.st_size != card->bytes ||
      pread(file, &stamp, sizeof stamp, 0) != (ssize_t)sizeof stamp ||
      memcmp(stamp.nonce, card->nonce, sizeof stamp.nonce) != 0) {
    dti_reason_set(reason, "%s is not what its owner means by it", path);
  } else {
    base = mmap(NULL, card->bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, file, 0);
    if (base == MAP_FAILED) dti_reason_set(reason, "mapping %s: %s", path, strerror(errno));
  }
  close(file);
  return base;
}

static peer *find_peer(const dti_card *card) {
  peer *p = peers;
  while (p && memcmp(p->stamp.nonce, card->nonce, sizeof card->nonce) != 0) p = p->next;
  return p;
}

static peer *new_peer(const dti_card *card, dti_reason *reason) {
  peer *p = calloc(1, sizeof *p);
  if (!p) {
    dti_reason_set(reason, "%zu bytes for a neighbour", sizeof *p);
    return NULL;
  }
  p->process = (pid_t)card->process;
  p->handle = open_process(p->process);
  p->bytes = card->bytes;
  memcpy(p->stamp.nonce, card->nonce, sizeof p->stamp.nonce);
  p->base = map_arena(card, reason);
  if (p->base == MAP_FAILED) {
    if (p->handle >= 0) close(p->handle);
    free(p);
    return NULL;
  }
  p->next = peers;
  peers = p;
  return p;
}

void dti_mpi_reach(dti_comm *comm, const dti_card *card, dti_member *member, dti_reason *reason) {
  if (member->rank == comm->rank) {
    int file;
    void *base;
    size_t bytes;
    const char *why;
    dti_arena_shared(&file, &base, &bytes, &why);
    member->memory = base;
    member->bytes = bytes;
    return;
  }
  peer *p = find_peer(card);
  if (!p) p = new_peer(card, reason);
  if (!p) return;
  p->users++;
  member->peer = p;
  member->memory = p->base;
  member->bytes = p->bytes;
}

void dti_mpi_let_go(dti_member *member) {
  peer *p = member->peer;
  if (--p->users > 0) return;
  peer **link = &peers;
  while (*link != p) link = &(*link)->next;
  *link = p->next;
  munmap(p->base, p->bytes);
  if (p->handle >= 0) close(p->handle);
  free(p);
}

dtensor_status dti_mpi_check(dti_comm *comm, const dti_member *member) {
  (void)comm;
  const peer *p = member->peer;
  if (!p) return DTENSOR_OK; /* this rank itself */
  const int ended = p->handle >= 0
                        ? poll(&(struct pollfd){.fd = p->handle, .events = POLLIN}, 1, 0) > 0
                        : kill(p->process, 0) != 0 && errno == ESRCH;
  DTI_CHECK(!ended, DTENSOR_EMPI, "rank %d (process %lld) has ended, and this rank waits for it",
            member->rank, (long long)p->process);
  return DTENSOR_OK;
}
