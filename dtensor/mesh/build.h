/* Making meshes: the steps that the constructors share. */
#ifndef DTENSOR_MESH_BUILD_H_
#define DTENSOR_MESH_BUILD_H_

#include "dtensor/mesh/mesh.h"

/* What a constructor was called with. */
typedef struct dti_mesh_args {
  int ndim;
  const int64_t *shape;
  int chosen; /* with a list of ranks; else all of root in order, and one size may be -1 */
  const int *ranks;
  const dtensor_mesh_opts *opts;
} dti_mesh_args;

/* Check the arguments and make the mesh, taking over the reference to root, also on failure.
 * Collective over root: an error on one rank is one on all. mesh may be NULL, which is an error of
 * this rank. */
dtensor_status dti_mesh_build(dti_comm *root, const dti_mesh_args *args, dtensor_mesh **mesh);

/* A mesh of valid ranks (NULL: all of root in order); lists are copied. Threads are not set. Local.
 */
dtensor_status dti_mesh_create(dti_comm *root, int ndim, const int64_t shape[], const int ranks[],
                               const char *const names[], dtensor_mesh **mesh);

/* Names of dimensions are all there, not empty, and each is another one. */
dtensor_status dti_mesh_check_names(int ndim, const char *const names[]);

/* The threads of this rank when the user has not said: OMP_NUM_THREADS, or its share of the cores.
 */
int dti_mesh_default_threads(int ranks_on_node);

#endif
