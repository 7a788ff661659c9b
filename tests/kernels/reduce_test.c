/* Reductions, dot products and comparisons against one element at a time. */
#include "dtensor/kernels/reduce.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tests/harness/dtest.h"
#include "tests/kernels/random_arrays.h"
#include "tests/kernels/values.h"

static value combined(dti_reduction f, value acc, value v) {
  const double r = creal(v.number), size = cabs(v.number);
  switch (f) {
    case DTI_REDUCE_SUM:
      return (value){acc.number + v.number, (int64_t)((uint64_t)acc.integer + (uint64_t)v.integer)};
    case DTI_REDUCE_SUM_SQUARES:
      return (value){acc.number + size * size, 0};
    case DTI_REDUCE_MIN:
      return (value){r < creal(acc.number) ? r : acc.number,
                     v.integer < acc.integer ? v.integer : acc.integer};
    case DTI_REDUCE_MAX:
      return (value){r > creal(acc.number) ? r : acc.number,
                     v.integer > acc.integer ? v.integer : acc.integer};
  }
  return acc;
}

static value identity(dti_reduction f, dtensor_dtype dtype) {
  const int64_t low = dtype == DTENSOR_I32 ? INT32_MIN : dtype == DTENSOR_I64 ? INT64_MIN : 0;
  const int64_t high = dtype == DTENSOR_I32   ? INT32_MAX
                       : dtype == DTENSOR_I64 ? INT64_MAX
                                              : UINT8_MAX;
  if (f == DTI_REDUCE_MIN) return (value){INFINITY, high};
  if (f == DTI_REDUCE_MAX) return (value){-INFINITY, low};
  return (value){0, 0};
}

static void reduce_one(dti_reduction f, dtensor_dtype dtype, int ndim, const int64_t shape[],
                       const int reduce[]) {
  const size_t element = dtensor_dtype_size(dtype);
  int64_t kept[DTENSOR_MAX_NDIM], inner[DTENSOR_MAX_NDIM];
  for (int d = 0; d < ndim; d++) {
    kept[d] = reduce[d] ? 1 : shape[d];
    inner[d] = reduce[d] ? shape[d] : 1;
  }
  random_array x = make_array(ndim, shape, element);
  random_array y = make_array(ndim, kept, element), other = y;
  fill_values(&x, dtype);
  dti_reduce_apply(f, dtype, &y.view, &x.view, reduce, 1);
  other.memory = malloc(y.bytes + 1);
  other.view.data = other.memory + ((char *)y.view.data - y.memory);
  memcpy(other.memory, y.memory, y.bytes);
  dti_reduce_apply(f, dtype, &other.view, &x.view, reduce, 2);
  EXPECT_MEMEQ(y.memory, other.memory, y.bytes); /* the same bits for any number of threads */
  dti_reduce_apply(f, dtype, &other.view, &x.view, reduce, 3);
  EXPECT_MEMEQ(y.memory, other.memory, y.bytes);

  const double scale = 64.0 * (double)elements_of(ndim, inner);
  int64_t outer[DTENSOR_MAX_NDIM] = {0};
  int good = 1;
  if (elements_of(ndim, kept) > 0) do {
      value want = identity(f, dtype);
      char bytes[16];
      int64_t at[DTENSOR_MAX_NDIM] = {0}, index[DTENSOR_MAX_NDIM];
      if (elements_of(ndim, inner) > 0) do {
          for (int d = 0; d < ndim; d++) index[d] = outer[d] + at[d];
          want = combined(f, want, load(dtype, at_index(&x.view, index, element)));
        } while (next_index(ndim, inner, at));
      store(dtype, want, bytes);
      good &= near(dtype, at_index(&y.view, outer, element), bytes, 8, scale);
    } while (next_index(ndim, kept, outer));
  EXPECT_TRUE(good);
  free_array(&x);
  free_array(&y);
  free_array(&other);
}

DTEST(Reduce, EveryFunctionAndDtype) {
  random_seed(1);
  int combinations = 0;
  for (dtensor_dtype dtype = DTENSOR_F32; dtype <= DTENSOR_F16; dtype++)
    for (dti_reduction f = DTI_REDUCE_SUM; f <= DTI_REDUCE_MAX; f++)
      if (dti_reduction_has(f, dtype)) {
        combinations++;
        for (int i = 0; i < 150; i++) {
          int64_t shape[DTENSOR_MAX_NDIM];
          int reduce[DTENSOR_MAX_NDIM];
          const int ndim = i < 135 ? random_shape(4, 9, shape) : random_shape(2, 300, shape);
          for (int d = 0; d < ndim; d++) reduce[d] = (int)random_below(2);
          reduce_one(f, dtype, ndim, shape, reduce);
        }
        reduce_one(f, dtype, 1, (const int64_t[]){100003}, (const int[]){1});
        reduce_one(f, dtype, 2, (const int64_t[]){3001, 17}, (const int[]){1, 0});
        reduce_one(f, dtype, 2, (const int64_t[]){5, 9001}, (const int[]){0, 1});
        reduce_one(f, dtype, 2, (const int64_t[]){130, 700}, (const int[]){1, 0});
        reduce_one(f, dtype, 3, (const int64_t[]){30, 70, 20}, (const int[]){1, 0, 1});
      }
  EXPECT_EQ(combinations, 2 * 4 + 2 * 2 + 3 * 3);
}

DTEST(Reduce, SumOfManyIsAccurate) {
  const int64_t n = 10000000;
  double *data = malloc((size_t)n * sizeof *data), sum = 0, again = 0;
  long double exact = 0;
  for (int64_t i = 0; i < n; i++) {
    data[i] = 1.0 / (double)(1 + i % 9973);
    exact += data[i];
  }
  const dti_array x = {.data = data, .ndim = 1, .shape = {n}, .stride = {1}};
  const dti_array y = {.data = &sum, .ndim = 1, .shape = {1}, .stride = {1}};
  dti_reduce_apply(DTI_REDUCE_SUM, DTENSOR_F64, &y, &x, (const int[]){1}, 1);
  EXPECT_NEAR(sum / (double)exact, 1, 1e-15);
  dti_dot_apply(DTENSOR_F64, &x, &(dti_array){(double[]){1}, 1, {n}, {0}}, &again, 2);
  EXPECT_NEAR(again / (double)exact, 1, 1e-15);
  /* As columns: 1000 rows of 10000. */
  double *columns = malloc(10000 * sizeof *columns);
  const dti_array matrix = {.data = data, .ndim = 2, .shape = {1000, 10000}, .stride = {10000, 1}};
  const dti_array row = {.data = columns, .ndim = 2, .shape = {1, 10000}, .stride = {10000, 1}};
  dti_reduce_apply(DTI_REDUCE_SUM, DTENSOR_F64, &row, &matrix, (const int[]){1, 0}, 2);
  const dti_array row1 = {.data = columns, .ndim = 1, .shape = {10000}, .stride = {1}};
  dti_reduce_apply(DTI_REDUCE_SUM, DTENSOR_F64, &y, &row1, (const int[]){1}, 2);
  EXPECT_NEAR(sum / (double)exact, 1, 1e-15);
  free(columns);
  free(data);
}

DTEST(Reduce, NaNWinsAndEmptyIsTheIdentity) {
  for (int64_t n = 1; n < 100; n += 7)
    for (int64_t at = 0; at < n; at += 3) {
      float x[100], min = 0, max = 0;
      for (int64_t i = 0; i < n; i++) x[i] = (float)i;
      x[at] = NAN;
      const dti_array a = {.data = x, .ndim = 1, .shape = {n}, .stride = {1}};
      dti_reduce_apply(DTI_REDUCE_MIN, DTENSOR_F32, &(dti_array){&min, 1, {1}, {1}}, &a,
                       (const int[]){1}, 1);
      dti_reduce_apply(DTI_REDUCE_MAX, DTENSOR_F32, &(dti_array){&max, 1, {1}, {1}}, &a,
                       (const int[]){1}, 1);
      EXPECT_TRUE(isnan(min) && isnan(max));
    }
  double sum[3] = {5, 5, 5};
  const dti_array none = {.data = sum, .ndim = 2, .shape = {0, 3}, .stride = {3, 1}};
  dti_reduce_apply(DTI_REDUCE_SUM, DTENSOR_F64, &(dti_array){sum, 2, {1, 3}, {3, 1}}, &none,
                   (const int[]){1, 0}, 2);
  for (int i = 0; i < 3; i++) EXPECT_EQ(sum[i], 0.0);
  EXPECT_FALSE(dti_reduction_has(DTI_REDUCE_SUM, DTENSOR_BOOL));
  EXPECT_FALSE(dti_reduction_has(DTI_REDUCE_MIN, DTENSOR_C64));
  EXPECT_FALSE(dti_reduction_has(DTI_REDUCE_SUM_SQUARES, DTENSOR_I32));
}

DTEST(Dot, EveryDtype) {
  random_seed(2);
  for (dtensor_dtype dtype = DTENSOR_F32; dtype <= DTENSOR_U8; dtype++)
    for (int i = 0; i < 100; i++) {
      const size_t element = dtensor_dtype_size(dtype);
      int64_t shape[DTENSOR_MAX_NDIM], index[DTENSOR_MAX_NDIM] = {0};
      const int ndim = i < 90 ? random_shape(4, 9, shape) : random_shape(2, 300, shape);
      random_array a = make_array(ndim, shape, element), b = make_array(ndim, shape, element);
      fill_values(&a, dtype);
      fill_values(&b, dtype);
      value want = {0, 0};
      char bytes[16], one[16], two[16];
      if (elements_of(ndim, shape) > 0) do {
          const value x = load(dtype, at_index(&a.view, index, element)),
                      y = load(dtype, at_index(&b.view, index, element));
          want.number += x.number * y.number;
          want.integer =
              (int64_t)((uint64_t)want.integer + (uint64_t)x.integer * (uint64_t)y.integer);
        } while (next_index(ndim, shape, index));
      store(dtype, want, bytes);
      dti_dot_apply(dtype, &a.view, &b.view, one, 1);
      dti_dot_apply(dtype, &a.view, &b.view, two, 2);
      EXPECT_MEMEQ(one, two, element);
      EXPECT_TRUE(near(dtype, one, bytes, 8, 64.0 * (double)elements_of(ndim, shape)));
      free_array(&a);
      free_array(&b);
    }
}

DTEST(Compare, FindsOneDifference) {
  random_seed(3);
  for (dtensor_dtype dtype = DTENSOR_F32; dtype <= DTENSOR_F16; dtype++)
    for (int i = 0; i < 60; i++) {
      const size_t element = dtensor_dtype_size(dtype);
      int64_t shape[DTENSOR_MAX_NDIM], index[DTENSOR_MAX_NDIM] = {0};
      const int ndim = i < 56 ? random_shape(4, 9, shape) : random_shape(2, 300, shape);
      random_array a = make_array(ndim, shape, element), b = make_array(ndim, shape, element);
      fill_values(&a, dtype);
      const int64_t elements = elements_of(ndim, shape);
      if (elements > 0) do
          memcpy(at_index(&b.view, index, element), at_index(&a.view, index, element), element);
        while (next_index(ndim, shape, index));
      EXPECT_TRUE(dti_all_equal(dtype, &a.view, &b.view, 1 + i % 2));
      EXPECT_TRUE(dti_all_close(dtype, &a.view, &b.view, 0, 0, 1 + i % 2));
      if (elements > 0) {
        for (int64_t k = random_below(elements); k > 0; k--) next_index(ndim, shape, index);
        char *one = at_index(&b.view, index, element);
        value v = load(dtype, one);
        v.number += 2;
        v.integer ^= 1;
        store(dtype, v, one);
        EXPECT_FALSE(dti_all_equal(dtype, &a.view, &b.view, 1 + i % 2));
        EXPECT_FALSE(dti_all_close(dtype, &a.view, &b.view, 0, 0.5, 1 + i % 2));
        EXPECT_TRUE(dti_all_close(dtype, &a.view, &b.view, 0, 2.5, 1 + i % 2));
      }
      free_array(&a);
      free_array(&b);
    }
}

static int close(double a, double b, double rtol, double atol) {
  return dti_all_close(DTENSOR_F64, &(dti_array){&a, 0, {0}, {0}}, &(dti_array){&b, 0, {0}, {0}},
                       rtol, atol, 1);
}

DTEST(Compare, ClosenessIsRelativeToTheSecond) {
  EXPECT_TRUE(close(1.1, 1, 0.11, 0));
  EXPECT_FALSE(close(1.1, 1, 0.09, 0));
  EXPECT_TRUE(close(1.1, 1, 0, 0.11));
  EXPECT_TRUE(close(INFINITY, INFINITY, 0, 0));
  EXPECT_FALSE(close(1, INFINITY, 1, 1));
  EXPECT_FALSE(close(-INFINITY, INFINITY, 1, 1));
  EXPECT_FALSE(close(NAN, NAN, 1, 1));
  int64_t low = INT64_MIN, high = INT64_MAX;
  const dti_array a = {&low, 0, {0}, {0}}, b = {&high, 0, {0}, {0}};
  EXPECT_FALSE(dti_all_close(DTENSOR_I64, &a, &b, 1, 0, 1));
  EXPECT_TRUE(dti_all_close(DTENSOR_I64, &a, &b, 2.1, 0, 1));
}
