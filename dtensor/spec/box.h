/* A box: the same number of consecutive indices per dimension, somewhere in a global array. */
#ifndef DTENSOR_SPEC_BOX_H_
#define DTENSOR_SPEC_BOX_H_

#include "dtensor/spec/layout.h"

/* A box of one global array that becomes a box of another; what lies outside is left alone. */
typedef struct dti_box {
  int64_t from[DTENSOR_MAX_NDIM], to[DTENSOR_MAX_NDIM]; /* where it begins in each */
  int64_t shape[DTENSOR_MAX_NDIM];
} dti_box;

/* All of a global array, to the same place. */
dti_box dti_box_whole(const dti_layout *layout);

/* What a coordinate owns of the box of `shape` at `begin`: always a box of the local array too,
 * because local order follows global order. shape may hold zeros, then begin still lies inside. */
void dti_layout_local_box(const dti_layout *layout, const int64_t coord[], const int64_t begin[],
                          const int64_t shape[], int64_t local_begin[], int64_t local_shape[]);

#endif
