/* Which ranks stand where in a mesh, and the communicators between them. */
#include <stdlib.h>
#include <string.h>

#include "dtensor/base/fail.h"
#include "dtensor/mesh/mesh.h"
#include "dtensor/spec/layout.h"

int dti_mesh_root_rank(const dtensor_mesh *mesh, int64_t place) {
  return mesh->ranks ? mesh->ranks[place] : (int)place;
}

int64_t dti_mesh_place(const dtensor_mesh *mesh, int root_rank) {
  if (!mesh->ranks) return root_rank >= 0 && root_rank < mesh->size ? root_rank : -1;
  for (int64_t i = 0; i < mesh->size; i++)
    if (mesh->ranks[i] == root_rank) return i;
  return -1;
}

int dti_mesh_same(const dtensor_mesh *a, const dtensor_mesh *b) {
  if (a == b) return 1;
  if (a->root != b->root || a->ndim != b->ndim) return 0;
  if (memcmp(a->shape, b->shape, (size_t)a->ndim * sizeof *a->shape) != 0) return 0;
  for (int64_t i = 0; (a->ranks || b->ranks) && i < a->size; i++)
    if (dti_mesh_root_rank(a, i) != dti_mesh_root_rank(b, i)) return 0;
  return 1;
}

/* The communicator of n places that are `step` apart. */
static dtensor_status group_of(dtensor_mesh *mesh, int64_t first, int64_t step, int64_t n,
                               dti_comm **comm) {
  int *ranks = malloc((size_t)n * sizeof *ranks);
  DTI_CHECK(ranks, DTENSOR_ENOMEM, "a list of %lld ranks", (long long)n);
  for (int64_t i = 0; i < n; i++) ranks[i] = dti_mesh_root_rank(mesh, first + i * step);
  const dtensor_status status = dti_comm_group(mesh->root, (int)n, ranks, comm);
  free(ranks);
  return status;
}

static dtensor_status check_member(const dtensor_mesh *mesh) {
  DTI_CHECK(dti_mesh_is_member(mesh), DTENSOR_EMESH,
            "rank %d is not in the mesh, so it has no communicator there",
            dti_comm_rank(mesh->root));
  return DTENSOR_OK;
}

dtensor_status dti_mesh_comm(dtensor_mesh *mesh, dti_comm **comm) {
  *comm = NULL;
  DTI_TRY(check_member(mesh));
  if (!mesh->comm) {
    /* The list is there: a rank that has no memory for one would leave the others waiting. */
    DTI_TRY(mesh->ranks ? dti_comm_group(mesh->root, (int)mesh->size, mesh->ranks, &mesh->comm)
                        : group_of(mesh, 0, 1, mesh->size, &mesh->comm));
  }
  *comm = mesh->comm;
  return DTENSOR_OK;
}

dtensor_status dti_mesh_line(dtensor_mesh *mesh, int dim, dti_comm **comm) {
  *comm = NULL;
  DTI_TRY(check_member(mesh));
  if (!mesh->line[dim]) {
    const int64_t step = dti_numel(mesh->ndim - dim - 1, mesh->shape + dim + 1);
    const int64_t first = mesh->rank - mesh->coord[dim] * step;
    DTI_TRY(group_of(mesh, first, step, mesh->shape[dim], &mesh->line[dim]));
  }
  *comm = mesh->line[dim];
  return DTENSOR_OK;
}

MPI_Comm dtensor_mesh_comm(const dtensor_mesh *mesh_, int dim) {
  DTI_API();
  dtensor_mesh *mesh = (dtensor_mesh *)mesh_; /* const to the user: it only remembers */
  if (!mesh || !dti_mesh_is_member(mesh) || dim < -1 || dim >= mesh->ndim) return MPI_COMM_NULL;
  dti_comm *comm;
  const dtensor_status status =
      dim == -1 ? dti_mesh_comm(mesh, &comm) : dti_mesh_line(mesh, dim, &comm);
  return status == DTENSOR_OK ? dti_comm_mpi(comm) : MPI_COMM_NULL;
}
