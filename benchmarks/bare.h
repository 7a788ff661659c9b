/* The inner loops of the bare single-copy loop: one pass over the data, through the cache or past
 * it. */
#ifndef DTENSOR_BENCHMARKS_BARE_H_
#define DTENSOR_BENCHMARKS_BARE_H_

#include <stddef.h>
#include <stdint.h>

typedef enum bare_store {
  BARE_CACHED,
  BARE_STREAMED, /* non-temporal stores */
  BARE_AHEAD,    /* copies: the same, and prefetching what comes next */
  BARE_STRING,   /* copies: the instruction that moves strings */
  BARE_STRINGS   /* copies: the same in pieces of 256 KiB */
} bare_store;

/* out[j][e] = in[0][e] + in[1][e] + ... for e < count and every j. Outputs that do not lie alike in
 * their cache lines are written through the cache. */
void bare_combine(double *const out[], int outputs, const double *const in[], int inputs,
                  size_t count, bare_store how);

/* out[i * out_stride + j] = in[j * in_stride + i] for i < rows and j < columns, in squares of
 * `tile`, a multiple of 8. */
void bare_transpose(double *out, int64_t out_stride, const double *in, int64_t in_stride,
                    int64_t rows, int64_t columns, int64_t tile, bare_store how);

/* After stores past the cache, before others are told. */
void bare_fence(void);

#endif
