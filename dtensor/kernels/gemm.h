/* Matrix multiplication of local arrays, and the thread count of BLAS. */
#ifndef DTENSOR_KERNELS_GEMM_H_
#define DTENSOR_KERNELS_GEMM_H_

#include "dtensor/base/region.h"
#include "dtensor/status.h"
#include "dtensor/types.h"

/* c = alpha a b + beta c, a and b conjugated where asked. A beta of 0 does not read c. */
typedef struct dti_gemm_terms {
  double alpha[2], beta[2]; /* re, im; im of complex dtypes alone */
  int conjugate_a, conjugate_b;
} dti_gemm_terms;

/* c = a b, or with terms (NULL: none). 2-d arrays; f32 f64 c64 c128. Operands whose rows or columns
 * are contiguous (transposed and column-major ones included) go to OpenBLAS as they lie; others are
 * copied first. Sizes beyond the int of CBLAS are cut into pieces. k = 0 gives beta c.
 *
 * Errors: DTENSOR_ENOMEM  an operand had to be copied and could not be */
dtensor_status dti_gemm(dtensor_dtype dtype, const dti_array *c, const dti_array *a,
                        const dti_array *b, const dti_gemm_terms *terms, int threads);

/* 1 if BLAS takes x as it lies: rows or columns without gaps between elements. */
int dti_gemm_takes(const dti_array *x);

/* Give OpenBLAS and OpenMP `threads` threads for a call, and what was set back after the last of
 * the calls that overlap; simulated ranks call at once. */
void dti_blas_threads_enter(int threads);
void dti_blas_threads_leave(void);

#endif
