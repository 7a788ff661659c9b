/* Filling a tensor by the global index of its elements. */
#ifndef DTENSOR_TENSOR_STRETCH_H_
#define DTENSOR_TENSOR_STRETCH_H_

#include "dtensor/tensor/tensor.h"

/* Write n elements that are consecutive in the global row-major order, the first of them `first`.
 */
typedef void (*dti_stretch_writer)(void *out, uint64_t first, int64_t n, const void *ctx);

/* Call write for every stretch of x's packed local array, on all of the rank's threads. */
dtensor_status dti_fill_stretches(dtensor *x, dti_stretch_writer write, const void *ctx);

#endif
