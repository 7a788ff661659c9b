#define _GNU_SOURCE /* sched_getaffinity, CPU_COUNT */
#include <limits.h>
#include <sched.h>
#include <stdlib.h>
#include <unistd.h>

#include "dtensor/mesh/build.h"

/* The first number of OMP_NUM_THREADS, which may be a list ("4,2": nested levels); 0: none. */
static int threads_of_environment(void) {
  const char *text = getenv("OMP_NUM_THREADS");
  if (!text) return 0;
  char *end;
  const long threads = strtol(text, &end, 10);
  return end != text && threads > 0 && threads <= INT_MAX ? (int)threads : 0;
}

static int available_cores(void) {
  cpu_set_t mine;
  if (sched_getaffinity(0, sizeof mine, &mine) == 0) return CPU_COUNT(&mine);
  const long online = sysconf(_SC_NPROCESSORS_ONLN); /* more cores than a cpu_set_t can hold */
  return online > 0 && online <= INT_MAX ? (int)online : 1;
}

int dti_mesh_default_threads(int ranks_on_node) {
  const int asked = threads_of_environment();
  if (asked > 0) return asked;
  const int share = available_cores() / ranks_on_node;
  return share > 0 ? share : 1;
}
