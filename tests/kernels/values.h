/* One element of any dtype as the widest of its class: what the references of the kernel tests
 * compute in. */
#ifndef DTENSOR_TESTS_KERNELS_VALUES_H_
#define DTENSOR_TESTS_KERNELS_VALUES_H_

#include <complex.h>
#include <stdint.h>

#include "dtensor/types.h"

typedef struct value {
  double complex number; /* floating-point and complex */
  int64_t integer;       /* integers and bool */
} value;

int is_integer(dtensor_dtype dtype);
int is_complex(dtensor_dtype dtype);
value load(dtensor_dtype dtype, const void *element);
/* Integers are cut to their size: arithmetic wraps. */
void store(dtensor_dtype dtype, value v, void *element);

/* Integers: the same. Others: to within `ulps` units of the dtype's precision of max(|want|,
 * scale); NaN is near NaN. */
int near(dtensor_dtype dtype, const void *got, const void *want, double ulps, double scale);

#endif
