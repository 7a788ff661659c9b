/* Device meshes: an n-dimensional array of ranks. */
#ifndef DTENSOR_MESH_H_
#define DTENSOR_MESH_H_

#include <mpi.h>
#include <stddef.h>
#include <stdint.h>

#include "dtensor/status.h"
#include "dtensor/types.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct dtensor_mesh dtensor_mesh;

/* All zero is the default. */
typedef struct dtensor_mesh_opts {
  const char *const *dim_names; /* one name per mesh dimension, copied; NULL: no names */
  int threads; /* OpenMP and OpenBLAS threads of this rank; 0: OMP_NUM_THREADS, else the cores that
                  this rank may use divided by the ranks on its node */
} dtensor_mesh_opts;

/* Make a mesh of all ranks of a communicator, in row-major order.
 *
 * Collective over comm.
 *
 *   comm   an intracommunicator. It is duplicated once, on first use, and the duplicate is cached
 * on it as an attribute: the library never sends on comm itself. shape  ndim sizes, 1 <= ndim <=
 * DTENSOR_MAX_NDIM; one may be -1 and is inferred. opts   NULL for defaults. mesh   new mesh, owned
 * by the caller: dtensor_mesh_destroy().
 *
 * Needs MPI_THREAD_FUNNELED, and calls from the thread that initialised MPI.
 * Cost: one all-reduce of a few words, and on the first mesh of comm an MPI_Comm_dup and some more.
 *
 * Errors: DTENSOR_EINVAL     sizes that do not make up the communicator's size, bad names
 *         DTENSOR_EMPI       MPI is not initialised, or below MPI_THREAD_FUNNELED, or failed
 *         DTENSOR_EIO        on the first mesh of comm: the file that DTENSOR_MACHINE names
 *                            cannot be read; DTENSOR_EINVAL if a line of it is wrong
 *         DTENSOR_EDIVERGED  the ranks gave different arguments
 *
 * Source: PyTorch init_device_mesh(). */
dtensor_status dtensor_init_device_mesh(MPI_Comm comm, int ndim, const int64_t shape[],
                                        const dtensor_mesh_opts *opts, dtensor_mesh **mesh);

/* Make a mesh of chosen ranks: ranks[i] is the rank in comm of the i-th place, row-major.
 *
 * Collective over comm, also on ranks that are not in the list: there the mesh exists, all of its
 * coordinates are -1, and tensors on it have no local part.
 *
 * Errors: as above; DTENSOR_EINVAL  a rank out of range or listed twice */
dtensor_status dtensor_mesh_from_ranks(MPI_Comm comm, int ndim, const int64_t shape[],
                                       const int ranks[], const dtensor_mesh_opts *opts,
                                       dtensor_mesh **mesh);

/* The mesh of the named dimensions that holds this rank: the other coordinates stay as this rank
 * has them. Names in mesh order.
 *
 * Local. On a rank that is not a member the result has no member here either.
 *
 * Errors: DTENSOR_EINVAL  no such name (the message lists them), a name twice, not in mesh order */
dtensor_status dtensor_mesh_sub(dtensor_mesh *mesh, int n, const char *const names[],
                                dtensor_mesh **sub);

/* A one-dimensional mesh over the named dimensions, row-major in mesh order: the sub-mesh of these
 * dimensions, flattened. `name` is its dimension's name; NULL joins the names by '_'.
 *
 * Local.
 *
 * Errors: as dtensor_mesh_sub() */
dtensor_status dtensor_mesh_flatten(dtensor_mesh *mesh, int n, const char *const names[],
                                    const char *name, dtensor_mesh **flat);

/* One more owner; returns mesh. Local. */
dtensor_mesh *dtensor_mesh_retain(dtensor_mesh *mesh);

/* One owner less; frees it with the last. Accepts NULL, sets it to NULL. Never communicates. Local.
 */
void dtensor_mesh_destroy(dtensor_mesh **mesh);

/* How many dimensions it has. NULL has none, here and below. Local. */
int dtensor_mesh_ndim(const dtensor_mesh *mesh);

/* Ranks along a mesh dimension; dim -1: of the whole mesh. 0 for a dim that is none. Local. */
int64_t dtensor_mesh_size(const dtensor_mesh *mesh, int dim);

/* This rank's coordinate; -1: not a member. dim -1: its row-major place in the whole mesh. Local.
 */
int64_t dtensor_mesh_coordinate(const dtensor_mesh *mesh, int dim);

/* The dimension's name, or NULL. Local. */
const char *dtensor_mesh_dim_name(const dtensor_mesh *mesh, int dim);

/* The mesh dimension of that name, or -1. Local. */
int dtensor_mesh_dim(const dtensor_mesh *mesh, const char *name);

/* OpenMP and OpenBLAS threads that the library uses on this rank. Local. */
int dtensor_mesh_threads(const dtensor_mesh *mesh);

/* The communicator of this rank's line along a mesh dimension, in coordinate order; dim -1: of the
 * whole mesh, in row-major order. It belongs to the library: don't free it, and it shares no
 * messages with the library's own traffic as long as you use it for collectives or your own tags
 * while no request of the library is in flight. MPI_COMM_NULL on ranks outside of the mesh, on
 * simulated ranks and on failure.
 *
 * Collective over that communicator the first time it is asked for. */
MPI_Comm dtensor_mesh_comm(const dtensor_mesh *mesh, int dim);

/* The two constructors for Fortran, where a communicator is an integer. */
dtensor_status dtensor_init_device_mesh_f(MPI_Fint comm, int ndim, const int64_t shape[],
                                          const dtensor_mesh_opts *opts, dtensor_mesh **mesh);
dtensor_status dtensor_mesh_from_ranks_f(MPI_Fint comm, int ndim, const int64_t shape[],
                                         const int ranks[], const dtensor_mesh_opts *opts,
                                         dtensor_mesh **mesh);

#ifdef __cplusplus
}
#endif
#endif
