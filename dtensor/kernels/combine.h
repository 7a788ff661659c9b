/* One pass over the data from several strided places to several strided places. */
#ifndef DTENSOR_KERNELS_COMBINE_H_
#define DTENSOR_KERNELS_COMBINE_H_

#include "dtensor/kernels/region_walk.h"
#include "dtensor/placement.h"
#include "dtensor/types.h"

/* For every element e of the regions (all have the same number of elements per dimension; their
 * runs may be cut differently):
 *   value = in[0][e] op in[1][e] op ... in[inputs - 1][e], in this order, then divided by
 *           `divisor` if it is above 1 (the end of AVG);
 *   out[j][e] = value for every j.
 * Inputs may be the same memory as outputs only if exactly the same part. inputs, outputs >= 1.
 * bf16 and f16 are combined in float and rounded once. Bool as its ops in dti_accumulate. With one
 * input op is not read.
 * Large results are written past the cache, small ones are not. The bits do not depend on threads,
 * on how runs are cut, or on that. */
void dti_combine(dtensor_dtype dtype, dtensor_reduce_op op, int64_t divisor, int inputs,
                 const dti_part in[], int outputs, const dti_part out[], int threads);

#endif
