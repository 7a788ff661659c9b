#include "dtensor/redistribute/members.h"

#include <string.h>

#include "dtensor/spec/layout.h"

int dti_members(const dtensor_mesh *mesh, unsigned mesh_dims) {
  int64_t members = 1;
  for (int m = 0; m < mesh->ndim; m++)
    if (mesh_dims & (1u << m)) members *= mesh->shape[m];
  return (int)members;
}

int dti_members_index(const dtensor_mesh *mesh, unsigned mesh_dims, int64_t place) {
  int64_t coord[DTENSOR_MAX_NDIM], index = 0;
  dti_mesh_unravel(mesh->ndim, mesh->shape, place, coord);
  for (int m = 0; m < mesh->ndim; m++)
    if (mesh_dims & (1u << m)) index = index * mesh->shape[m] + coord[m];
  return (int)index;
}

int64_t dti_members_place(const dtensor_mesh *mesh, unsigned mesh_dims, int index) {
  int64_t coord[DTENSOR_MAX_NDIM], left = index;
  memcpy(coord, mesh->coord, sizeof coord);
  for (int m = mesh->ndim - 1; m >= 0; m--) {
    if (!(mesh_dims & (1u << m))) continue;
    coord[m] = left % mesh->shape[m];
    left /= mesh->shape[m];
  }
  return dti_mesh_linear(mesh->ndim, mesh->shape, coord);
}
