#include "dtensor/mesh/machine.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dtensor/base/fail.h"
#include "dtensor/comm/node.h"
#include "dtensor/spec/machine.h"

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

/* Of all ranks, on the fullest node. Collective. */
static dtensor_status most_on_a_node(dti_comm *root, int64_t *most) {
  int here;
  DTI_TRY(dti_comm_node_size(root, &here));
  *most = here;
  return dti_comm_allreduce(root, most, 1, DTI_COMM_MAX);
}

/* A machine as the words of an all-reduce: what rank 0 brings is the maximum beside what no figure
 * is below. */
enum { WORDS = sizeof(dtensor_machine) / sizeof(int64_t) };
_Static_assert(sizeof(dtensor_machine) == WORDS * sizeof(int64_t), "a machine is made of words");

/* Rank 0's machine on all ranks, with a word beside it. */
static dtensor_status spread(dti_comm *root, dtensor_machine *machine, int64_t *word) {
  int64_t words[WORDS + 1];
  memcpy(words, machine, sizeof *machine);
  words[WORDS] = *word;
  for (int i = 0; i <= WORDS && dti_comm_rank(root) != 0; i++) words[i] = INT64_MIN;
  DTI_TRY(dti_comm_allreduce(root, words, WORDS + 1, DTI_COMM_MAX));
  memcpy(machine, words, sizeof *machine);
  *word = words[WORDS];
  return DTENSOR_OK;
}

/* 0 is for the default. */
static uint64_t new_version(void) {
  static atomic_uint_least64_t versions;
  return atomic_fetch_add(&versions, 1) + 1;
}

/* The file that rank 0's environment names. */
static dtensor_status read_setting(const dti_comm *root, dtensor_machine *machine,
                                   int64_t *is_set) {
  const char *path = getenv("DTENSOR_MACHINE");
  *is_set = dti_comm_rank(root) == 0 && path && path[0] != '\0';
  if (!*is_set) return DTENSOR_OK;
  char name[512];
  snprintf(name, sizeof name, "DTENSOR_MACHINE=%s", path);
  return dti_machine_load(path, name, machine);
}

dtensor_status dti_mesh_machine_init(dti_comm *root) {
  if (dti_comm_attached(root)) return DTENSOR_OK;
  dti_node *node;
  DTI_TRY(dti_comm_node(root, &node));
  const int is_alone = dti_comm_nodes(root) == dti_comm_size(root);
  dtensor_machine machine = dtensor_machine_default();
  int64_t is_set;
  dtensor_status status = read_setting(root, &machine, &is_set);
  dti_mesh_machine *found = malloc(sizeof *found);
  if (status == DTENSOR_OK && !found) status = DTI_FAIL(DTENSOR_ENOMEM, "no memory for a machine");
  status = dti_comm_agree(root, status);
  int64_t most;
  if (status == DTENSOR_OK) status = spread(root, &machine, &is_set);
  if (status == DTENSOR_OK) status = most_on_a_node(root, &most);
  if (status != DTENSOR_OK) {
    free(found);
    return status;
  }
  *found = (dti_mesh_machine){.machine = machine,
                              .version = is_set ? new_version() : 0,
                              .ranks_per_node = neighbours_on_a_node(root),
                              .most_on_a_node = most,
                              .shared_memory = dti_comm_nodes_share(root) && !is_alone};
  dti_comm_attach(root, found);
  return DTENSOR_OK;
}

dtensor_status dti_mesh_machine_spread(dti_comm *root, const dtensor_machine *machine) {
  dtensor_machine figures = *machine;
  int64_t nothing = 0;
  DTI_TRY(spread(root, &figures, &nothing));
  dti_mesh_machine *value = malloc(sizeof *value);
  const dtensor_status status = dti_comm_agree(
      root, value ? DTENSOR_OK : DTI_FAIL(DTENSOR_ENOMEM, "no memory for a machine"));
  if (status != DTENSOR_OK) {
    free(value);
    return status;
  }
  *value = *(const dti_mesh_machine *)dti_comm_attached(root);
  value->machine = figures;
  value->version = new_version();
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
