#include "dtensor/mesh/machine.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "dtensor/base/fail.h"
#include "dtensor/comm/node.h"

/* The most consecutive ranks that share a node. (Where a launcher deals them out in turn that is
 * one, and neighbours in the mesh are indeed on different nodes.) */
static int64_t neighbours_on_a_node(const dti_comm *root) {
  int64_t most = 1, here = 0;
  for (int rank = 0; rank < dti_comm_size(root); rank++) {
    const int is_same =
        rank > 0 && dti_comm_node_of(root, rank) == dti_comm_node_of(root, rank - 1);
    here = is_same ? here + 1 : 1;
    if (here > most) most = here;
  }
  return most;
}

dtensor_status dti_mesh_machine_init(dti_comm *root) {
  if (dti_comm_attached(root)) return DTENSOR_OK;
  dti_node *node;
  DTI_TRY(dti_comm_node(root, &node));
  const int64_t ranks = neighbours_on_a_node(root);
  const int is_alone = dti_comm_nodes(root) == dti_comm_size(root);
  dti_mesh_machine *found = malloc(sizeof *found);
  dtensor_status status = dti_comm_agree(
      root, found ? DTENSOR_OK : DTI_FAIL(DTENSOR_ENOMEM, "no memory for a machine"));
  if (status != DTENSOR_OK) {
    free(found);
    return status;
  }
  *found = (dti_mesh_machine){.machine = dtensor_machine_default(),
                              .ranks_per_node = ranks,
                              .shared_memory = dti_comm_nodes_share(root) && !is_alone};
  dti_comm_attach(root, found);
  return DTENSOR_OK;
}

/* A machine as the words of an all-reduce: what rank 0 brings is the maximum beside what no figure
 * is below. */
enum { WORDS = sizeof(dtensor_machine) / sizeof(int64_t) };
_Static_assert(sizeof(dtensor_machine) == WORDS * sizeof(int64_t), "a machine is made of words");

dtensor_status dti_mesh_machine_spread(dti_comm *root, const dtensor_machine *machine) {
  static atomic_uint_least64_t versions;
  int64_t words[WORDS];
  memcpy(words, machine, sizeof words);
  for (int i = 0; i < WORDS && dti_comm_rank(root) != 0; i++) words[i] = INT64_MIN;
  DTI_TRY(dti_comm_allreduce(root, words, WORDS, DTI_COMM_MAX));
  dti_mesh_machine *value = malloc(sizeof *value);
  DTI_TRY(dti_comm_agree(root,
                         value ? DTENSOR_OK : DTI_FAIL(DTENSOR_ENOMEM, "no memory for a machine")));
  *value = *(const dti_mesh_machine *)dti_comm_attached(root);
  memcpy(&value->machine, words, sizeof words);
  value->version = atomic_fetch_add(&versions, 1) + 1;
  dti_comm_attach(root, value);
  return DTENSOR_OK;
}

const dti_mesh_machine *dti_mesh_machine_of(const dtensor_mesh *mesh) {
  return dti_comm_attached(mesh->root);
}

dti_topology dti_mesh_topology(const dtensor_mesh *mesh) {
  const dti_mesh_machine *m = dti_mesh_machine_of(mesh);
  const int64_t told = m->machine.ranks_per_node;
  return (dti_topology){.ranks_per_node = told > 0 ? told : m->ranks_per_node,
                        .shared_memory = m->shared_memory};
}

int dti_mesh_is_near(const dtensor_mesh *mesh) {
  if (!dti_mesh_machine_of(mesh)->shared_memory) return 0;
  const int node = dti_comm_node_of(mesh->root, dti_mesh_root_rank(mesh, 0));
  for (int64_t place = 1; place < mesh->size; place++)
    if (dti_comm_node_of(mesh->root, dti_mesh_root_rank(mesh, place)) != node) return 0;
  return mesh->size > 1;
}
