#define _DEFAULT_SOURCE /* M_PI */
#include <math.h>

#include "dtensor/kernels/number.h"
#include "dtensor/kernels/philox.h"

/* Uniform in [0, 1): 53 bits of two words, 24 bits of one. */
static double unit_f64(const uint32_t word[2]) {
  return (double)(((uint64_t)word[1] << 32 | word[0]) >> 11) * 0x1p-53;
}
static float unit_f32(uint32_t word) { return (float)(word >> 8) * 0x1p-24f; }

/* Box-Muller: two independent normal numbers from one block. The radius takes a uniform number from
 * (0, 1], so its logarithm is finite. */
typedef struct normal_pair {
  double first, second;
} normal_pair;

static normal_pair normal(const uint32_t word[4]) {
  const double radius = sqrt(-2 * log(1 - unit_f64(word))), angle = 2 * M_PI * unit_f64(word + 2);
  return (normal_pair){radius * cos(angle), radius * sin(angle)};
}

typedef void (*drawer)(const uint32_t word[4], int64_t i, void *out);

static void uniform_f32(const uint32_t word[4], int64_t i, void *out) {
  ((float *)out)[i] = unit_f32(word[0]);
}
static void uniform_f64(const uint32_t word[4], int64_t i, void *out) {
  ((double *)out)[i] = unit_f64(word);
}
static void uniform_c64(const uint32_t word[4], int64_t i, void *out) {
  ((dti_c64 *)out)[i] = dti_make_c64(unit_f32(word[0]), unit_f32(word[2]));
}
static void uniform_c128(const uint32_t word[4], int64_t i, void *out) {
  ((dti_c128 *)out)[i] = dti_make_c128(unit_f64(word), unit_f64(word + 2));
}
static void normal_f32(const uint32_t word[4], int64_t i, void *out) {
  ((float *)out)[i] = (float)normal(word).first;
}
static void normal_f64(const uint32_t word[4], int64_t i, void *out) {
  ((double *)out)[i] = normal(word).first;
}
/* The parts have variance 1/2 each, so the value has variance 1. */
static void normal_c64(const uint32_t word[4], int64_t i, void *out) {
  const normal_pair z = normal(word);
  ((dti_c64 *)out)[i] = dti_make_c64((float)(z.first * M_SQRT1_2), (float)(z.second * M_SQRT1_2));
}
static void normal_c128(const uint32_t word[4], int64_t i, void *out) {
  const normal_pair z = normal(word);
  ((dti_c128 *)out)[i] = dti_make_c128(z.first * M_SQRT1_2, z.second * M_SQRT1_2);
}

void dti_random_fill(dti_random kind, dtensor_dtype dtype, uint64_t seed, uint64_t stream,
                     uint64_t first, int64_t n, void *out) {
  static const drawer drawers[][DTENSOR_C128 + 1] = {
      [DTI_UNIFORM] = {[DTENSOR_F32] = uniform_f32,
                       [DTENSOR_F64] = uniform_f64,
                       [DTENSOR_C64] = uniform_c64,
                       [DTENSOR_C128] = uniform_c128},
      [DTI_NORMAL] = {[DTENSOR_F32] = normal_f32,
                      [DTENSOR_F64] = normal_f64,
                      [DTENSOR_C64] = normal_c64,
                      [DTENSOR_C128] = normal_c128},
  };
  const drawer draw = drawers[kind][dtype];
  const uint32_t key[2] = {(uint32_t)seed, (uint32_t)(seed >> 32)};
  for (int64_t i = 0; i < n; i++) {
    const uint64_t index = first + (uint64_t)i;
    const uint32_t counter[4] = {(uint32_t)index, (uint32_t)(index >> 32), (uint32_t)stream,
                                 (uint32_t)(stream >> 32)};
    uint32_t word[4];
    dti_philox(counter, key, word);
    draw(word, i, out);
  }
}
