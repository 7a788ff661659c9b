/* Element types and scalars. */
#ifndef DTENSOR_TYPES_H_
#define DTENSOR_TYPES_H_

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The most dimensions a tensor may have, and a mesh. */
#define DTENSOR_MAX_NDIM 8

/* Complex elements are a pair (real, imaginary), as in C99, Fortran and C++. Bool is one byte, 0 or
 * 1. BF16 and F16 are for storage and redistribution (sums are made in float and rounded once);
 * operators take them after dtensor_cast(). */
typedef enum dtensor_dtype {
  DTENSOR_F32 = 1,
  DTENSOR_F64,
  DTENSOR_C64,
  DTENSOR_C128,
  DTENSOR_I32,
  DTENSOR_I64,
  DTENSOR_U8,
  DTENSOR_BOOL,
  DTENSOR_BF16,
  DTENSOR_F16
} dtensor_dtype;

/* Bytes of one element; 0 for a value that is no dtype. Local. */
size_t dtensor_dtype_size(dtensor_dtype dtype);

/* "f64"; "?" for a value that is no dtype. Local. */
const char *dtensor_dtype_name(dtensor_dtype dtype);

/* Which fields of a scalar count. */
typedef enum dtensor_scalar_kind {
  DTENSOR_SCALAR_REAL = 1,
  DTENSOR_SCALAR_COMPLEX,
  DTENSOR_SCALAR_INT
} dtensor_scalar_kind;

/* A number of any dtype, passed by value; made by one of the three functions below. It is
 * converted to the dtype of the tensor that it meets; a conversion that would lose something (a
 * fraction into an integer tensor, an imaginary part into a real one) is DTENSOR_EDTYPE. */
typedef struct dtensor_scalar {
  dtensor_scalar_kind kind;
  double re, im;   /* REAL and COMPLEX */
  int64_t integer; /* INT */
} dtensor_scalar;

/* The scalars value, re + i im, and value. Local. */
dtensor_scalar dtensor_real(double value);
dtensor_scalar dtensor_complex(double re, double im);
dtensor_scalar dtensor_int(int64_t value);

#ifdef __cplusplus
}
#endif
#endif
