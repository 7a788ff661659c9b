#include <math.h>
#include <string.h>

#include "dtensor/base/dtype.h"
#include "tests/harness/dtest.h"

static void expect_stored(dtensor_scalar value, dtensor_dtype dtype, const void *element) {
  unsigned char stored[16];
  REQUIRE_OK(dti_scalar_store(value, dtype, stored));
  EXPECT_MEMEQ(stored, element, dtensor_dtype_size(dtype));
}

DTEST(Scalar, Stores) {
  expect_stored(dtensor_real(0.1), DTENSOR_F32, &(float){0.1f});
  expect_stored(dtensor_real(0.1), DTENSOR_F64, &(double){0.1});
  expect_stored(dtensor_int(3), DTENSOR_F64, &(double){3});
  expect_stored(dtensor_complex(2.5, 0), DTENSOR_F64, &(double){2.5});
  expect_stored(dtensor_complex(1, -2), DTENSOR_C64, (float[]){1, -2});
  expect_stored(dtensor_complex(1, -2), DTENSOR_C128, (double[]){1, -2});
  expect_stored(dtensor_real(4), DTENSOR_C128, (double[]){4, 0});
  expect_stored(dtensor_int(INT32_MIN), DTENSOR_I32, &(int32_t){INT32_MIN});
  expect_stored(dtensor_real(-7), DTENSOR_I64, &(int64_t){-7});
  expect_stored(dtensor_int(INT64_MAX), DTENSOR_I64, &(int64_t){INT64_MAX});
  expect_stored(dtensor_real(-0x1p63), DTENSOR_I64, &(int64_t){INT64_MIN});
  expect_stored(dtensor_int(255), DTENSOR_U8, &(uint8_t){255});
  expect_stored(dtensor_int(1), DTENSOR_BOOL, &(uint8_t){1});
  expect_stored(dtensor_real(0), DTENSOR_BOOL, &(uint8_t){0});
  expect_stored(dtensor_real(1.5), DTENSOR_BF16, &(uint16_t){0x3fc0});
  expect_stored(dtensor_real(1.5), DTENSOR_F16, &(uint16_t){0x3e00});
  expect_stored(dtensor_real(INFINITY), DTENSOR_F16, &(uint16_t){0x7c00});
  double stored;
  REQUIRE_OK(dti_scalar_store(dtensor_real(NAN), DTENSOR_F64, &stored));
  EXPECT_TRUE(isnan(stored));
}

/* A double just above the middle of two halves, but not above it as a float. */
DTEST(Scalar, RoundsOnce) {
  expect_stored(dtensor_real(1 + 0x1p-11 + 0x1p-40), DTENSOR_F16, &(uint16_t){0x3c01});
  expect_stored(dtensor_real(1 + 0x1p-11), DTENSOR_F16, &(uint16_t){0x3c00});
  expect_stored(dtensor_real(1 + 0x3p-11 - 0x1p-40), DTENSOR_F16, &(uint16_t){0x3c01});
  expect_stored(dtensor_real(1 + 0x1p-8 + 0x1p-40), DTENSOR_BF16, &(uint16_t){0x3f81});
  expect_stored(dtensor_real(1 + 0x1p-8), DTENSOR_BF16, &(uint16_t){0x3f80});
}

DTEST(Scalar, RefusesLoss) {
  static const double huge = 1e300;
  const struct {
    dtensor_scalar value;
    dtensor_dtype dtype;
    const char *message;
  } rows[] = {
      {dtensor_real(2.5), DTENSOR_I32, "the scalar 2.5 cannot become i32 without loss"},
      {dtensor_complex(1, 2), DTENSOR_F64, "the scalar 1+2i cannot become f64"},
      {dtensor_complex(1, NAN), DTENSOR_F64, "cannot become f64"},
      {dtensor_complex(1, 2), DTENSOR_I64, "cannot become i64"},
      {dtensor_int(INT64_C(1) << 31), DTENSOR_I32, "the scalar 2147483648 cannot become i32"},
      {dtensor_real(0x1p63), DTENSOR_I64, "cannot become i64"},
      {dtensor_real(NAN), DTENSOR_I64, "cannot become i64"},
      {dtensor_real(INFINITY), DTENSOR_I32, "cannot become i32"},
      {dtensor_int(256), DTENSOR_U8, "the scalar 256 cannot become u8"},
      {dtensor_int(-1), DTENSOR_U8, "the scalar -1 cannot become u8"},
      {dtensor_int(2), DTENSOR_BOOL, "cannot become bool"},
      {dtensor_real(0.5), DTENSOR_BOOL, "cannot become bool"},
      {dtensor_real(huge), DTENSOR_F32, "cannot become f32"},
      {dtensor_complex(0, huge), DTENSOR_C64, "cannot become c64"},
      {dtensor_real(65520), DTENSOR_F16, "the scalar 65520 cannot become f16"},
      {dtensor_real(huge), DTENSOR_BF16, "cannot become bf16"},
      {{0}, DTENSOR_F64, "a scalar that dtensor_real()"},
      {dtensor_real(1), (dtensor_dtype)0, "0 is not a dtype"},
  };
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    unsigned char stored[16];
    EXPECT_STATUS(DTENSOR_EDTYPE, dti_scalar_store(rows[i].value, rows[i].dtype, stored));
    EXPECT_CONTAINS(dtensor_last_error(), rows[i].message);
  }
}
