/* The ranks that differ from one another in some mesh dimensions only, in the row-major order of
 * their coordinates there. */
#ifndef DTENSOR_REDISTRIBUTE_MEMBERS_H_
#define DTENSOR_REDISTRIBUTE_MEMBERS_H_

#include "dtensor/mesh/mesh.h"

int dti_members(const dtensor_mesh *mesh, unsigned mesh_dims);

/* Which of them stands at a place of the mesh. */
int dti_members_index(const dtensor_mesh *mesh, unsigned mesh_dims, int64_t place);

/* And back: the place of one that differs from this rank in these mesh dimensions only. */
int64_t dti_members_place(const dtensor_mesh *mesh, unsigned mesh_dims, int index);

#endif
