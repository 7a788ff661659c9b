#include "dtensor/kernels/elementwise.h"

#include <stdlib.h>

#include "dtensor/kernels/nest.h"
#include "dtensor/kernels/parallel.h"
#include "dtensor/kernels/rows.h"

int dti_binary_has(dti_binary f, dtensor_dtype dtype) { return dti_binary_row(f, dtype) != NULL; }
int dti_unary_has(dti_unary f, dtensor_dtype dtype) { return dti_unary_row(f, dtype) != NULL; }

typedef struct application {
  dti_nest nest;
  dti_row row;
  const void *scalar;
} application;

static void apply_part(const void *ctx, int64_t begin, int64_t end) {
  const application *a = ctx;
  dti_nest_walk(&a->nest, begin, end, a->row, a->scalar);
}

/* The function's own time, in bytes that a core moves meanwhile. */
static int64_t work_of_unary(dti_unary f) {
  switch (f) {
    case DTI_EXP:
    case DTI_LOG:
    case DTI_TANH:
    case DTI_POW_SCALAR:
      return 64;
    default:
      return 0;
  }
}

static void apply(dti_row row, int arrays, const dti_array *const array[], size_t element,
                  const void *scalar, int64_t work, int threads) {
  enum { SMALL = 512 }; /* elements: below, the nest would cost as much as the work */
  const int64_t elements = dti_array_elements(array[0]);
  if (elements == 0) return;
  int dense = elements <= SMALL;
  for (int k = 0; k < arrays && dense; k++) dense = dti_array_dense(array[k]);
  if (dense) {
    char *const at[DTI_NEST_ARRAYS] = {array[0]->data, array[1]->data, array[arrays - 1]->data};
    row(scalar, elements, at, (const int64_t[DTI_NEST_ARRAYS]){1, 1, 1});
    return;
  }
  application a = {.row = row, .scalar = scalar};
  dti_nest_init(&a.nest, arrays, array, (const size_t[]){element, element, element});
  dti_parallel(elements, 64, elements * (arrays * (int64_t)element + work), threads, apply_part,
               &a);
}

void dti_binary_apply(dti_binary f, dtensor_dtype dtype, const dti_array *c, const dti_array *a,
                      const dti_array *b, const void *scalar, int threads) {
  apply(dti_binary_row(f, dtype), 3, (const dti_array *const[]){c, a, b}, dtensor_dtype_size(dtype),
        scalar, f == DTI_POW ? 64 : 0, threads);
}

void dti_unary_apply(dti_unary f, dtensor_dtype dtype, const dti_array *y, const dti_array *x,
                     const void *scalar, int threads) {
  apply(dti_unary_row(f, dtype), 2, (const dti_array *const[]){y, x}, dtensor_dtype_size(dtype),
        scalar, work_of_unary(f), threads);
}
