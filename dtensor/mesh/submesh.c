/* Meshes of some of a mesh's dimensions. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dtensor/base/fail.h"
#include "dtensor/mesh/build.h"
#include "dtensor/spec/layout.h"

/* "'x', 'y'" */
static const char *names_text(const dtensor_mesh *mesh, char *text, size_t size) {
  size_t at = 0;
  text[0] = '\0';
  for (int i = 0; i < mesh->ndim && at < size; i++)
    at += (size_t)snprintf(text + at, size - at, "%s'%s'", i ? ", " : "", mesh->names[i]);
  return text;
}

/* The mesh dimensions of these names. */
static dtensor_status find_dims(const dtensor_mesh *mesh, int n, const char *const names[],
                                int dims[]) {
  DTI_CHECK(mesh && names, DTENSOR_EINVAL, "the mesh or the list of names is NULL");
  DTI_CHECK(mesh->names[0], DTENSOR_EINVAL,
            "the mesh has no dimension names; give dim_names when it is made");
  char known[256];
  names_text(mesh, known, sizeof known);
  DTI_CHECK(n >= 1 && n <= mesh->ndim, DTENSOR_EINVAL, "%d names for a mesh of dimensions %s", n,
            known);
  for (int i = 0; i < n; i++) {
    dims[i] = dtensor_mesh_dim(mesh, names[i]);
    DTI_CHECK(dims[i] >= 0, DTENSOR_EINVAL, "no mesh dimension is named '%s'; there are %s",
              names[i] ? names[i] : "", known);
    DTI_CHECK(i == 0 || dims[i] != dims[i - 1], DTENSOR_EINVAL, "'%s' is named twice", names[i]);
    DTI_CHECK(i == 0 || dims[i] > dims[i - 1], DTENSOR_EINVAL,
              "'%s' comes before '%s' in the mesh; its dimensions in order are %s", names[i],
              names[i - 1], known);
  }
  return DTENSOR_OK;
}

/* Ranks in root of the places that differ from this rank's in `dims` only, row-major. A rank
 * outside of the mesh gets those at the other coordinates 0: it is not among them either. */
static void list_ranks(const dtensor_mesh *mesh, int n, const int dims[], const int64_t shape[],
                       int64_t size, int ranks[]) {
  int64_t coord[DTENSOR_MAX_NDIM] = {0}, at[DTENSOR_MAX_NDIM];
  if (dti_mesh_is_member(mesh)) memcpy(coord, mesh->coord, sizeof coord);
  for (int64_t i = 0; i < size; i++) {
    dti_mesh_unravel(n, shape, i, at);
    for (int d = 0; d < n; d++) coord[dims[d]] = at[d];
    ranks[i] = dti_mesh_root_rank(mesh, dti_mesh_linear(mesh->ndim, mesh->shape, coord));
  }
}

/* The mesh of some dimensions, as it is or (flat) as one dimension with names[0]. */
static dtensor_status create(const dtensor_mesh *mesh, int n, const int dims[], int flat,
                             const char *const names[], dtensor_mesh **out) {
  int64_t shape[DTENSOR_MAX_NDIM];
  for (int i = 0; i < n; i++) shape[i] = mesh->shape[dims[i]];
  const int64_t size = dti_numel(n, shape);
  int *ranks = malloc((size_t)size * sizeof *ranks);
  DTI_CHECK(ranks, DTENSOR_ENOMEM, "a list of %lld ranks", (long long)size);
  list_ranks(mesh, n, dims, shape, size, ranks);
  const dtensor_status status =
      dti_mesh_create(mesh->root, flat ? 1 : n, flat ? &size : shape, ranks, names, out);
  free(ranks);
  DTI_TRY(status);
  (*out)->threads = mesh->threads;
  return DTENSOR_OK;
}

dtensor_status dtensor_mesh_sub(dtensor_mesh *mesh, int n, const char *const names[],
                                dtensor_mesh **sub) {
  DTI_API();
  DTI_CHECK(sub, DTENSOR_EINVAL, "there is no place for the mesh");
  *sub = NULL;
  int dims[DTENSOR_MAX_NDIM];
  DTI_TRY(find_dims(mesh, n, names, dims));
  if (n < mesh->ndim) return create(mesh, n, dims, 0, names, sub);
  *sub = dtensor_mesh_retain(mesh);
  return DTENSOR_OK;
}

/* "x_y", to be freed; NULL if there is no memory. */
static char *join(int n, const char *const names[]) {
  size_t bytes = 0;
  for (int i = 0; i < n; i++) bytes += strlen(names[i]) + 1;
  char *joined = malloc(bytes), *at = joined;
  for (int i = 0; joined && i < n; i++) {
    const size_t length = strlen(names[i]);
    memcpy(at, names[i], length);
    at += length;
    *at++ = i < n - 1 ? '_' : '\0';
  }
  return joined;
}

dtensor_status dtensor_mesh_flatten(dtensor_mesh *mesh, int n, const char *const names[],
                                    const char *name, dtensor_mesh **flat) {
  DTI_API();
  DTI_CHECK(flat, DTENSOR_EINVAL, "there is no place for the mesh");
  *flat = NULL;
  int dims[DTENSOR_MAX_NDIM];
  DTI_TRY(find_dims(mesh, n, names, dims));
  if (name) {
    DTI_TRY(dti_mesh_check_names(1, &name));
    return create(mesh, n, dims, 1, &name, flat);
  }
  char *joined = join(n, names);
  DTI_CHECK(joined, DTENSOR_ENOMEM, "the name of a flattened mesh");
  const dtensor_status status = create(mesh, n, dims, 1, &(const char *const){joined}, flat);
  free(joined);
  return status;
}
