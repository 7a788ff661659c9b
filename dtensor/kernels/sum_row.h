/* Sums of rows of f32 and f64 in one pass over the memory. */
#ifndef DTENSOR_KERNELS_SUM_ROW_H_
#define DTENSOR_KERNELS_SUM_ROW_H_

#include <stdint.h>

#include "dtensor/types.h"

enum { DTI_SUM_PARTS = 16 };

/* out[k][i] = (in[0][i] + in[1][i] + ...) / divisor, i < n, for every k; at most DTI_SUM_PARTS of
 * each. An output may be one of the inputs. stream: past the cache; dti_stream_fence() ends it. */
void dti_sum_row(dtensor_dtype dtype, int64_t n, int64_t divisor, int inputs,
                 const char *const in[], int outputs, char *const out[], int stream);

#endif
