/* Copies that transpose. */
#ifndef DTENSOR_KERNELS_TRANSPOSE_H_
#define DTENSOR_KERNELS_TRANSPOSE_H_

#include "dtensor/kernels/region_walk.h"

/* dst = src for a box of ni x nj elements, where src is densest along i and dst along j. stream:
 * past the cache where that is possible. */
void dti_transpose(size_t element, int64_t ni, int64_t nj, const dti_place *dst,
                   const dti_place *src, int stream);

#endif
