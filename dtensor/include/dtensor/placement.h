/* Placements: how a tensor lies over one dimension of a device mesh.
 *
 * A tensor has one placement per mesh dimension. The mesh dimensions that shard one tensor
 * dimension split it in mesh order, left to right: each takes the index set that the earlier ones
 * left to this coordinate and hands every coordinate of its own a part of it. So each rank owns,
 * per tensor dimension, a sorted list of index intervals, and its local array is the product of
 * these lists, row-major. Nothing is ever padded; empty parts are ordinary.
 *
 * Everything here is a plain value and Local: no mesh object, no communication. */
#ifndef DTENSOR_PLACEMENT_H_
#define DTENSOR_PLACEMENT_H_

#include <stddef.h>
#include <stdint.h>

#include "dtensor/status.h"
#include "dtensor/types.h"

#ifdef __cplusplus
extern "C" {
#endif

/* How the values of a Partial placement combine. AVG is a sum with a division at the end. */
typedef enum dtensor_reduce_op {
  DTENSOR_SUM,
  DTENSOR_AVG,
  DTENSOR_MIN,
  DTENSOR_MAX,
  DTENSOR_PRODUCT,
  DTENSOR_BAND,
  DTENSOR_BOR,
  DTENSOR_BXOR
} dtensor_reduce_op;

typedef enum dtensor_placement_kind {
  DTENSOR_REPLICATE,      /* every coordinate holds the whole */
  DTENSOR_SHARD,          /* runs of ceil(n/p); the last ones short or empty */
  DTENSOR_SHARD_BALANCED, /* runs whose sizes differ by at most one, the longer first */
  DTENSOR_SHARD_SIZES,    /* runs of given sizes */
  DTENSOR_SHARD_CYCLIC,   /* blocks of a given size dealt in turn, as ScaLAPACK does */
  DTENSOR_SHARD_STRIDED,  /* PyTorch's _StridedShard */
  DTENSOR_PARTIAL         /* the value is a reduction over the coordinates */
} dtensor_placement_kind;

typedef struct dtensor_placement {
  dtensor_placement_kind kind;
  int dim;              /* SHARD*: the tensor dimension that is split */
  dtensor_reduce_op op; /* PARTIAL */
  int64_t param;        /* CYCLIC: block size; STRIDED: split factor; else 0 */
  const int64_t *sizes; /* SIZES: one size per coordinate, borrowed; else NULL */
  int64_t count;        /* SIZES: how many, 0 where that is not known; else 0 */
} dtensor_placement;

/* Every coordinate of the mesh dimension holds the whole. */
dtensor_placement dtensor_replicate(void);

/* torch.chunk: a dimension of n over p coordinates gives runs of ceil(n/p); the last ones are short
 * or empty (5 over 4 is 2, 2, 1, 0). A negative dim counts from the end. */
dtensor_placement dtensor_shard(int dim);

/* Runs whose sizes differ by at most one (5 over 4 is 2, 1, 1, 1). */
dtensor_placement dtensor_shard_balanced(int dim);

/* Blocks of `block` indices dealt to the coordinates in turn; ScaLAPACK's block-cyclic layout. */
dtensor_placement dtensor_shard_cyclic(int dim, int64_t block);

/* Any split into runs, one size per coordinate of the mesh dimension; their sum must be the length
 * that is split. The value borrows the array; a tensor makes its own copy. */
dtensor_placement dtensor_shard_sizes(int dim, const int64_t sizes[]);

/* PyTorch's _StridedShard: the dimension is chunked into split_factor pieces, each piece is chunked
 * over the coordinates, and a coordinate owns its chunk of every piece. */
dtensor_placement dtensor_strided_shard(int dim, int64_t split_factor);

/* The value is `op` over what the coordinates hold. */
dtensor_placement dtensor_partial(dtensor_reduce_op op);

/* 1 if the two mean the same, else 0. Explicit sizes are compared element by element where their
 * count is known (a tensor's placements), else by the address of the array. */
int dtensor_placement_equal(dtensor_placement a, dtensor_placement b);

/* Read one placement per mesh dimension from text, separated by commas:
 *
 *   R            replicate                 S(0)  S0      shard
 *   P  P(sum)    partial; also avg min     SB(0)         shard_balanced
 *   P(avg) ...   max product band bor      SC(0,64)      shard_cyclic, blocks of 64
 *                bxor                      SS(0,2)       strided_shard, split factor 2
 *
 * Blanks between tokens are skipped. Explicit sizes are borrowed arrays and have no text that can
 * be read.
 *
 * Errors: DTENSOR_EINVAL  bad text (the message shows the position), or not mesh_ndim placements */
dtensor_status dtensor_placements_parse(const char *text, int mesh_ndim, dtensor_placement out[]);

/* Write the same text. Explicit sizes print as SZ(0,[3,0,5]) where their count is known.
 *
 * Errors: DTENSOR_EINVAL  size is too small; text then holds what fits, ended by a zero */
dtensor_status dtensor_placements_format(const dtensor_placement p[], int mesh_ndim, char *text,
                                         size_t size);

/* What the rank at `coordinate` of a mesh owns of a tensor: PyTorch's _utils function of this name.
 *
 *   mesh_shape, coordinate, p   mesh_ndim entries
 *   shape                       ndim entries, the global shape
 *   local_shape, global_offset  ndim entries, written. The offset is the global index of the first
 *                               local element; of an empty shard, where its chunk would start.
 *
 * Errors: DTENSOR_EINVAL      a size or coordinate out of range
 *         DTENSOR_EPLACEMENT  a placement that does not fit the shape or the mesh */
dtensor_status dtensor_compute_local_shape_and_global_offset(
    int mesh_ndim, const int64_t mesh_shape[], const int64_t coordinate[], int ndim,
    const int64_t shape[], const dtensor_placement p[], int64_t local_shape[],
    int64_t global_offset[]);

/* The global shape of which every rank holds local_shape, assuming an even split: each sharded
 * dimension is multiplied by the sizes of the mesh dimensions that shard it (what PyTorch's
 * compute_global_tensor_info assumes; dtensor_from_local() asks the ranks instead).
 *
 * Errors: DTENSOR_EINVAL, DTENSOR_EPLACEMENT as above */
dtensor_status dtensor_compute_global_shape(int mesh_ndim, const int64_t mesh_shape[], int ndim,
                                            const int64_t local_shape[],
                                            const dtensor_placement p[], int64_t shape[]);

/* The coordinate, on every mesh dimension that shards tensor dimension `dim`, of the owner of a
 * global index; -1 on the mesh dimensions that do not shard it. local_index is where the owner
 * keeps it.
 *
 * Errors: as above; DTENSOR_EINVAL  the index is not in [0, shape[dim]) */
dtensor_status dtensor_compute_owner(int mesh_ndim, const int64_t mesh_shape[], int ndim,
                                     const int64_t shape[], const dtensor_placement p[], int dim,
                                     int64_t index, int64_t coordinate[], int64_t *local_index);

#ifdef __cplusplus
}
#endif
#endif
