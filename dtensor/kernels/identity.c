#include <math.h>
#include <string.h>

#include "dtensor/base/dtype.h"
#include "dtensor/kernels/number.h"
#include "dtensor/kernels/strided.h"

/* What the ops leave alone, by kind. */
typedef enum neutral { ZERO, ONE, ALL_ONES, LARGEST, SMALLEST, NEUTRALS } neutral;

static const neutral neutral_of[] = {
    [DTENSOR_SUM] = ZERO,     [DTENSOR_AVG] = ZERO,    [DTENSOR_MIN] = LARGEST,
    [DTENSOR_MAX] = SMALLEST, [DTENSOR_PRODUCT] = ONE, [DTENSOR_BAND] = ALL_ONES,
    [DTENSOR_BOR] = ZERO,     [DTENSOR_BXOR] = ZERO,
};

/* Bit patterns of bf16 and f16. */
static const uint16_t bf16_values[NEUTRALS] = {
    [ONE] = 0x3f80, [LARGEST] = 0x7f80, [SMALLEST] = 0xff80};
static const uint16_t f16_values[NEUTRALS] = {
    [ONE] = 0x3c00, [LARGEST] = 0x7c00, [SMALLEST] = 0xfc00};
static const float f32_values[NEUTRALS] = {[ONE] = 1, [LARGEST] = INFINITY, [SMALLEST] = -INFINITY};
static const double f64_values[NEUTRALS] = {
    [ONE] = 1, [LARGEST] = INFINITY, [SMALLEST] = -INFINITY};
static const dti_c64 c64_values[NEUTRALS] = {[ONE] = 1};
static const dti_c128 c128_values[NEUTRALS] = {[ONE] = 1};
static const int32_t i32_values[NEUTRALS] = {
    [ONE] = 1, [ALL_ONES] = -1, [LARGEST] = INT32_MAX, [SMALLEST] = INT32_MIN};
static const int64_t i64_values[NEUTRALS] = {
    [ONE] = 1, [ALL_ONES] = -1, [LARGEST] = INT64_MAX, [SMALLEST] = INT64_MIN};
static const uint8_t u8_values[NEUTRALS] = {
    [ONE] = 1, [ALL_ONES] = UINT8_MAX, [LARGEST] = UINT8_MAX};
static const uint8_t bool_values[NEUTRALS] = {[ONE] = 1, [ALL_ONES] = 1, [LARGEST] = 1};

void dti_identity(dtensor_dtype dtype, dtensor_reduce_op op, void *element) {
  static const void *const values[] = {
      [DTENSOR_F32] = f32_values,   [DTENSOR_F64] = f64_values,   [DTENSOR_C64] = c64_values,
      [DTENSOR_C128] = c128_values, [DTENSOR_I32] = i32_values,   [DTENSOR_I64] = i64_values,
      [DTENSOR_U8] = u8_values,     [DTENSOR_BOOL] = bool_values, [DTENSOR_BF16] = bf16_values,
      [DTENSOR_F16] = f16_values,
  };
  const size_t size = dtensor_dtype_size(dtype);
  memcpy(element, (const char *)values[dtype] + size * neutral_of[op], size);
}
