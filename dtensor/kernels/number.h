/* The dtypes as lists, to write one kernel for many of them, and what their C types lack.
 *
 * X(name, type, dtype); integers also name the unsigned type in which arithmetic wraps. */
#ifndef DTENSOR_KERNELS_NUMBER_H_
#define DTENSOR_KERNELS_NUMBER_H_

#include <complex.h>
#include <stdint.h>

#include "dtensor/types.h"

typedef float complex dti_c64;
typedef double complex dti_c128;

#define DTI_FLOATS(X)        \
  X(f32, float, DTENSOR_F32) \
  X(f64, double, DTENSOR_F64)
#define DTI_COMPLEXES(X)       \
  X(c64, dti_c64, DTENSOR_C64) \
  X(c128, dti_c128, DTENSOR_C128)
#define DTI_INTEGERS(X)                  \
  X(i32, int32_t, DTENSOR_I32, uint32_t) \
  X(i64, int64_t, DTENSOR_I64, uint64_t) \
  X(u8, uint8_t, DTENSOR_U8, uint8_t)
#define DTI_HALVES(X)             \
  X(bf16, uint16_t, DTENSOR_BF16) \
  X(f16, uint16_t, DTENSOR_F16)

/* CMPLX() of <complex.h> is not there for every compiler. */
static inline dti_c64 dti_make_c64(float re, float im) {
  const union {
    float part[2];
    dti_c64 z;
  } u = {{re, im}};
  return u.z;
}
static inline dti_c128 dti_make_c128(double re, double im) {
  const union {
    double part[2];
    dti_c128 z;
  } u = {{re, im}};
  return u.z;
}

/* The plain formula, as BLAS has it: C's operator looks for infinities and does not vectorise. */
static inline dti_c64 dti_mul_c64(dti_c64 a, dti_c64 b) {
  return dti_make_c64(crealf(a) * crealf(b) - cimagf(a) * cimagf(b),
                      crealf(a) * cimagf(b) + cimagf(a) * crealf(b));
}
static inline dti_c128 dti_mul_c128(dti_c128 a, dti_c128 b) {
  return dti_make_c128(creal(a) * creal(b) - cimag(a) * cimag(b),
                       creal(a) * cimag(b) + cimag(a) * creal(b));
}

/* What stands before the loop of a function: most are single instructions and should be vectorised
 * at any level of optimisation; those that call a function cannot be. */
#define DTI_VECTOR _Pragma("omp simd")
#define DTI_SCALAR

/* The smaller and the larger of two; a NaN is passed on. */
#define DTI_MIN_OF(a, b) ((((a) < (b)) | ((a) != (a))) ? (a) : (b))
#define DTI_MAX_OF(a, b) ((((a) > (b)) | ((a) != (a))) ? (a) : (b))

#endif
