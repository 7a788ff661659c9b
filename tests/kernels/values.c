#include "tests/kernels/values.h"

#include <float.h>
#include <math.h>
#include <string.h>

#include "dtensor/base/dtype.h"

int is_integer(dtensor_dtype dtype) {
  return (dti_dtype_class_of(dtype) & (DTI_CLASS_INT | DTI_CLASS_BOOL)) != 0;
}
int is_complex(dtensor_dtype dtype) { return dti_dtype_class_of(dtype) == DTI_CLASS_COMPLEX; }

#define LOAD(dtype_, type, member, convert) \
  case dtype_: {                            \
    type x;                                 \
    memcpy(&x, element, sizeof x);          \
    v.member = convert(x);                  \
    break;                                  \
  }

value load(dtensor_dtype dtype, const void *element) {
  value v = {0, 0};
  switch (dtype) {
    LOAD(DTENSOR_F32, float, number, )
    LOAD(DTENSOR_F64, double, number, )
    LOAD(DTENSOR_C64, float complex, number, )
    LOAD(DTENSOR_C128, double complex, number, )
    LOAD(DTENSOR_I32, int32_t, integer, )
    LOAD(DTENSOR_I64, int64_t, integer, )
    LOAD(DTENSOR_U8, uint8_t, integer, )
    LOAD(DTENSOR_BOOL, uint8_t, integer, )
    LOAD(DTENSOR_BF16, uint16_t, number, dti_bf16_to_float)
    LOAD(DTENSOR_F16, uint16_t, number, dti_f16_to_float)
  }
  return v;
}

#define STORE(dtype_, type, expression) \
  case dtype_: {                        \
    const type x = (type)(expression);  \
    memcpy(element, &x, sizeof x);      \
    break;                              \
  }

void store(dtensor_dtype dtype, value v, void *element) {
  const double re = creal(v.number);
  switch (dtype) {
    STORE(DTENSOR_F32, float, re)
    STORE(DTENSOR_F64, double, re)
    STORE(DTENSOR_C64, float complex, v.number)
    STORE(DTENSOR_C128, double complex, v.number)
    STORE(DTENSOR_I32, int32_t, v.integer)
    STORE(DTENSOR_I64, int64_t, v.integer)
    STORE(DTENSOR_U8, uint8_t, v.integer)
    STORE(DTENSOR_BOOL, uint8_t, v.integer)
    STORE(DTENSOR_BF16, uint16_t, dti_float_to_bf16((float)re))
    STORE(DTENSOR_F16, uint16_t, dti_float_to_f16((float)re))
  }
}

static double precision(dtensor_dtype dtype) {
  switch (dtype) {
    case DTENSOR_F32:
    case DTENSOR_C64:
      return FLT_EPSILON;
    case DTENSOR_BF16:
      return 0x1p-7;
    case DTENSOR_F16:
      return 0x1p-10;
    default:
      return DBL_EPSILON;
  }
}

int near(dtensor_dtype dtype, const void *got, const void *want, double ulps, double scale) {
  const value g = load(dtype, got), w = load(dtype, want);
  if (is_integer(dtype)) return g.integer == w.integer;
  if (w.number != w.number) return g.number != g.number;
  if (g.number == w.number) return 1;
  const double size = fmax(cabs(w.number), scale);
  return cabs(g.number - w.number) <= ulps * precision(dtype) * size;
}

value reduced(dtensor_reduce_op op, int boolean, value a, value b) {
  const uint64_t x = (uint64_t)a.integer, y = (uint64_t)b.integer;
  const int less = creal(a.number) < creal(b.number), integer_less = a.integer < b.integer;
  switch (op) {
    case DTENSOR_SUM:
    case DTENSOR_AVG:
      return (value){a.number + b.number, boolean ? (int64_t)(x | y) : (int64_t)(x + y)};
    case DTENSOR_PRODUCT:
      return (value){a.number * b.number, (int64_t)(x * y)};
    case DTENSOR_MIN:
      return (value){less ? a.number : b.number, integer_less ? a.integer : b.integer};
    case DTENSOR_MAX:
      return (value){less ? b.number : a.number, integer_less ? b.integer : a.integer};
    case DTENSOR_BAND:
      return (value){0, (int64_t)(x & y)};
    case DTENSOR_BOR:
      return (value){0, (int64_t)(x | y)};
    case DTENSOR_BXOR:
      return (value){0, (int64_t)(x ^ y)};
  }
  return a;
}
