/* Reducing bf16 and f16: in float, rounded once. */
#ifndef DTENSOR_REDISTRIBUTE_HALVES_H_
#define DTENSOR_REDISTRIBUTE_HALVES_H_

#include "dtensor/placement.h"
#include "dtensor/types.h"

int dti_is_half(dtensor_dtype dtype);

/* sum[i] = (part[0][i] op part[1][i] op ...) / divisor, i < n, in this order; all contiguous. sum
 * may be one of the parts. AVG adds. */
void dti_reduce_halves(void *sum, const void *const part[], int64_t parts, int64_t n,
                       dtensor_dtype dtype, dtensor_reduce_op op, int64_t divisor, int threads);

#endif
