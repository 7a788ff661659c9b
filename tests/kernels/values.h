/* One element of any dtype as the widest of its class: what the references of the kernel tests
 * compute in. */
#ifndef DTENSOR_TESTS_KERNELS_VALUES_H_
#define DTENSOR_TESTS_KERNELS_VALUES_H_

#include <complex.h>
#include <stdint.h>

#include "dtensor/placement.h"
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

/* a op b, as reductions have it; `boolean` if they are of DTENSOR_BOOL. */
value reduced(dtensor_reduce_op op, int boolean, value a, value b);

/* Integers: the same. Others: to within `ulps` units of the dtype's precision of max(|want|,
 * scale); NaN is near NaN. */
int near(dtensor_dtype dtype, const void *got, const void *want, double ulps, double scale);

#endif
