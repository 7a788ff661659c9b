/* Moving elements between local arrays of any strides. */
#ifndef DTENSOR_KERNELS_STRIDED_H_
#define DTENSOR_KERNELS_STRIDED_H_

#include <stddef.h>

#include "dtensor/base/region.h"
#include "dtensor/kernels/region_walk.h"
#include "dtensor/placement.h"
#include "dtensor/types.h"

/* dst = src elementwise; equal shapes, any strides (a transposing copy is tiled). The arrays do not
 * overlap. element: bytes of one, 1 to 16. */
void dti_copy(const dti_array *dst, const dti_array *src, size_t element, int threads);

/* Every element = *value. */
void dti_fill(const dti_array *dst, const void *value, size_t element, int threads);

/* A region to and from a message, which holds its elements in row-major order of the region. */
void dti_pack(void *message, const void *data, const int64_t stride[], const dti_region *region,
              size_t element, int threads);
void dti_unpack(void *data, const int64_t stride[], const dti_region *region, const void *message,
                size_t element, int threads);

/* One region to another of the same number of elements per dimension (their runs may be cut
 * differently). */
void dti_copy_region(void *dst, const int64_t dst_stride[], const dti_region *dst_region,
                     const void *src, const int64_t src_stride[], const dti_region *src_region,
                     size_t element, int threads);

/* acc[i] = acc[i] op in[i], i < n, contiguous. AVG adds. Bool: as its ops; bf16 and f16 through
 * float. */
void dti_accumulate(void *acc, const void *in, int64_t n, dtensor_dtype dtype, dtensor_reduce_op op,
                    int threads);

/* x[i] = x[i] / divisor, contiguous; the end of AVG. */
void dti_divide(void *x, int64_t n, int64_t divisor, dtensor_dtype dtype, int threads);

/* The value that changes nothing under op: 0 for sum, avg, bor, bxor; 1 for product; all ones for
 * band (1 for bool); the largest for min, the smallest for max (infinities for floating-point). */
void dti_identity(dtensor_dtype dtype, dtensor_reduce_op op, void *element);

#endif
