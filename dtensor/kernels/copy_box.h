/* Copying one box of elements. */
#ifndef DTENSOR_KERNELS_COPY_BOX_H_
#define DTENSOR_KERNELS_COPY_BOX_H_

#include "dtensor/kernels/region_walk.h"

/* Whether the box is denser along i than along j. */
int dti_place_transposed(const dti_place *place, int64_t ni);

/* Whether the box's rows are dense. */
int dti_place_dense(const dti_place *place, size_t element);

/* dst = src for a box of ni x nj elements; nothing if they are the same place. dst is not denser
 * along i than along j. stream: past the cache where that pays; dti_stream_fence() ends it. */
void dti_copy_box(size_t element, int64_t ni, int64_t nj, const dti_place *dst,
                  const dti_place *src, int stream);

/* One region to another if they are a few elements that lie in one run per dimension: setting up a
 * walk costs more than to copy them. 0: they are not, and nothing was done. */
int dti_copy_few(const dti_part *dst, const dti_part *src, size_t element);

#endif
