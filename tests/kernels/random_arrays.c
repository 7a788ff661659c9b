#include "tests/kernels/random_arrays.h"

#include <stdlib.h>
#include <string.h>

static uint64_t state = 1;

void random_seed(uint64_t seed) { state = seed * 2 + 1; }

static uint64_t random_bits(void) { /* splitmix64 */
  uint64_t z = state += 0x9e3779b97f4a7c15u;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

int64_t random_below(int64_t n) { return (int64_t)(random_bits() % (uint64_t)n); }

int random_shape(int max_ndim, int64_t max_size, int64_t shape[]) {
  const int ndim = (int)random_below(max_ndim + 1);
  for (int d = 0; d < ndim; d++) {
    const int64_t kind = random_below(16);
    shape[d] = kind == 0 ? 0 : kind < 3 ? 1 : 1 + random_below(max_size);
  }
  return ndim;
}

static void allocate(random_array *array, int64_t extent, size_t element) {
  array->bytes = (size_t)extent * element;
  array->memory = malloc(array->bytes + 1);
  for (size_t i = 0; i < array->bytes; i++) array->memory[i] = (char)random_bits();
}

random_array make_array(int ndim, const int64_t shape[], size_t element) {
  random_array array = {.view = {.ndim = ndim}};
  int order[DTENSOR_MAX_NDIM];
  for (int d = 0; d < ndim; d++) order[d] = d;
  if (random_below(2))
    for (int d = ndim - 1; d > 0; d--) {
      const int other = (int)random_below(d + 1), kept = order[d];
      order[d] = order[other];
      order[other] = kept;
    }
  const int gaps = (int)random_below(2), reversed = (int)random_below(2);
  int64_t extent = 1, origin = 0;
  for (int i = ndim - 1; i >= 0; i--) {
    const int d = order[i];
    int64_t stride = extent;
    if (gaps) stride += random_below(3);
    array.view.shape[d] = shape[d];
    extent = stride * (shape[d] > 0 ? shape[d] : 1);
    if (reversed && random_below(2) && shape[d] > 0) {
      origin += stride * (shape[d] - 1);
      stride = -stride;
    }
    array.view.stride[d] = stride;
  }
  allocate(&array, extent, element);
  array.view.data = array.memory + (size_t)origin * element;
  return array;
}

random_array make_dense(int ndim, const int64_t shape[], size_t element) {
  random_array array = {.view = {.ndim = ndim}};
  int64_t extent = 1;
  for (int d = ndim - 1; d >= 0; d--) {
    array.view.shape[d] = shape[d];
    array.view.stride[d] = extent;
    extent *= shape[d];
  }
  allocate(&array, extent, element);
  array.view.data = array.memory;
  return array;
}

void free_array(random_array *array) {
  free(array->memory);
  array->memory = NULL;
}

int64_t elements_of(int ndim, const int64_t shape[]) {
  int64_t elements = 1;
  for (int d = 0; d < ndim; d++) elements *= shape[d];
  return elements;
}

int next_index(int ndim, const int64_t shape[], int64_t index[]) {
  for (int d = ndim - 1; d >= 0; d--) {
    if (++index[d] < shape[d]) return 1;
    index[d] = 0;
  }
  return 0;
}

void *at_index(const dti_array *array, const int64_t index[], size_t element) {
  int64_t offset = 0;
  for (int d = 0; d < array->ndim; d++) offset += index[d] * array->stride[d];
  return (char *)array->data + offset * (int64_t)element;
}

static double value(void) { return (double)random_below(2001) / 128.0 - 7.5; }

void fill_values(random_array *array, dtensor_dtype dtype) {
  const size_t element = dtensor_dtype_size(dtype);
  for (size_t i = 0; i + element <= array->bytes; i += element) {
    char *at = array->memory + i;
    const double v[2] = {value(), value()};
    const float f[2] = {(float)v[0], (float)v[1]};
    switch (dtype) {
      case DTENSOR_F32:
      case DTENSOR_C64:
        memcpy(at, f, element);
        break;
      case DTENSOR_F64:
      case DTENSOR_C128:
        memcpy(at, v, element);
        break;
      case DTENSOR_BOOL:
        *at = (char)random_below(2);
        break;
      case DTENSOR_BF16:
        memcpy(at, (uint16_t[]){(uint16_t)(0x3f80 + random_below(256))}, 2);
        break;
      case DTENSOR_F16:
        memcpy(at, (uint16_t[]){(uint16_t)(0x3c00 + random_below(2048))}, 2);
        break;
      default:
        break; /* any bits are integers */
    }
  }
}
