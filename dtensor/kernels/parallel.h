/* Sharing a range of work among OpenMP threads. */
#ifndef DTENSOR_KERNELS_PARALLEL_H_
#define DTENSOR_KERNELS_PARALLEL_H_

#include <stdint.h>

typedef void (*dti_parallel_body)(const void *ctx, int64_t begin, int64_t end);

/* Waking a team costs some microseconds: what a core moves in that time is not worth sharing. */
enum { DTI_BYTES_PER_THREAD = 32 * 1024 };

/* Whether the calling thread does it all. */
static inline int dti_parallel_is_alone(int64_t cost, int threads) {
  return threads <= 1 || cost < 2 * DTI_BYTES_PER_THREAD;
}

/* Run body over [0, n) in at most `threads` parts that start at multiples of grain. cost is about
 * the bytes that the whole range touches: where it is small the calling thread does everything. */
void dti_parallel(int64_t n, int64_t grain, int64_t cost, int threads, dti_parallel_body body,
                  const void *ctx);

#endif
