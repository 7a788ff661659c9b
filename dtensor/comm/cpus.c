#define _GNU_SOURCE /* sched_getaffinity */
#include "dtensor/comm/cpus.h"

#include <sched.h>

enum { WORDS = sizeof(dti_cpus) / sizeof(uint64_t) };

dti_cpus dti_cpus_of_thread(void) {
  dti_cpus cpus = {{0}};
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) != 0) return cpus;
  for (int cpu = 0; cpu < 64 * WORDS && cpu < CPU_SETSIZE; cpu++)
    if (CPU_ISSET((size_t)cpu, &set)) cpus.bits[cpu / 64] |= UINT64_C(1) << cpu % 64;
  return cpus;
}

int dti_cpus_meet(const dti_cpus *a, const dti_cpus *b) {
  for (int i = 0; i < WORDS; i++)
    if (a->bits[i] & b->bits[i]) return 1;
  return 0;
}

void dti_cpus_add(dti_cpus *to, const dti_cpus *more) {
  for (int i = 0; i < WORDS; i++) to->bits[i] |= more->bits[i];
}

int dti_cpus_count(const dti_cpus *cpus) {
  int count = 0;
  for (int i = 0; i < WORDS; i++) count += __builtin_popcountll(cpus->bits[i]);
  return count;
}
