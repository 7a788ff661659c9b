/* Inside of a device mesh. */
#ifndef DTENSOR_MESH_MESH_H_
#define DTENSOR_MESH_MESH_H_

#include "dtensor/base/refcount.h"
#include "dtensor/comm/comm.h"
#include "dtensor/mesh.h"

struct dtensor_mesh {
  dti_refcount refs;
  uint64_t serial; /* of this process: no other mesh has it, ever */
  int ndim;
  int64_t shape[DTENSOR_MAX_NDIM];
  int64_t coord[DTENSOR_MAX_NDIM];   /* of this rank; all -1 outside of the mesh */
  int64_t size, rank;                /* all ranks; row-major place of this one, or -1 */
  int64_t on_node[DTENSOR_MAX_NDIM]; /* see dti_mesh_run_on_node() */
  char *names[DTENSOR_MAX_NDIM];     /* NULL: no names */
  int threads;
  int *ranks;     /* the rank in `root` of every place, row-major; NULL: place i is rank i */
  dti_comm *root; /* the library's duplicate of the user's communicator */
  dti_comm *comm; /* of the whole mesh, rank i is place i; made on first use, see dti_mesh_comm */
  dti_comm *line[DTENSOR_MAX_NDIM]; /* along each dimension; made on first use */
  dtensor_mesh *by_node;            /* see dti_mesh_by_node(); made on first use */
};

/* The communicator of the whole mesh, where a rank's number is its row-major place. Collective over
 * the mesh on first use (local when the mesh is all of root in order). Members only. Borrowed. */
dtensor_status dti_mesh_comm(dtensor_mesh *mesh, dti_comm **comm);

/* The communicator of this rank's line along a dimension. Collective over the line on first use. */
dtensor_status dti_mesh_line(dtensor_mesh *mesh, int dim, dti_comm **comm);

/* The most consecutive coordinates along a dimension, beginning at multiples of that number, which
 * are on one node on each line. Local. */
int64_t dti_mesh_run_on_node(const dtensor_mesh *mesh, int m);

/* Bit m: there are several ranks along dimension m, and those of every line are on one node. */
unsigned dti_mesh_inside_nodes(const dtensor_mesh *mesh);

/* A mesh of the same ranks in the same order, whose dimensions are cut in two where a part of them
 * is on each node (spec/refine.h). Borrowed: it lives as long as mesh. Members only. Local if
 * dti_mesh_comm() is. */
dtensor_status dti_mesh_by_node(dtensor_mesh *mesh, dtensor_mesh **fine);

/* The rank in mesh->root of a row-major place. */
int dti_mesh_root_rank(const dtensor_mesh *mesh, int64_t place);

/* The row-major place of a rank of mesh->root, or -1. */
int64_t dti_mesh_place(const dtensor_mesh *mesh, int root_rank);

/* 1 if operations may mix tensors of both: same shape, same ranks in the same order, same root. */
int dti_mesh_same(const dtensor_mesh *a, const dtensor_mesh *b);

static inline int dti_mesh_is_member(const dtensor_mesh *mesh) { return mesh->rank >= 0; }

#endif
