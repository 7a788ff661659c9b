/* What is known of the machine under a mesh: kept with the root communicator, so that all meshes of
 * it plan alike, and equal on all ranks. */
#ifndef DTENSOR_MESH_MACHINE_H_
#define DTENSOR_MESH_MACHINE_H_

#include "dtensor/machine.h"
#include "dtensor/mesh/mesh.h"
#include "dtensor/spec/cost.h"

typedef struct dti_mesh_machine {
  dtensor_machine machine;
  uint64_t version; /* of this process: 0 for the default, another one for each set of figures */
  int64_t ranks_per_node; /* consecutive ones, as the communicator says */
  int64_t most_on_a_node; /* of all ranks */
  int shared_memory;      /* the ranks of every node read each other's memory */
} dti_mesh_machine;

/* Find out about nodes and attach figures, if that has not been done yet: those of the file that
 * DTENSOR_MACHINE names in rank 0's environment, or the default ones. Collective over root; an
 * error on one rank is one on all. */
dtensor_status dti_mesh_machine_init(dti_comm *root);

/* Replace the figures by those of rank 0. Collective over root; an error on one rank is one on all.
 */
dtensor_status dti_mesh_machine_spread(dti_comm *root, const dtensor_machine *machine);

const dti_mesh_machine *dti_mesh_machine_of(const dtensor_mesh *mesh);

/* 1 if all ranks of the mesh read each other's memory. */
int dti_mesh_is_near(const dtensor_mesh *mesh);

/* How the places of the mesh lie over nodes, as the planner sees it. */
dti_topology dti_mesh_topology(const dtensor_mesh *mesh);

#endif
