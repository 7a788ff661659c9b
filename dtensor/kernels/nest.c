#include "dtensor/kernels/nest.h"

int dti_array_dense(const dti_array *array) {
  int64_t expected = 1;
  for (int d = array->ndim - 1; d >= 0; d--) {
    if (array->shape[d] != 1 && array->stride[d] != expected) return 0;
    expected *= array->shape[d];
  }
  return 1;
}

int64_t dti_array_elements(const dti_array *array) {
  uint64_t elements = 1; /* a product on its way to 0 may wrap */
  for (int d = 0; d < array->ndim; d++) elements *= (uint64_t)array->shape[d];
  return (int64_t)elements;
}

static int64_t magnitude(int64_t x) { return x < 0 ? -x : x; }

/* Whether dimension d of the arrays belongs inside of the nest's dimension e. */
static int is_inner(const dti_nest *nest, int e, const dti_array *const array[], int d) {
  for (int k = 0; k < nest->arrays; k++) {
    const int64_t outer = magnitude(nest->stride[k][e]), inner = magnitude(array[k]->stride[d]);
    if (outer != inner) return inner < outer;
  }
  return 1;
}

static void insert(dti_nest *nest, const dti_array *const array[], int d) {
  int e = nest->ndim++;
  for (; e > 0 && !is_inner(nest, e - 1, array, d); e--) {
    nest->size[e] = nest->size[e - 1];
    for (int k = 0; k < nest->arrays; k++) nest->stride[k][e] = nest->stride[k][e - 1];
  }
  nest->size[e] = array[0]->shape[d];
  for (int k = 0; k < nest->arrays; k++) nest->stride[k][e] = array[k]->stride[d];
}

static int continues(const dti_nest *nest, int outer, int inner) {
  for (int k = 0; k < nest->arrays; k++)
    if (nest->stride[k][outer] != nest->stride[k][inner] * nest->size[inner]) return 0;
  return 1;
}

static void merge(dti_nest *nest) {
  int last = 0;
  for (int d = 1; d < nest->ndim; d++) {
    int64_t size = nest->size[d];
    if (continues(nest, last, d))
      size *= nest->size[last];
    else
      last++;
    nest->size[last] = size;
    for (int k = 0; k < nest->arrays; k++) nest->stride[k][last] = nest->stride[k][d];
  }
  nest->ndim = last + 1;
}

void dti_nest_init(dti_nest *nest, int arrays, const dti_array *const array[],
                   const size_t element[]) {
  nest->arrays = arrays;
  nest->ndim = 0;
  nest->elements = dti_array_elements(array[0]);
  for (int k = 0; k < arrays; k++) {
    nest->data[k] = array[k]->data;
    nest->element[k] = element[k];
  }
  if (nest->elements > 1) {
    for (int d = 0; d < array[0]->ndim; d++)
      if (array[0]->shape[d] != 1) insert(nest, array, d);
    merge(nest);
    return;
  }
  nest->ndim = 1;
  nest->size[0] = nest->elements;
  for (int k = 0; k < arrays; k++) nest->stride[k][0] = 1;
}

void dti_nest_walk(const dti_nest *nest, int64_t begin, int64_t end, dti_row row, const void *ctx) {
  if (begin >= end) return;
  const int arrays = nest->arrays, inner = nest->ndim - 1;
  int64_t index[DTENSOR_MAX_NDIM], stride[DTI_NEST_ARRAYS];
  char *at[DTI_NEST_ARRAYS];
  int64_t rest = begin;
  for (int d = inner; d >= 0; d--) {
    index[d] = rest % nest->size[d];
    rest /= nest->size[d];
  }
  for (int k = 0; k < arrays; k++) {
    int64_t offset = 0;
    for (int d = 0; d <= inner; d++) offset += index[d] * nest->stride[k][d];
    at[k] = nest->data[k] + offset * (int64_t)nest->element[k];
    stride[k] = nest->stride[k][inner];
  }

  for (int64_t left = end - begin;;) {
    int64_t n = nest->size[inner] - index[inner];
    if (n > left) n = left;
    row(ctx, n, at, stride);
    left -= n;
    if (left == 0) return;
    for (int k = 0; k < arrays; k++) /* back to the beginning of the row */
      at[k] -= index[inner] * stride[k] * (int64_t)nest->element[k];
    index[inner] = 0;
    int d = inner - 1;
    while (index[d] == nest->size[d] - 1) {
      for (int k = 0; k < arrays; k++)
        at[k] -= index[d] * nest->stride[k][d] * (int64_t)nest->element[k];
      index[d--] = 0;
    }
    index[d]++;
    for (int k = 0; k < arrays; k++) at[k] += nest->stride[k][d] * (int64_t)nest->element[k];
  }
}
