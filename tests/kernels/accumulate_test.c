/* Reduction of messages: every op and dtype against one element at a time. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "dtensor/base/dtype.h"
#include "dtensor/kernels/strided.h"
#include "tests/harness/dtest.h"
#include "tests/kernels/random_arrays.h"
#include "tests/kernels/values.h"

static void accumulate_one(dtensor_dtype dtype, dtensor_reduce_op op, int64_t n, int threads) {
  const size_t element = dtensor_dtype_size(dtype), bytes = (size_t)n * element;
  random_array acc = make_dense(1, &n, element), in = make_dense(1, &n, element);
  fill_values(&acc, dtype);
  fill_values(&in, dtype);
  char *want = malloc(bytes + 1), *other = malloc(bytes + 1), neutral[16];
  memcpy(other, acc.view.data, bytes);
  for (size_t i = 0; i < bytes; i += element)
    store(dtype,
          reduced(op, dtype == DTENSOR_BOOL, load(dtype, (char *)acc.view.data + i),
                  load(dtype, (char *)in.view.data + i)),
          want + i);
  dti_accumulate(acc.view.data, in.view.data, n, dtype, op, threads);
  int good = 1;
  for (size_t i = 0; i < bytes; i += element)
    good &= near(dtype, (char *)acc.view.data + i, want + i, 4, 1);
  EXPECT_TRUE(good);
  dti_accumulate(other, in.view.data, n, dtype, op, 1);
  EXPECT_MEMEQ(other, acc.view.data, bytes); /* the thread count changes nothing */

  /* The identity changes nothing, from either side. */
  const int64_t zero_stride = 0;
  const dti_array repeated = {.data = neutral, .ndim = 1, .shape = {n}, .stride = {zero_stride}};
  const dti_array target = {.data = other, .ndim = 1, .shape = {n}, .stride = {1}};
  dti_identity(dtype, op, neutral);
  dti_copy(&target, &repeated, element, 1);
  dti_accumulate(other, in.view.data, n, dtype, op, threads);
  EXPECT_MEMEQ(other, in.view.data, bytes);
  dti_copy(&target, &repeated, element, 1);
  memcpy(want, in.view.data, bytes);
  dti_accumulate(want, other, n, dtype, op, threads);
  EXPECT_MEMEQ(want, in.view.data, bytes);
  free(want);
  free(other);
  free_array(&acc);
  free_array(&in);
}

DTEST(Accumulate, EveryOpAndDtype) {
  random_seed(1);
  int combinations = 0;
  for (dtensor_dtype dtype = DTENSOR_F32; dtype <= DTENSOR_F16; dtype++)
    for (dtensor_reduce_op op = DTENSOR_SUM; op <= DTENSOR_BXOR; op++)
      if (dti_dtype_reduces(dtype, op)) {
        combinations++;
        for (int64_t n = 0; n < 40; n++) accumulate_one(dtype, op, n, 1);
        accumulate_one(dtype, op, 100003, 2);
      }
  EXPECT_GT(combinations, 50);
}

DTEST(Accumulate, OrderOfHalvesAndNaN) {
  double a[] = {1, NAN, 2, -INFINITY}, b[] = {NAN, 1, 3, INFINITY};
  dti_accumulate(a, b, 4, DTENSOR_F64, DTENSOR_MAX, 1);
  EXPECT_TRUE(isnan(a[0]) && isnan(a[1]));
  EXPECT_EQ(a[2], 3.0);
  EXPECT_EQ(a[3], (double)INFINITY);
  int32_t lowest[] = {INT32_MIN}, minus[] = {-1};
  dti_accumulate(lowest, minus, 1, DTENSOR_I32, DTENSOR_PRODUCT, 1);
  EXPECT_EQ(lowest[0], INT32_MIN);
  dti_accumulate(lowest, minus, 1, DTENSOR_I32, DTENSOR_SUM, 1);
  EXPECT_EQ(lowest[0], INT32_MAX);
}

DTEST(Divide, EveryDtype) {
  float f = 7;
  dti_divide(&f, 1, 2, DTENSOR_F32, 1);
  EXPECT_EQ(f, 3.5f);
  double complex z = 3 + 5 * I;
  dti_divide(&z, 1, 2, DTENSOR_C128, 1);
  EXPECT_EQ(creal(z), 1.5);
  EXPECT_EQ(cimag(z), 2.5);
  uint16_t half[] = {dti_float_to_bf16(3)}, other[] = {dti_float_to_f16(3)};
  dti_divide(half, 1, 2, DTENSOR_BF16, 1);
  dti_divide(other, 1, 2, DTENSOR_F16, 1);
  EXPECT_EQ(dti_bf16_to_float(half[0]), 1.5f);
  EXPECT_EQ(dti_f16_to_float(other[0]), 1.5f);
  int64_t i = -7;
  dti_divide(&i, 1, 2, DTENSOR_I64, 1);
  EXPECT_EQ(i, -3);
  double *many = malloc(50000 * sizeof *many);
  for (int k = 0; k < 50000; k++) many[k] = k;
  dti_divide(many, 50000, 4, DTENSOR_F64, 2);
  int good = 1;
  for (int k = 0; k < 50000; k++) good &= many[k] == k / 4.0;
  EXPECT_TRUE(good);
  free(many);
}
