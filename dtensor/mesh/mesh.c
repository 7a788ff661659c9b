/* The handle: its life, and what can be asked of it. */
#include "dtensor/mesh/mesh.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "dtensor/base/fail.h"
#include "dtensor/mesh/build.h"
#include "dtensor/spec/layout.h"

dtensor_status dti_mesh_check_names(int ndim, const char *const names[]) {
  for (int i = 0; i < ndim; i++) {
    DTI_CHECK(names[i] && names[i][0], DTENSOR_EINVAL, "the name of mesh dimension %d is empty", i);
    for (int j = 0; j < i; j++)
      DTI_CHECK(strcmp(names[i], names[j]) != 0, DTENSOR_EINVAL,
                "mesh dimensions %d and %d have the same name '%s'", j, i, names[i]);
  }
  return DTENSOR_OK;
}

static char *copy_text(const char *text) {
  const size_t bytes = strlen(text) + 1;
  char *copy = malloc(bytes);
  return copy ? memcpy(copy, text, bytes) : NULL;
}

/* Names and ranks; 0 if there is no memory. */
static int copy_lists(dtensor_mesh *mesh, const int ranks[], const char *const names[]) {
  for (int i = 0; names && i < mesh->ndim; i++)
    if (!(mesh->names[i] = copy_text(names[i]))) return 0;
  if (!ranks) return 1;
  mesh->ranks = malloc((size_t)mesh->size * sizeof *ranks);
  if (mesh->ranks) memcpy(mesh->ranks, ranks, (size_t)mesh->size * sizeof *ranks);
  return mesh->ranks != NULL;
}

dtensor_status dti_mesh_create(dti_comm *root, int ndim, const int64_t shape[], const int ranks[],
                               const char *const names[], dtensor_mesh **out) {
  static atomic_uint_least64_t serials;
  *out = NULL;
  dtensor_mesh *mesh = calloc(1, sizeof *mesh);
  DTI_CHECK(mesh, DTENSOR_ENOMEM, "a mesh of %d dimensions", ndim);
  dti_refcount_init(&mesh->refs);
  mesh->serial = atomic_fetch_add(&serials, 1) + 1;
  mesh->root = dti_comm_retain(root);
  mesh->ndim = ndim;
  mesh->size = dti_numel(ndim, shape);
  memcpy(mesh->shape, shape, (size_t)ndim * sizeof *shape);
  if (!copy_lists(mesh, ranks, names)) {
    dtensor_mesh_destroy(&mesh);
    return DTI_FAIL(DTENSOR_ENOMEM, "a mesh of %d dimensions", ndim);
  }
  mesh->rank = dti_mesh_place(mesh, dti_comm_rank(root));
  if (mesh->rank >= 0)
    dti_mesh_unravel(ndim, shape, mesh->rank, mesh->coord);
  else
    for (int i = 0; i < ndim; i++) mesh->coord[i] = -1;
  for (int m = 0; m < ndim; m++) mesh->on_node[m] = dti_mesh_run_on_node(mesh, m);
  *out = mesh;
  return DTENSOR_OK;
}

dtensor_mesh *dtensor_mesh_retain(dtensor_mesh *mesh) {
  if (mesh) dti_refcount_retain(&mesh->refs);
  return mesh;
}

void dtensor_mesh_destroy(dtensor_mesh **mesh_) {
  if (!mesh_ || !*mesh_) return;
  dtensor_mesh *mesh = *mesh_;
  *mesh_ = NULL;
  if (!dti_refcount_release(&mesh->refs)) return;
  for (int i = 0; i < mesh->ndim; i++) {
    dti_comm_release(&mesh->line[i]);
    free(mesh->names[i]);
  }
  dtensor_mesh_destroy(&mesh->by_node);
  dti_comm_release(&mesh->comm);
  dti_comm_release(&mesh->root);
  free(mesh->ranks);
  free(mesh);
}

static int is_dim(const dtensor_mesh *mesh, int dim) {
  return mesh && dim >= 0 && dim < mesh->ndim;
}

int dtensor_mesh_ndim(const dtensor_mesh *mesh) { return mesh ? mesh->ndim : 0; }

int64_t dtensor_mesh_size(const dtensor_mesh *mesh, int dim) {
  if (mesh && dim == -1) return mesh->size;
  return is_dim(mesh, dim) ? mesh->shape[dim] : 0;
}

int64_t dtensor_mesh_coordinate(const dtensor_mesh *mesh, int dim) {
  if (mesh && dim == -1) return mesh->rank;
  return is_dim(mesh, dim) ? mesh->coord[dim] : -1;
}

const char *dtensor_mesh_dim_name(const dtensor_mesh *mesh, int dim) {
  return is_dim(mesh, dim) ? mesh->names[dim] : NULL;
}

int dtensor_mesh_dim(const dtensor_mesh *mesh, const char *name) {
  for (int i = 0; mesh && name && i < mesh->ndim; i++)
    if (mesh->names[i] && strcmp(mesh->names[i], name) == 0) return i;
  return -1;
}

int dtensor_mesh_threads(const dtensor_mesh *mesh) { return mesh ? mesh->threads : 0; }
