/* The figures of the machine: given in a file, and read. */
#include "dtensor/mesh/machine.h"

#include "dtensor/base/fail.h"
#include "dtensor/plan.h"
#include "dtensor/spec/machine.h"

dtensor_machine dtensor_machine_of(const dtensor_mesh *mesh) {
  return mesh ? dti_mesh_machine_of(mesh)->machine : dtensor_machine_default();
}

static dtensor_status read_on_first(const dti_comm *root, const char *path,
                                    dtensor_machine *machine) {
  if (dti_comm_rank(root) != 0) return DTENSOR_OK;
  DTI_CHECK(path, DTENSOR_EINVAL, "path must not be NULL");
  return dti_machine_load(path, NULL, machine);
}

dtensor_status dtensor_machine_load(dtensor_mesh *mesh, const char *path) {
  DTI_API();
  DTI_CHECK(mesh, DTENSOR_EINVAL, "mesh must not be NULL");
  dtensor_machine machine = {0};
  DTI_TRY(dti_comm_agree(mesh->root, read_on_first(mesh->root, path, &machine)));
  return dti_mesh_machine_spread(mesh->root, &machine);
}
