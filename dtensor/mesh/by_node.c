/* Which ranks of a mesh live together on nodes. */
#include "dtensor/base/fail.h"
#include "dtensor/comm/node.h"
#include "dtensor/mesh/build.h"
#include "dtensor/spec/layout.h"
#include "dtensor/spec/refine.h"

static int64_t divisor(int64_t a, int64_t b) {
  while (b != 0) {
    const int64_t rest = a % b;
    a = b;
    b = rest;
  }
  return a;
}

int64_t dti_mesh_run_on_node(const dtensor_mesh *mesh, int m) {
  const int64_t step = dti_numel(mesh->ndim - m - 1, mesh->shape + m + 1);
  int64_t run = mesh->shape[m];
  for (int64_t place = 0; place < mesh->size && run > 1; place++) {
    const int64_t coord = place / step % mesh->shape[m];
    if (coord % run == 0) continue;
    /* Runs begin where a line goes on to another node. */
    if (dti_comm_node_of(mesh->root, dti_mesh_root_rank(mesh, place)) !=
        dti_comm_node_of(mesh->root, dti_mesh_root_rank(mesh, place - step)))
      run = divisor(run, coord);
  }
  return run;
}

unsigned dti_mesh_inside_nodes(const dtensor_mesh *mesh) {
  unsigned dims = 0;
  for (int m = 0; m < mesh->ndim; m++)
    if (mesh->shape[m] > 1 && mesh->on_node[m] == mesh->shape[m]) dims |= 1u << m;
  return dims;
}

dtensor_status dti_mesh_by_node(dtensor_mesh *mesh, dtensor_mesh **fine) {
  *fine = mesh->by_node;
  if (*fine) return DTENSOR_OK;
  int64_t shape[DTENSOR_MAX_NDIM];
  const int ndim = dti_mesh_refine(mesh->ndim, mesh->shape, mesh->on_node, shape);
  dti_comm *comm;
  DTI_TRY(dti_mesh_comm(mesh, &comm));
  DTI_TRY(dti_mesh_create(mesh->root, ndim, shape, mesh->ranks, NULL, &mesh->by_node));
  mesh->by_node->threads = mesh->threads;
  mesh->by_node->comm = dti_comm_retain(comm);
  *fine = mesh->by_node;
  return DTENSOR_OK;
}
