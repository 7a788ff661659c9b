/* Which ranks of a communicator live on which node. */
#include "dtensor/base/fail.h"
#include "dtensor/comm/backend.h"
#include "dtensor/comm/node.h"

int dti_comm_nodes(const dti_comm *comm) { return comm->nodes; }

int dti_comm_node_of(const dti_comm *comm, int rank) { return comm->node_of[rank]; }

dtensor_status dti_comm_node_size(dti_comm *comm, int *size) {
  *size = 0;
  DTI_TRY(dti_comm_check_open(comm));
  *size = comm->node_size;
  return DTENSOR_OK;
}

void dti_comm_set_nodes(dti_comm *comm, const int key[], int keys, int number[]) {
  for (int i = 0; i < keys; i++) number[i] = -1;
  comm->nodes = comm->node_size = 0;
  for (int rank = 0; rank < comm->size; rank++) {
    if (number[key[rank]] < 0) number[key[rank]] = comm->nodes++;
    comm->node_of[rank] = number[key[rank]];
  }
  for (int rank = 0; rank < comm->size; rank++)
    comm->node_size += comm->node_of[rank] == comm->node_of[comm->rank];
}
