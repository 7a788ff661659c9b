/* Random numbers that depend on the element's global index only. */
#ifndef DTENSOR_KERNELS_PHILOX_H_
#define DTENSOR_KERNELS_PHILOX_H_

#include <stdint.h>

#include "dtensor/types.h"

/* Philox4x32-10. Source: Salmon, Moraes, Dror, Shaw, SC 2011. */
void dti_philox(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4]);

typedef enum dti_random { DTI_UNIFORM, DTI_NORMAL } dti_random;

/* out[i] for the elements with global row-major indices first, first+1, ..., first+n-1: the counter
 * is (index low, index high, stream low, stream high), the key is the seed. Each index draws its
 * own block, so that no two ranks need to agree on where a block starts. */
void dti_random_fill(dti_random kind, dtensor_dtype dtype, uint64_t seed, uint64_t stream,
                     uint64_t first, int64_t n, void *out);

#endif
