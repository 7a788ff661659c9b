/* Several arrays of one shape as one loop nest, in the order that walks memory best. */
#ifndef DTENSOR_KERNELS_NEST_H_
#define DTENSOR_KERNELS_NEST_H_

#include <stddef.h>

#include "dtensor/base/region.h"

enum { DTI_NEST_ARRAYS = 3 };

typedef struct dti_nest {
  int arrays, ndim; /* ndim >= 1: a single element is a row of one */
  int64_t elements;
  int64_t size[DTENSOR_MAX_NDIM]; /* outermost first */
  int64_t stride[DTI_NEST_ARRAYS][DTENSOR_MAX_NDIM];
  size_t element[DTI_NEST_ARRAYS]; /* bytes of one */
  char *data[DTI_NEST_ARRAYS];
} dti_nest;

/* Dimensions of size 1 are dropped, the others sorted by the strides of the first array (then of
 * the next), and those merged that are one in all arrays. */
void dti_nest_init(dti_nest *nest, int arrays, const dti_array *const array[],
                   const size_t element[]);

/* One row of the innermost dimension, or a piece of it: n elements, each array from at[] on with
 * stride[] elements between two of them. */
typedef void (*dti_row)(const void *ctx, int64_t n, char *const at[], const int64_t stride[]);

/* Call row for the elements begin <= i < end in the order of the nest. */
void dti_nest_walk(const dti_nest *nest, int64_t begin, int64_t end, dti_row row, const void *ctx);

/* Row-major without gaps. */
int dti_array_dense(const dti_array *array);
int64_t dti_array_elements(const dti_array *array);

#endif
