/* Reductions of local arrays. Sums run in a fixed order that does not depend on the thread count:
 * pairwise over blocks of fixed size. */
#ifndef DTENSOR_KERNELS_REDUCE_H_
#define DTENSOR_KERNELS_REDUCE_H_

#include "dtensor/base/region.h"
#include "dtensor/status.h"
#include "dtensor/types.h"

typedef enum dti_reduction {
  DTI_REDUCE_SUM,
  DTI_REDUCE_SUM_SQUARES, /* of absolute values; complex results have a zero imaginary part */
  DTI_REDUCE_MIN,         /* NaN wins */
  DTI_REDUCE_MAX
} dti_reduction;

int dti_reduction_has(dti_reduction f, dtensor_dtype dtype);

/* y = f over the dimensions d of x with reduce[d] != 0. y has x's ndim with size 1 there. Of no
 * elements: 0 for the sums, the identity of min and max. */
void dti_reduce_apply(dti_reduction f, dtensor_dtype dtype, const dti_array *y, const dti_array *x,
                      const int reduce[], int threads);

/* *out = sum of a[i] b[i] over equal shapes, not conjugated. One element of dtype. */
void dti_dot_apply(dtensor_dtype dtype, const dti_array *a, const dti_array *b, void *out,
                   int threads);

/* 1 if all elements are equal; close: |a-b| <= atol + rtol |b|. Any dtype. */
int dti_all_equal(dtensor_dtype dtype, const dti_array *a, const dti_array *b, int threads);
int dti_all_close(dtensor_dtype dtype, const dti_array *a, const dti_array *b, double rtol,
                  double atol, int threads);

#endif
