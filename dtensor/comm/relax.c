#define _POSIX_C_SOURCE 200809L /* nanosleep */
#include <sched.h>
#include <time.h>

#include "dtensor/comm/comm.h"

/* A message between two running ranks takes about a microsecond, as does a round. Ranks that share
 * a core need the others to run, at once; ranks that wait for a long computation should not burn
 * the core that its threads could use. */
#define SPIN_ROUNDS 100
#define YIELD_ROUNDS 20000
#define SLEEP_NANOSECONDS 50000

void dti_comm_relax(int64_t round) {
  if (round < SPIN_ROUNDS) return;
  if (round < YIELD_ROUNDS)
    sched_yield();
  else
    nanosleep(&(struct timespec){.tv_nsec = SLEEP_NANOSECONDS}, NULL);
}
