/* One tensor dimension and the chain of mesh dimensions that split it.
 *
 * Each split takes a set of n positions 0..n-1 and hands each of its p coordinates some of them;
 * the next split works on the positions within that part. So an index is mapped to its owner by
 * walking the chain down, and a local index back to its global one by walking up. No array has an
 * entry per rank (but for the explicit sizes that the user gave), so a mesh of a million ranks
 * costs nothing. */
#ifndef DTENSOR_SPEC_AXIS_H_
#define DTENSOR_SPEC_AXIS_H_

#include <stdint.h>

#include "dtensor/spec/layout.h"

typedef struct dti_axis {
  int64_t size;                    /* global length */
  int levels;                      /* how many mesh dimensions split it */
  int mesh_dim[DTENSOR_MAX_NDIM];  /* which, in the order of splitting */
  int64_t parts[DTENSOR_MAX_NDIM]; /* their sizes */
  dtensor_placement p[DTENSOR_MAX_NDIM];
} dti_axis;

dti_axis dti_axis_of(const dti_layout *layout, int dim);

/* 1 if what a coordinate owns may be many runs. */
int dti_axis_is_periodic(const dti_axis *axis);

/* Where a coordinate (of the whole mesh) stands on an axis. */
int64_t dti_axis_length(const dti_axis *axis, const int64_t coord[]);
int64_t dti_axis_offset(const dti_axis *axis, const int64_t coord[]);

/* No coordinate owns more: found in a time that grows with explicit sizes alone. Some coordinate
 * owns so many, unless a strided shard splits parts that are not equally long. */
int64_t dti_axis_most(const dti_axis *axis);

/* The global index of a local one; *run (may be NULL) says how many local indices from this one on
 * are consecutive globally too, at least 1. */
int64_t dti_axis_global(const dti_axis *axis, const int64_t coord[], int64_t local, int64_t *run);

/* How many local indices stand for global ones below `index`. */
int64_t dti_axis_below(const dti_axis *axis, const int64_t coord[], int64_t index);

/* The owner of a global index: coord[m] is written for the mesh dimensions of the axis only.
 * Returns the owner's local index; *run (may be NULL) says for how many indices from this one on
 * owner and local order go on. */
int64_t dti_axis_owner(const dti_axis *axis, int64_t index, int64_t coord[], int64_t *run);

/* A stretch of global indices with one owner. */
typedef struct dti_piece {
  int64_t begin, length; /* global */
  int64_t local;         /* the owner's local index of `begin` */
  const int64_t *coord;  /* the owner, mesh_dim entries of the axis are meaningful; of the walk */
} dti_piece;
typedef dtensor_status (*dti_piece_visitor)(const dti_piece *piece, void *ctx);

/* Visit the pieces of [begin, end) in increasing order. fixed[m] >= 0 restricts mesh dimension m to
 * that coordinate: pieces of others are skipped without being enumerated; -1 takes all. Stops at
 * the first status that is not DTENSOR_OK and returns it. Cost: pieces visited x levels. */
dtensor_status dti_axis_walk(const dti_axis *axis, int64_t begin, int64_t end,
                             const int64_t fixed[], dti_piece_visitor visit, void *ctx);

#endif
