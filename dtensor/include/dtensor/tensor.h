/* The distributed tensor: its handle, factories, and the way in from local arrays. */
#ifndef DTENSOR_TENSOR_H_
#define DTENSOR_TENSOR_H_

#include <stdint.h>

#include "dtensor/mesh.h"
#include "dtensor/placement.h"
#include "dtensor/status.h"
#include "dtensor/types.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A tensor over a mesh: a global shape, a dtype, one placement per mesh dimension, and this rank's
 * local array. Handles are reference-counted and not thread safe. */
typedef struct dtensor dtensor;

/* Who owns the array that dtensor_from_local() is given. */
typedef enum dtensor_ownership {
  DTENSOR_COPY,   /* the tensor copies it; the caller's array is free again on return */
  DTENSOR_BORROW, /* the tensor uses it; it must stay valid as long as the tensor */
  DTENSOR_OWN     /* the tensor uses it and calls release(ctx) when it is done with it */
} dtensor_ownership;

/* A local array. Strides are in elements, so a column-major, padded or reversed array wraps without
 * a copy; all strides zero means packed row-major. */
typedef struct dtensor_local {
  void *data;
  int ndim;
  int64_t shape[DTENSOR_MAX_NDIM], stride[DTENSOR_MAX_NDIM];
  dtensor_ownership own;
  void (*release)(void *ctx);
  void *ctx;
} dtensor_local;

/* Make a tensor of which every rank allocates its own part. All factories take these arguments:
 *
 *   ndim, shape  the global shape; ndim 0 (shape may be NULL) is a scalar, sizes may be 0.
 *   p            one placement per mesh dimension.
 *   out          new tensor, owned by the caller: dtensor_destroy(). On error *out is NULL.
 *
 * With a Partial placement the global value is the one asked for: coordinate 0 holds it and the
 * others hold the identity of the reduction.
 *
 * Local: no communication. Running out of memory is this rank's alone.
 *
 * Errors: DTENSOR_EINVAL      a negative size, ndim out of range
 *         DTENSOR_EDTYPE      no such dtype, or one that this factory or this Partial cannot have
 *         DTENSOR_EPLACEMENT  a placement that does not fit the shape or the mesh
 *         DTENSOR_ENOMEM      on this rank */
dtensor_status dtensor_empty(dtensor_mesh *mesh, dtensor_dtype dtype, int ndim,
                             const int64_t shape[], const dtensor_placement p[], dtensor **out);
dtensor_status dtensor_zeros(dtensor_mesh *mesh, dtensor_dtype dtype, int ndim,
                             const int64_t shape[], const dtensor_placement p[], dtensor **out);
dtensor_status dtensor_ones(dtensor_mesh *mesh, dtensor_dtype dtype, int ndim,
                            const int64_t shape[], const dtensor_placement p[], dtensor **out);

/* Every element is `value`, which must be representable in dtype. */
dtensor_status dtensor_full(dtensor_mesh *mesh, dtensor_dtype dtype, int ndim,
                            const int64_t shape[], dtensor_scalar value,
                            const dtensor_placement p[], dtensor **out);

/* Uniform in [0, 1), and standard normal (Box-Muller; a complex normal has unit variance in all).
 * Floating-point and complex dtypes.
 *
 * Philox4x32-10 of (seed, how many random tensors this rank made since the seed, global element
 * index): bitwise the same for every mesh, placement and thread count. Every rank of a program must
 * make its random tensors in the same order, as they must with PyTorch.
 *
 * Source: Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011. */
dtensor_status dtensor_rand(dtensor_mesh *mesh, dtensor_dtype dtype, int ndim,
                            const int64_t shape[], const dtensor_placement p[], dtensor **out);
dtensor_status dtensor_randn(dtensor_mesh *mesh, dtensor_dtype dtype, int ndim,
                             const int64_t shape[], const dtensor_placement p[], dtensor **out);

/* Seed the calling rank's random numbers and start its count of random tensors anew. Local. */
void dtensor_manual_seed(uint64_t seed);

/* 0, 1, 2, ... in row-major order of the global shape. Not for bool. */
dtensor_status dtensor_arange(dtensor_mesh *mesh, dtensor_dtype dtype, int ndim,
                              const int64_t shape[], const dtensor_placement p[], dtensor **out);

/* Equally spaced from start to end, both included, in row-major order of the global shape; one
 * element is start. Floating-point and complex dtypes. */
dtensor_status dtensor_linspace(dtensor_mesh *mesh, dtensor_dtype dtype, int ndim,
                                const int64_t shape[], dtensor_scalar start, dtensor_scalar end,
                                const dtensor_placement p[], dtensor **out);

/* Ones on the diagonal; ndim must be 2. */
dtensor_status dtensor_eye(dtensor_mesh *mesh, dtensor_dtype dtype, int ndim, const int64_t shape[],
                           const dtensor_placement p[], dtensor **out);

/* Make a tensor of local arrays that the ranks already have.
 *
 * Collective over the mesh.
 *
 *   local         this rank's array, any strides; read-only for the call with DTENSOR_COPY.
 *   p             how these arrays make up the tensor.
 *   global_shape  NULL: inferred from what the ranks bring.
 *
 * Sizes that are not the ones of p's split are accepted as what they are: the placement becomes
 * dtensor_shard_sizes() with the ranks' sizes, which may come in any amounts along a mesh
 * dimension but must agree along the others.
 *
 * On an error an owned array is not released: it stays the caller's.
 * Cost: one all-gather of ndim + 2 words per rank.
 *
 * Errors: DTENSOR_EINVAL      bad local array
 *         DTENSOR_ESHAPE      the arrays do not fit together, or not global_shape: on every rank
 *         DTENSOR_EPLACEMENT  a sharded dimension that is none
 *         DTENSOR_ENOMEM      on any rank: every rank returns it
 *
 * Source: PyTorch DTensor.from_local(), where uneven sizes corrupt data (pytorch#144109). */
dtensor_status dtensor_from_local(dtensor_mesh *mesh, dtensor_dtype dtype,
                                  const dtensor_local *local, const dtensor_placement p[],
                                  const int64_t global_shape[], dtensor **out);

/* This rank's array, without a copy; valid while x lives. `own` is DTENSOR_BORROW. Local.
 *
 * Of a replica that ranks of a node share (node_shared.h) a copy is made first, once, so that what
 * is written there is seen on this rank alone, in x alone.
 *
 * Errors: DTENSOR_EMESH   this rank is not a member of the mesh
 *         DTENSOR_ENOMEM  for that copy */
dtensor_status dtensor_to_local(const dtensor *x, dtensor_local *view);

/* Of the global tensor, the same on every rank. NULL has no dimensions, here and below. Local. */
int dtensor_ndim(const dtensor *x);
int64_t dtensor_size(const dtensor *x, int dim); /* dim -1: all elements */
dtensor_dtype dtensor_dtype_of(const dtensor *x);
dtensor_mesh *dtensor_mesh_of(const dtensor *x); /* not retained for the caller */

/* The placement on a mesh dimension; replicate for a dimension that is none. Explicit sizes point
 * into x and live as long as it does. Local. */
dtensor_placement dtensor_placement_of(const dtensor *x, int mesh_dim);

/* This rank's part: first element, sizes, strides in elements, and the global index of its first
 * element (of an empty shard: where its chunk would start). dim -1 of the size: all elements. NULL
 * and 0 on ranks outside of the mesh. Local.
 *
 * Of a node-shared tensor the strides are those of the node's array; of its replicas the data are
 * copied first, as in dtensor_to_local(), with strides of their own: ask for these after the data,
 * which are NULL if there is no memory for the copy. */
void *dtensor_local_data(const dtensor *x);
int64_t dtensor_local_size(const dtensor *x, int dim);
int64_t dtensor_local_stride(const dtensor *x, int dim);
int64_t dtensor_local_offset(const dtensor *x, int dim);

/* This rank's part, to be read only. NULL on ranks outside of the mesh. Valid until x is destroyed
 * or one asks for its local data. Local.
 *
 * Who only reads should ask so: of a replica that ranks of a node share no copy is made, and x can
 * still be known not to change (dtensor_local_done()). */
const void *dtensor_local_read(const dtensor *x);

/* Promise: from now on nobody writes through pointers that dtensor_local_data() or
 * dtensor_to_local() gave for x, or for a view of it, before. To write again, ask again. Like
 * VecRestoreArray() of PETSc. Local; NULL is accepted.
 *
 * It saves time, nothing depends on it: neighbours on a node read x in place, and a redistribution
 * of a tensor that somebody may be writing must wait until they have. Of one that nobody can be
 * writing, as the result of an operation is, or any tensor after this call, it returns when this
 * rank has its own part, and whoever asks for the local data, or destroys the last owner, waits
 * for neighbours that are still reading. An array that was borrowed or taken over
 * (dtensor_from_local()) is always taken to be written. */
void dtensor_local_done(const dtensor *x);

/* The global index of a local index along a dimension (with block-cyclic and strided shards the
 * offset is not enough), or -1 if there is no such local index. Local. */
int64_t dtensor_global_index(const dtensor *x, int dim, int64_t local_index);

/* Write the placements, "S(0),R". Local. Errors: as dtensor_placements_format(). */
dtensor_status dtensor_placements_of(const dtensor *x, char *text, size_t size);

/* One more owner of the same tensor; returns x. Local. */
dtensor *dtensor_retain(dtensor *x);

/* One owner less; frees the tensor with the last. Accepts NULL, sets it to NULL. Sends nothing, and
 * waits for nobody but neighbours in the middle of reading x (dtensor_local_done()), so ranks may
 * destroy in any order. Local. */
void dtensor_destroy(dtensor **x);

#ifdef __cplusplus
}
#endif
#endif
