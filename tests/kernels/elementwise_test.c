/* Elementwise functions: every function and dtype, any strides and broadcasts, against one element
 * at a time. */
#include "dtensor/kernels/elementwise.h"

#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "dtensor/base/dtype.h"
#include "tests/harness/dtest.h"
#include "tests/kernels/random_arrays.h"
#include "tests/kernels/values.h"

static int64_t quotient(int64_t a, int64_t b) {
  if (b == 0) return 0;
  return b == -1 ? (int64_t)(0 - (uint64_t)a) : a / b;
}

static value binary(dti_binary f, value a, value b, value s) {
  const double complex x = a.number, y = b.number;
  const uint64_t i = (uint64_t)a.integer, j = (uint64_t)b.integer, k = (uint64_t)s.integer;
  const int more = creal(x) > creal(y), integer_more = a.integer > b.integer;
  switch (f) {
    case DTI_ADD:
      return (value){x + y, (int64_t)(i + j)};
    case DTI_SUB:
      return (value){x - y, (int64_t)(i - j)};
    case DTI_MUL:
      return (value){x * y, (int64_t)(i * j)};
    case DTI_DIV:
      return (value){x / y, quotient(a.integer, b.integer)};
    case DTI_POW:
      return (value){cimag(x) == 0 && cimag(y) == 0 ? pow(creal(x), creal(y)) : cpow(x, y), 0};
    case DTI_MAXIMUM:
      return (value){more ? x : y, integer_more ? a.integer : b.integer};
    case DTI_MINIMUM:
      return (value){more ? y : x, integer_more ? b.integer : a.integer};
    case DTI_AXPY:
      return (value){s.number * x + y, (int64_t)(k * i + j)};
  }
  return a;
}

static value unary(dti_unary f, int is_real, value v, value s) {
  const double complex x = v.number;
  const uint64_t i = (uint64_t)v.integer, k = (uint64_t)s.integer;
  const double r = creal(x);
  switch (f) {
    case DTI_NEG:
      return (value){-x, (int64_t)(0 - i)};
    case DTI_ABS:
      return (value){cabs(x), v.integer < 0 ? (int64_t)(0 - i) : v.integer};
    case DTI_EXP:
      return (value){cexp(x), 0};
    case DTI_LOG:
      return (value){is_real ? log(r) : clog(x), 0};
    case DTI_SQRT:
      return (value){is_real ? sqrt(r) : csqrt(x), 0};
    case DTI_TANH:
      return (value){is_real ? tanh(r) : ctanh(x), 0};
    case DTI_RELU:
      return (value){r > 0 ? x : 0, v.integer > 0 ? v.integer : 0};
    case DTI_SCALE:
      return (value){x * s.number, (int64_t)(i * k)};
    case DTI_ADD_SCALAR:
      return (value){x + s.number, (int64_t)(i + k)};
    case DTI_POW_SCALAR:
      return (value){is_real ? pow(r, creal(s.number)) : cpow(x, s.number), 0};
  }
  return v;
}

/* A random scalar of dtype; sometimes 2. */
static void random_scalar(dtensor_dtype dtype, char scalar[16]) {
  const int64_t one = 1;
  random_array a = make_dense(1, &one, dtensor_dtype_size(dtype));
  fill_values(&a, dtype);
  memcpy(scalar, a.memory, a.bytes);
  if (random_below(3) == 0) store(dtype, (value){2, 2}, scalar);
  free_array(&a);
}

static void broadcast(random_array *a) {
  for (int d = 0; d < a->view.ndim; d++)
    if (random_below(4) == 0) a->view.stride[d] = 0;
}

/* Errors of products and sums scale with their terms, which are below 1e3. */
static const double ulps = 16, scale = 1e3;

static void binary_one(dti_binary f, dtensor_dtype dtype, int ndim, const int64_t shape[],
                       int dense, int threads) {
  const size_t element = dtensor_dtype_size(dtype);
  random_array (*const make)(int, const int64_t *, size_t) = dense ? make_dense : make_array;
  random_array a = make(ndim, shape, element), b = make(ndim, shape, element),
               c = make(ndim, shape, element);
  char scalar[16], want[16];
  random_scalar(dtype, scalar);
  fill_values(&a, dtype);
  fill_values(&b, dtype);
  if (!dense) broadcast(&a);
  if (!dense) broadcast(&b);
  dti_binary_apply(f, dtype, &c.view, &a.view, &b.view, f == DTI_AXPY ? scalar : NULL, threads);
  int64_t index[DTENSOR_MAX_NDIM] = {0};
  int good = 1;
  if (elements_of(ndim, shape) > 0) do {
      const value x = load(dtype, at_index(&a.view, index, element)),
                  y = load(dtype, at_index(&b.view, index, element));
      store(dtype, binary(f, x, y, load(dtype, scalar)), want);
      /* A division by a small number has no scale of its own. */
      good &=
          near(dtype, at_index(&c.view, index, element), want, f == DTI_POW ? 400 : ulps, scale);
    } while (next_index(ndim, shape, index));
  EXPECT_TRUE(good);
  free_array(&a);
  free_array(&b);
  free_array(&c);
}

DTEST(Binary, EveryFunctionAndDtype) {
  random_seed(1);
  int combinations = 0;
  for (dtensor_dtype dtype = DTENSOR_F32; dtype <= DTENSOR_F16; dtype++)
    for (dti_binary f = DTI_ADD; f <= DTI_AXPY; f++)
      if (dti_binary_has(f, dtype)) {
        combinations++;
        for (int i = 0; i < 100; i++) {
          int64_t shape[DTENSOR_MAX_NDIM];
          const int ndim = random_shape(4, 6, shape);
          binary_one(f, dtype, ndim, shape, i % 3 == 0, 1 + i % 2);
        }
        binary_one(f, dtype, 2, (const int64_t[]){150, 70}, 0, 2);
        binary_one(f, dtype, 2, (const int64_t[]){150, 71}, 1, 2);
      }
  EXPECT_EQ(combinations, 2 * 8 + 2 * 6 + 3 * 7);
}

DTEST(Binary, HasWhatTheHeaderPromises) {
  for (dti_binary f = DTI_ADD; f <= DTI_AXPY; f++) {
    EXPECT_FALSE(dti_binary_has(f, DTENSOR_BOOL));
    EXPECT_FALSE(dti_binary_has(f, DTENSOR_BF16));
    EXPECT_FALSE(dti_binary_has(f, DTENSOR_F16));
  }
  EXPECT_FALSE(dti_binary_has(DTI_POW, DTENSOR_I64));
  EXPECT_FALSE(dti_binary_has(DTI_MAXIMUM, DTENSOR_C128));
  EXPECT_FALSE(dti_unary_has(DTI_RELU, DTENSOR_C64));
  EXPECT_FALSE(dti_unary_has(DTI_EXP, DTENSOR_I32));
  EXPECT_TRUE(dti_unary_has(DTI_RELU, DTENSOR_U8));
}

static dti_array row_of(void *data, int64_t n) {
  return (dti_array){.data = data, .ndim = 1, .shape = {n}, .stride = {1}};
}

DTEST(Binary, IntegersWrapAndDivideByZero) {
  int32_t a[] = {INT32_MIN, INT32_MAX, -7, 5, INT32_MIN}, b[] = {-1, 1, 2, 0, INT32_MIN}, c[5];
  const dti_array x = row_of(a, 5), y = row_of(b, 5), z = row_of(c, 5);
  dti_binary_apply(DTI_DIV, DTENSOR_I32, &z, &x, &y, NULL, 1);
  const int32_t quotients[] = {INT32_MIN, INT32_MAX, -3, 0, 1};
  EXPECT_MEMEQ(c, quotients, sizeof c);
  dti_binary_apply(DTI_ADD, DTENSOR_I32, &z, &x, &y, NULL, 1);
  EXPECT_EQ(c[1], INT32_MIN);
  EXPECT_EQ(c[4], 0);
  dti_binary_apply(DTI_MUL, DTENSOR_I32, &z, &x, &y, NULL, 1);
  EXPECT_EQ(c[0], INT32_MIN);
  uint8_t p[] = {200, 7, 255}, q[] = {100, 255, 2}, r[3];
  const dti_array u = row_of(p, 3), v = row_of(q, 3), w = row_of(r, 3);
  dti_binary_apply(DTI_ADD, DTENSOR_U8, &w, &u, &v, NULL, 1);
  EXPECT_EQ(r[0], 44);
  dti_binary_apply(DTI_DIV, DTENSOR_U8, &w, &u, &v, NULL, 1);
  EXPECT_EQ(r[0], 2);
  EXPECT_EQ(r[1], 0);
  EXPECT_EQ(r[2], 127);
  dti_unary_apply(DTI_ABS, DTENSOR_I32, &z, &x, NULL, 1);
  EXPECT_EQ(c[0], INT32_MIN);
  EXPECT_EQ(c[2], 7);
}

DTEST(Binary, MaximumAndMinimumPassNaN) {
  double a[] = {NAN, 1, -INFINITY}, b[] = {1, NAN, 2}, c[3];
  const dti_array x = row_of(a, 3), y = row_of(b, 3), z = row_of(c, 3);
  dti_binary_apply(DTI_MAXIMUM, DTENSOR_F64, &z, &x, &y, NULL, 1);
  EXPECT_TRUE(isnan(c[0]) && isnan(c[1]));
  EXPECT_EQ(c[2], 2.0);
  dti_binary_apply(DTI_MINIMUM, DTENSOR_F64, &z, &x, &y, NULL, 1);
  EXPECT_TRUE(isnan(c[0]) && isnan(c[1]));
  EXPECT_EQ(c[2], (double)-INFINITY);
  dti_unary_apply(DTI_RELU, DTENSOR_F64, &z, &x, NULL, 1);
  EXPECT_TRUE(isnan(c[0]));
  EXPECT_EQ(c[2], 0.0);
}

static void unary_one(dti_unary f, dtensor_dtype dtype, int ndim, const int64_t shape[], int dense,
                      int threads) {
  const size_t element = dtensor_dtype_size(dtype);
  random_array x = dense ? make_dense(ndim, shape, element) : make_array(ndim, shape, element);
  random_array y = dense ? make_dense(ndim, shape, element) : make_array(ndim, shape, element);
  char scalar[16], want[16];
  random_scalar(dtype, scalar);
  fill_values(&x, dtype);
  dti_unary_apply(f, dtype, &y.view, &x.view, f >= DTI_SCALE ? scalar : NULL, threads);
  int64_t index[DTENSOR_MAX_NDIM] = {0};
  int good = 1;
  if (elements_of(ndim, shape) > 0) do {
      const value v = load(dtype, at_index(&x.view, index, element));
      store(dtype, unary(f, !is_complex(dtype), v, load(dtype, scalar)), want);
      good &= near(dtype, at_index(&y.view, index, element), want, f == DTI_POW_SCALAR ? 400 : ulps,
                   scale);
    } while (next_index(ndim, shape, index));
  EXPECT_TRUE(good);
  /* In place. */
  dti_unary_apply(f, dtype, &x.view, &x.view, f >= DTI_SCALE ? scalar : NULL, threads);
  memset(index, 0, sizeof index);
  good = 1;
  if (elements_of(ndim, shape) > 0) do
      good &=
          memcmp(at_index(&x.view, index, element), at_index(&y.view, index, element), element) ==
              0 ||
          near(dtype, at_index(&x.view, index, element), at_index(&y.view, index, element), 0, 0);
    while (next_index(ndim, shape, index));
  EXPECT_TRUE(good);
  free_array(&x);
  free_array(&y);
}

DTEST(Unary, EveryFunctionAndDtype) {
  random_seed(2);
  int combinations = 0;
  for (dtensor_dtype dtype = DTENSOR_F32; dtype <= DTENSOR_F16; dtype++)
    for (dti_unary f = DTI_NEG; f <= DTI_POW_SCALAR; f++)
      if (dti_unary_has(f, dtype)) {
        combinations++;
        for (int i = 0; i < 60; i++) {
          int64_t shape[DTENSOR_MAX_NDIM];
          const int ndim = random_shape(4, 6, shape);
          unary_one(f, dtype, ndim, shape, i % 3 == 0, 1 + i % 2);
        }
        unary_one(f, dtype, 2, (const int64_t[]){150, 70}, 0, 2);
        unary_one(f, dtype, 2, (const int64_t[]){150, 71}, 1, 2);
      }
  EXPECT_EQ(combinations, 2 * 10 + 2 * 9 + 3 * 5);
}

/* The rules of dtensor_cast(), the long way. */
static value converted(dtensor_dtype to, dtensor_dtype from, value v) {
  const double r = creal(v.number);
  const double complex number = is_integer(from) ? (double)v.integer : v.number;
  if (to == DTENSOR_BOOL) return (value){0, is_integer(from) ? v.integer != 0 : v.number != 0};
  if (!is_integer(to)) return (value){number, 0};
  const int64_t low = to == DTENSOR_I32 ? INT32_MIN : to == DTENSOR_I64 ? INT64_MIN : 0;
  const int64_t high = to == DTENSOR_I32 ? INT32_MAX : to == DTENSOR_I64 ? INT64_MAX : UINT8_MAX;
  if (is_integer(from))
    return (value){0, v.integer < low ? low : v.integer > high ? high : v.integer};
  if (isnan(r)) return (value){0, 0};
  return (value){0, r <= (double)low ? low : r >= (double)high ? high : (int64_t)r};
}

DTEST(Cast, EveryPair) {
  random_seed(3);
  for (dtensor_dtype from = DTENSOR_F32; from <= DTENSOR_F16; from++)
    for (dtensor_dtype to = DTENSOR_F32; to <= DTENSOR_F16; to++)
      for (int i = 0; i < 30; i++) {
        int64_t shape[DTENSOR_MAX_NDIM];
        const int ndim = i < 28 ? random_shape(4, 6, shape) : random_shape(2, 300, shape);
        random_array x = make_array(ndim, shape, dtensor_dtype_size(from)),
                     y = make_array(ndim, shape, dtensor_dtype_size(to));
        fill_values(&x, from);
        dti_cast_apply(&y.view, to, &x.view, from, 1 + i % 2);
        int64_t index[DTENSOR_MAX_NDIM] = {0};
        char want[16];
        int good = 1;
        if (elements_of(ndim, shape) > 0) do {
            const value v = load(from, at_index(&x.view, index, dtensor_dtype_size(from)));
            store(to, converted(to, from, v), want);
            good &= near(to, at_index(&y.view, index, dtensor_dtype_size(to)), want, 1, 0);
          } while (next_index(ndim, shape, index));
        EXPECT_TRUE(good);
        free_array(&x);
        free_array(&y);
      }
}

DTEST(Cast, SaturatesAndDropsNaN) {
  double from[] = {NAN,    INFINITY, -INFINITY, 2147483647.9, -2147483648.9,
                   0x1p63, -0x1p63,  -0.9,      255.9};
  const dti_array x = row_of(from, 9);
  int32_t i32[9];
  int64_t i64[9];
  uint8_t u8[9], flags[9];
  const dti_array y32 = row_of(i32, 9), y64 = row_of(i64, 9), y8 = row_of(u8, 9),
                  yb = row_of(flags, 9);
  dti_cast_apply(&y32, DTENSOR_I32, &x, DTENSOR_F64, 1);
  const int32_t want32[] = {0,         INT32_MAX, INT32_MIN, INT32_MAX, INT32_MIN,
                            INT32_MAX, INT32_MIN, 0,         255};
  EXPECT_MEMEQ(i32, want32, sizeof i32);
  dti_cast_apply(&y64, DTENSOR_I64, &x, DTENSOR_F64, 1);
  const int64_t want64[] = {0,         INT64_MAX, INT64_MIN, 2147483647, -2147483648,
                            INT64_MAX, INT64_MIN, 0,         255};
  EXPECT_MEMEQ(i64, want64, sizeof i64);
  dti_cast_apply(&y8, DTENSOR_U8, &x, DTENSOR_F64, 1);
  const uint8_t want8[] = {0, 255, 0, 255, 0, 255, 0, 0, 255};
  EXPECT_MEMEQ(u8, want8, sizeof u8);
  dti_cast_apply(&yb, DTENSOR_BOOL, &x, DTENSOR_F64, 1);
  const uint8_t all[] = {1, 1, 1, 1, 1, 1, 1, 1, 1};
  EXPECT_MEMEQ(flags, all, sizeof flags);
  double complex z[] = {2 + 3 * I, 3 * I};
  const dti_array zs = row_of(z, 2), two = row_of(from, 2), flags2 = row_of(flags, 2);
  dti_cast_apply(&two, DTENSOR_F64, &zs, DTENSOR_C128, 1);
  EXPECT_EQ(from[0], 2.0);
  EXPECT_EQ(from[1], 0.0);
  dti_cast_apply(&flags2, DTENSOR_BOOL, &zs, DTENSOR_C128, 1);
  EXPECT_EQ(flags[1], 1);
}
