/* A box: the same number of consecutive indices per dimension, somewhere in a global array. */
#ifndef DTENSOR_SPEC_BOX_H_
#define DTENSOR_SPEC_BOX_H_

#include "dtensor/base/region.h"
#include "dtensor/spec/layout.h"

/* A box of one global array that becomes a box of another; what lies outside is left alone. */
typedef struct dti_box {
  int64_t from[DTENSOR_MAX_NDIM], to[DTENSOR_MAX_NDIM]; /* where it begins in each */
  int64_t shape[DTENSOR_MAX_NDIM];
  /* Of dimension cut_dim only these indices of the box, counted from where it begins, so that a
   * panel can take a slice of what every rank owns. runs NULL: all of them. Borrowed. */
  int cut_dim;
  int64_t cuts;
  const dti_run *runs; /* sorted, disjoint */
  /* Of one exchange on one mesh: only what coordinate (c + d) % size of mesh dimension `line`,
   * which splits the source, has and coordinate c gets, for the distances d from first_peer to
   * end_peer-1. end_peer 0: everything. */
  int line;
  int64_t first_peer, end_peer;
} dti_box;

/* The runs of the box along a dimension: those that it borrows, or *all, written for it. */
int64_t dti_box_runs(const dti_box *box, int dim, dti_run *all, const dti_run **runs);

/* All of a global array, to the same place. */
dti_box dti_box_whole(const dti_layout *layout);

/* What a coordinate owns of the box of `shape` at `begin`: always a box of the local array too,
 * because local order follows global order. shape may hold zeros, then begin still lies inside. */
void dti_layout_local_box(const dti_layout *layout, const int64_t coord[], const int64_t begin[],
                          const int64_t shape[], int64_t local_begin[], int64_t local_shape[]);

#endif
