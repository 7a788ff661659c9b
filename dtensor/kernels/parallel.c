#include "dtensor/kernels/parallel.h"

void dti_parallel(int64_t n, int64_t grain, int64_t cost, int threads, dti_parallel_body body,
                  const void *ctx) {
  if (n <= 0) return;
  const int64_t grains = n / grain + (n % grain != 0);
  int64_t parts = cost / DTI_BYTES_PER_THREAD;
  if (parts > threads) parts = threads;
  if (parts > grains) parts = grains;
  if (parts <= 1) { /* not by an if clause: that would enter the OpenMP runtime */
    body(ctx, 0, n);
    return;
  }
  const int64_t share = grains / parts, longer = grains % parts;
#pragma omp parallel for num_threads((int)parts) schedule(static, 1)
  for (int64_t part = 0; part < parts; part++) {
    const int64_t first = part * share + (part < longer ? part : longer);
    const int64_t last = first + share + (part < longer ? 1 : 0);
    body(ctx, first * grain, last < grains ? last * grain : n);
  }
}
