/* The loops of the reductions, by reduction and dtype. */
#ifndef DTENSOR_KERNELS_REDUCE_LOOPS_H_
#define DTENSOR_KERNELS_REDUCE_LOOPS_H_

#include "dtensor/kernels/reduce.h"

/* Strides in elements; acc is one value, or one for each of the `width` columns. */
typedef struct dti_reduce_loops {
  /* acc = acc and the n > 0 elements of a row. */
  void (*row)(void *acc, int64_t n, const void *x, int64_t stride);
  /* acc[j] = acc[j] and the n elements of column j, one after the other. */
  void (*columns)(void *acc, int64_t width, int64_t width_stride, int64_t n, const void *x,
                  int64_t stride);
  /* acc[j] = acc[j] and other[j]. */
  void (*combine)(void *acc, const void *other, int64_t width);
} dti_reduce_loops;

/* NULL if there is none. */
const dti_reduce_loops *dti_reduce_loops_of(dti_reduction f, dtensor_dtype dtype);

#endif
