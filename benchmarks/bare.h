/* The inner loops of the bare single-copy loop: one pass over the data, through the cache or past
 * it. */
#ifndef DTENSOR_BENCHMARKS_BARE_H_
#define DTENSOR_BENCHMARKS_BARE_H_

#include <stddef.h>
#include <stdint.h>

/* out[j][e] = in[0][e] + in[1][e] + ... for e < count and every j. past_cache: with non-temporal
 * stores, if all outputs lie alike in their cache lines. */
void bare_combine(double *const out[], int outputs, const double *const in[], int inputs,
                  size_t count, int past_cache);

/* out[i * out_stride + j] = in[j * in_stride + i] for i < rows and j < columns, in squares of
 * `tile`, a multiple of 8. */
void bare_transpose(double *out, int64_t out_stride, const double *in, int64_t in_stride,
                    int64_t rows, int64_t columns, int64_t tile, int past_cache);

/* After stores past the cache, before others are told. */
void bare_fence(void);

#endif
