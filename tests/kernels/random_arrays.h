/* Random local arrays for the tests of kernels: any strides, padded, never overlapping. */
#ifndef DTENSOR_TESTS_KERNELS_RANDOM_ARRAYS_H_
#define DTENSOR_TESTS_KERNELS_RANDOM_ARRAYS_H_

#include <stddef.h>
#include <stdint.h>

#include "dtensor/base/region.h"
#include "dtensor/types.h"

/* A fixed sequence of its own, the same in every run. */
void random_seed(uint64_t seed);
int64_t random_below(int64_t n);

/* Up to max_ndim dimensions of up to max_size elements; now and then a size of 0 or 1. */
int random_shape(int max_ndim, int64_t max_size, int64_t shape[]);

/* An array with memory of its own, filled with random bytes; its dimensions lie in random order,
 * with gaps, some reversed. Free it with free_array(). */
typedef struct random_array {
  dti_array view;
  char *memory;
  size_t bytes;
} random_array;
random_array make_array(int ndim, const int64_t shape[], size_t element);
/* The same, row-major without gaps. */
random_array make_dense(int ndim, const int64_t shape[], size_t element);
void free_array(random_array *array);

int64_t elements_of(int ndim, const int64_t shape[]);
/* Advance a row-major index; 0 at the end. */
int next_index(int ndim, const int64_t shape[], int64_t index[]);
/* The element at index. */
void *at_index(const dti_array *array, const int64_t index[], size_t element);

/* Elements of modest value (no NaN), in place of random bytes. */
void fill_values(random_array *array, dtensor_dtype dtype);

#endif
