/* A layout: a global shape, a mesh shape, and one placement per mesh dimension. A plain value.
 *
 * Explicit shard sizes are borrowed: a layout that is copied points to the same arrays. */
#ifndef DTENSOR_SPEC_LAYOUT_H_
#define DTENSOR_SPEC_LAYOUT_H_

#include <stddef.h>
#include <stdint.h>

#include "dtensor/placement.h"
#include "dtensor/status.h"
#include "dtensor/types.h"

/* Only the coordinate `param` holds the value. Never visible to users: it is the source of
 * dtensor_distribute_tensor(), and in the intermediate steps of a route, with coordinate 0. */
#define DTI_OWNED ((dtensor_placement_kind)100)

typedef struct dti_layout {
  int ndim, mesh_ndim;
  int64_t shape[DTENSOR_MAX_NDIM];
  int64_t mesh[DTENSOR_MAX_NDIM];
  dtensor_placement p[DTENSOR_MAX_NDIM]; /* dims not negative, counts of explicit sizes set */
  /* The order in which mesh dimensions split a tensor dimension: 0, 1, 2, ... in every layout that
   * users see, another permutation only in the intermediate steps of a plan. */
  int order[DTENSOR_MAX_NDIM];
} dti_layout;

/* Make and check a layout. Messages show the shape, the mesh and the placement at fault.
 *
 * Errors: DTENSOR_EINVAL      ndim or a size out of range, more than 2^63-1 elements (sizes of 0
 * not counted, so strides always fit too) or ranks DTENSOR_EPLACEMENT  a sharded dimension that is
 * none, a block or factor < 1, sizes that are negative or do not add up for some coordinate,
 * Partial placements of different ops (sum beside avg is allowed) */
dtensor_status dti_layout_init(dti_layout *layout, int ndim, const int64_t shape[], int mesh_ndim,
                               const int64_t mesh[], const dtensor_placement p[]);

/* The same global shape and mesh with other placements: checked as dti_layout_init() does. */
dtensor_status dti_layout_with(const dti_layout *base, const dtensor_placement p[],
                               dti_layout *layout);

int dti_layout_equal(const dti_layout *a, const dti_layout *b);

/* 1 if the layout is what dti_layout_with(base, p) makes; 0 if that is not certain without checking
 * p. */
int dti_layout_is_with(const dti_layout *layout, const dti_layout *base,
                       const dtensor_placement p[]);

int dti_placement_is_shard(dtensor_placement p);

/* Number of elements of a shape. */
int64_t dti_numel(int ndim, const int64_t shape[]);

/* What a coordinate owns: sizes and the global index of the first element. Both may be NULL. */
void dti_layout_local(const dti_layout *layout, const int64_t coord[], int64_t shape[],
                      int64_t offset[]);

/* The same as one value. */
typedef struct dti_local {
  int64_t shape[DTENSOR_MAX_NDIM], offset[DTENSOR_MAX_NDIM];
  int64_t elements;
} dti_local;

/* coord NULL: outside of the mesh, where nothing is owned. */
dti_local dti_layout_local_part(const dti_layout *layout, const int64_t coord[]);

/* No local array has more elements (dti_axis_most()). */
int64_t dti_layout_most_elements(const dti_layout *layout);

/* 1 if every rank holds in `from` all that it needs in `to`, so that no rank sends anything; 0 if
 * that is not certain without looking at all ranks. */
int dti_layout_is_local(const dti_layout *from, const dti_layout *to);

/* Row-major place of a coordinate, and back. */
int64_t dti_mesh_linear(int ndim, const int64_t shape[], const int64_t coord[]);
void dti_mesh_unravel(int ndim, const int64_t shape[], int64_t linear, int64_t coord[]);

/* "[7,5] S(0),R on (2,3)" for messages; cut to fit. Returns text. */
const char *dti_layout_text(const dti_layout *layout, char *text, size_t size);

#endif
