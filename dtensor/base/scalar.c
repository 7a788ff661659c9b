#include <inttypes.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "dtensor/base/dtype.h"
#include "dtensor/base/fail.h"

dtensor_scalar dtensor_real(double value) {
  return (dtensor_scalar){.kind = DTENSOR_SCALAR_REAL, .re = value};
}

dtensor_scalar dtensor_complex(double re, double im) {
  return (dtensor_scalar){.kind = DTENSOR_SCALAR_COMPLEX, .re = re, .im = im};
}

dtensor_scalar dtensor_int(int64_t value) {
  return (dtensor_scalar){.kind = DTENSOR_SCALAR_INT, .integer = value};
}

/* Each writes `value` to `element`, or returns false if it is none of that dtype. */
typedef bool (*store_real)(double value, void *element);

static bool overflows(double value, double rounded) { return isinf(rounded) && !isinf(value); }

static bool store_f32(double value, void *element) {
  const float rounded = (float)value;
  memcpy(element, &rounded, sizeof rounded);
  return !overflows(value, (double)rounded);
}

static bool store_f64(double value, void *element) {
  memcpy(element, &value, sizeof value);
  return true;
}

/* A float that rounds to the same half as the double does: an inexact one gets an odd last bit, so
 * it is never mistaken for the middle between two halves. */
static float round_to_odd(double value) {
  const float nearest = (float)value;
  if ((double)nearest == value || isnan(value)) return nearest;
  const float inner = fabs((double)nearest) > fabs(value) ? nextafterf(nearest, 0.0f) : nearest;
  uint32_t bits;
  memcpy(&bits, &inner, sizeof bits);
  bits |= 1;
  float odd;
  memcpy(&odd, &bits, sizeof odd);
  return odd;
}

static bool store_bf16(double value, void *element) {
  const uint16_t bits = dti_float_to_bf16(round_to_odd(value));
  memcpy(element, &bits, sizeof bits);
  return !overflows(value, (double)dti_bf16_to_float(bits));
}

static bool store_f16(double value, void *element) {
  const uint16_t bits = dti_float_to_f16(round_to_odd(value));
  memcpy(element, &bits, sizeof bits);
  return !overflows(value, (double)dti_f16_to_float(bits));
}

static bool store_integer(int64_t value, dtensor_dtype dtype, void *element) {
  switch (dtype) {
    case DTENSOR_I32: {
      const int32_t narrow = (int32_t)value;
      memcpy(element, &narrow, sizeof narrow);
      return narrow == value;
    }
    case DTENSOR_I64:
      memcpy(element, &value, sizeof value);
      return true;
    default: { /* u8 and bool */
      const uint8_t narrow = (uint8_t)value;
      memcpy(element, &narrow, sizeof narrow);
      return value >= 0 && value <= (dtype == DTENSOR_BOOL ? 1 : UINT8_MAX);
    }
  }
}

static bool store_whole(double value, dtensor_dtype dtype, void *element) {
  if (!(value >= -0x1p63 && value < 0x1p63) || value != trunc(value)) return false;
  return store_integer((int64_t)value, dtype, element);
}

static const struct {
  store_real part;  /* NULL: an integer */
  size_t imaginary; /* where the imaginary part goes, 0 if there is none */
} stores[] = {
    [DTENSOR_F32] = {store_f32, 0},   [DTENSOR_F64] = {store_f64, 0},
    [DTENSOR_C64] = {store_f32, 4},   [DTENSOR_C128] = {store_f64, 8},
    [DTENSOR_BF16] = {store_bf16, 0}, [DTENSOR_F16] = {store_f16, 0},
};

static bool store(dtensor_scalar value, dtensor_dtype dtype, void *element) {
  const bool integer = value.kind == DTENSOR_SCALAR_INT;
  const double re = integer ? (double)value.integer : value.re;
  const double im = value.kind == DTENSOR_SCALAR_COMPLEX ? value.im : 0.0;
  const bool real_dtype = dti_dtype_class_of(dtype) != DTI_CLASS_COMPLEX;
  if (real_dtype && im != 0.0) return false;
  if (dti_dtype_class_of(dtype) & (DTI_CLASS_INT | DTI_CLASS_BOOL))
    return integer ? store_integer(value.integer, dtype, element) : store_whole(re, dtype, element);
  return stores[dtype].part(re, element) &&
         (real_dtype || stores[dtype].part(im, (char *)element + stores[dtype].imaginary));
}

dtensor_status dti_scalar_store(dtensor_scalar value, dtensor_dtype dtype, void *element) {
  DTI_TRY(dti_dtype_check(dtype));
  DTI_CHECK(value.kind >= DTENSOR_SCALAR_REAL && value.kind <= DTENSOR_SCALAR_INT, DTENSOR_EDTYPE,
            "a scalar that dtensor_real(), dtensor_complex() or dtensor_int() did not make");
  if (store(value, dtype, element)) return DTENSOR_OK;

  char text[80];
  if (value.kind == DTENSOR_SCALAR_INT)
    snprintf(text, sizeof text, "%" PRId64, value.integer);
  else if (value.kind == DTENSOR_SCALAR_REAL)
    snprintf(text, sizeof text, "%.17g", value.re);
  else
    snprintf(text, sizeof text, "%.17g%+.17gi", value.re, value.im);
  return DTI_FAIL(DTENSOR_EDTYPE, "the scalar %s cannot become %s without loss", text,
                  dtensor_dtype_name(dtype));
}
