/* Elementwise functions of local arrays. */
#ifndef DTENSOR_KERNELS_ELEMENTWISE_H_
#define DTENSOR_KERNELS_ELEMENTWISE_H_

#include "dtensor/base/region.h"
#include "dtensor/types.h"

typedef enum dti_binary {
  DTI_ADD,
  DTI_SUB,
  DTI_MUL,
  DTI_DIV,
  DTI_POW,
  DTI_MAXIMUM,
  DTI_MINIMUM,
  DTI_AXPY /* scalar * a + b */
} dti_binary;

typedef enum dti_unary {
  DTI_NEG,
  DTI_ABS,
  DTI_EXP,
  DTI_LOG,
  DTI_SQRT,
  DTI_TANH,
  DTI_RELU,
  DTI_SCALE,      /* x * scalar */
  DTI_ADD_SCALAR, /* x + scalar */
  DTI_POW_SCALAR  /* x ^ scalar */
} dti_unary;

/* 1 if the function exists for the dtype; what ops.h promises. */
int dti_binary_has(dti_binary f, dtensor_dtype dtype);
int dti_unary_has(dti_unary f, dtensor_dtype dtype);

/* c = f(a, b) over c's shape; a and b have c's shape too, a stride of 0 where they are broadcast.
 * scalar: one element of dtype, or NULL where f takes none. Contiguous arrays take a fast path. */
void dti_binary_apply(dti_binary f, dtensor_dtype dtype, const dti_array *c, const dti_array *a,
                      const dti_array *b, const void *scalar, int threads);

/* y = f(x). y may be x. */
void dti_unary_apply(dti_unary f, dtensor_dtype dtype, const dti_array *y, const dti_array *x,
                     const void *scalar, int threads);

/* y = x converted; the rules of dtensor_cast(). */
void dti_cast_apply(const dti_array *y, dtensor_dtype to, const dti_array *x, dtensor_dtype from,
                    int threads);

#endif
