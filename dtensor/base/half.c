/* bf16 and f16: the two 16-bit floating-point formats, by their bits. */
#include <string.h>

#include "dtensor/base/dtype.h"

static uint32_t bits_of(float value) {
  uint32_t bits;
  memcpy(&bits, &value, sizeof bits);
  return bits;
}

static float float_of(uint32_t bits) {
  float value;
  memcpy(&value, &bits, sizeof value);
  return value;
}

/* bits / 2^shift, rounded to nearest, ties to even. A carry out of the fraction runs into the
 * exponent, which is what rounding up to the next power of two, or to infinity, means. */
static uint32_t shift_to_even(uint32_t bits, int shift) {
  const uint32_t kept = bits >> shift, half = UINT32_C(1) << (shift - 1);
  const uint32_t rest = bits & (2 * half - 1);
  return kept + (rest > half || (rest == half && (kept & 1)));
}

float dti_bf16_to_float(uint16_t bits) { return float_of((uint32_t)bits << 16); }

uint16_t dti_float_to_bf16(float value) {
  const uint32_t bits = bits_of(value);
  /* Rounding could carry the payload of a NaN away: cut it and keep it quiet. */
  if (value != value) return (uint16_t)(bits >> 16 | 0x40);
  return (uint16_t)shift_to_even(bits, 16);
}

float dti_f16_to_float(uint16_t bits) {
  const uint32_t sign = (uint32_t)(bits & 0x8000) << 16;
  const uint32_t exponent = bits >> 10 & 0x1f, fraction = bits & 0x3ff;
  if (exponent == 0x1f) return float_of(sign | 0x7f800000 | fraction << 13);
  if (exponent != 0) return float_of(sign | (exponent + 112) << 23 | fraction << 13);
  const float magnitude = (float)fraction * 0x1p-24f; /* subnormal: exact in float */
  return sign ? -magnitude : magnitude;
}

uint16_t dti_float_to_f16(float value) {
  const uint32_t bits = bits_of(value), magnitude = bits & 0x7fffffff;
  const uint32_t sign = bits >> 16 & 0x8000;
  if (magnitude > 0x7f800000) return (uint16_t)(sign | 0x7e00 | (magnitude >> 13 & 0x3ff));
  if (magnitude >= 0x47800000) return (uint16_t)(sign | 0x7c00); /* 2^16 and above, infinity */
  if (magnitude >= 0x38800000)                                   /* 2^-14: normal in f16 */
    return (uint16_t)(sign | shift_to_even(magnitude - (UINT32_C(112) << 23), 13));
  if (magnitude < 0x33000000) return (uint16_t)sign; /* below 2^-25: nearer to zero */
  const uint32_t significand = (magnitude & 0x7fffff) | 0x800000;
  return (uint16_t)(sign | shift_to_even(significand, 126 - (int)(magnitude >> 23)));
}
