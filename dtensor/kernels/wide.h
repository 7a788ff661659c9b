/* Elements of any dtype as the widest of their class, for what is done once per element whatever
 * the dtype: casts and comparisons. */
#ifndef DTENSOR_KERNELS_WIDE_H_
#define DTENSOR_KERNELS_WIDE_H_

#include "dtensor/kernels/number.h"

typedef enum dti_width { DTI_WIDE_REAL, DTI_WIDE_INTEGER, DTI_WIDE_COMPLEX } dti_width;

enum { DTI_WIDE_BLOCK = 256 };

typedef union dti_wide {
  double real[DTI_WIDE_BLOCK];
  int64_t integer[DTI_WIDE_BLOCK]; /* bool too */
  dti_c128 complex_[DTI_WIDE_BLOCK];
} dti_wide;

dti_width dti_width_of(dtensor_dtype dtype);

/* n <= DTI_WIDE_BLOCK elements, stride elements apart. */
void dti_widen(dtensor_dtype dtype, int64_t n, const char *x, int64_t stride, dti_wide *wide);

#endif
