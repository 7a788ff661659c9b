#define _POSIX_C_SOURCE 200809L /* kill */
/* killed FILE: three ranks that share memory and are killed: the last one in the middle of a
 * meeting, and then, when they have seen that, the others. FILE.RANK is what each of them saw. */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "dtensor/base/alloc.h"
#include "dtensor/comm/node.h"

static dtensor_status meet(dti_node *node, int who_dies) {
  const uint64_t meeting = dti_node_next_meeting(node);
  if (who_dies == dti_node_rank(node)) kill(getpid(), SIGKILL);
  dti_node_post(node, meeting);
  for (int member = 0; member < dti_node_size(node); member++)
    for (int64_t round = 1; !dti_node_has_posted(node, meeting, member); round++) {
      dti_comm_relax(round);
      if (round % 256) continue;
      const dtensor_status status = dti_node_check(node, member);
      if (status != DTENSOR_OK) return status;
    }
  dti_node_leave(node, meeting);
  return DTENSOR_OK;
}

int main(int argc, char **argv) {
  int level;
  dti_comm *comm;
  dti_node *node;
  MPI_Init_thread(&argc, &argv, MPI_THREAD_FUNNELED, &level);
  if (argc != 2 || dti_comm_from_mpi(MPI_COMM_WORLD, &comm) != DTENSOR_OK) return 1;
  if (dti_comm_node(comm, &node) != DTENSOR_OK || !node) return 1;
  const size_t bytes = (size_t)16 << 20;
  char *memory = dti_alloc(bytes);
  if (!memory || dti_node_export(node, memory, bytes) < 0) return 1;
  memset(memory, 1, bytes);
  for (int i = 0; i < 100; i++)
    if (meet(node, -1) != DTENSOR_OK) return 1;

  const dtensor_status status = meet(node, dti_node_size(node) - 1);
  char path[4096];
  snprintf(path, sizeof path, "%s.%d", argv[1], dti_comm_rank(comm));
  FILE *file = fopen(path, "w");
  if (!file) return 1;
  fprintf(file, "%s: %s\n", dtensor_status_name(status), dtensor_last_error());
  fclose(file);
  kill(getpid(), SIGKILL);
}
