#include "dtensor/base/dtype.h"

#include <string.h>

#include "tests/harness/dtest.h"

static const dtensor_dtype ALL[] = {DTENSOR_F32,  DTENSOR_F64, DTENSOR_C64, DTENSOR_C128,
                                    DTENSOR_I32,  DTENSOR_I64, DTENSOR_U8,  DTENSOR_BOOL,
                                    DTENSOR_BF16, DTENSOR_F16};
enum { COUNT = sizeof ALL / sizeof ALL[0] };

DTEST(Dtype, SizesAndNames) {
  static const size_t sizes[] = {4, 8, 8, 16, 4, 8, 1, 1, 2, 2};
  static const char *const names[] = {"f32", "f64", "c64",  "c128", "i32",
                                      "i64", "u8",  "bool", "bf16", "f16"};
  for (int i = 0; i < COUNT; i++) {
    EXPECT_EQ(dtensor_dtype_size(ALL[i]), sizes[i]);
    EXPECT_STREQ(dtensor_dtype_name(ALL[i]), names[i]);
    EXPECT_OK(dti_dtype_check(ALL[i]));
  }
  static const int none[] = {-1, 0, 11, 1000};
  for (int i = 0; i < 4; i++) {
    EXPECT_EQ(dtensor_dtype_size((dtensor_dtype)none[i]), 0u);
    EXPECT_STREQ(dtensor_dtype_name((dtensor_dtype)none[i]), "?");
    EXPECT_STATUS(DTENSOR_EDTYPE, dti_dtype_check((dtensor_dtype)none[i]));
  }
  EXPECT_CONTAINS(dtensor_last_error(), "1000 is not a dtype");
}

/* One line per dtype, in the order of ALL; a column per other one, or per reduction. */

DTEST(Dtype, Widening) {
  static const char *const rows[COUNT] = {
      /*         f32 f64 c64 c128 i32 i64 u8 bool bf16 f16 */
      /* f32  */ "1111000000",
      /* f64  */ "0101000000",
      /* c64  */ "0011000000",
      /* c128 */ "0001000000",
      /* i32  */ "0101110000",
      /* i64  */ "0000010000",
      /* u8   */ "1111111011",
      /* bool */ "1111111111",
      /* bf16 */ "1111000010",
      /* f16  */ "1111000001",
  };
  for (int i = 0; i < COUNT; i++)
    for (int j = 0; j < COUNT; j++)
      if (!EXPECT_EQ(dti_dtype_widens(ALL[i], ALL[j]), rows[i][j] == '1'))
        dtest_fail(__FILE__, __LINE__, "%s to %s", dtensor_dtype_name(ALL[i]),
                   dtensor_dtype_name(ALL[j]));
}

DTEST(Dtype, Reductions) {
  static const char *const rows[COUNT] = {
      /*         sum avg min max product band bor bxor */
      /* f32  */ "11111000",
      /* f64  */ "11111000",
      /* c64  */ "11001000",
      /* c128 */ "11001000",
      /* i32  */ "10111111",
      /* i64  */ "10111111",
      /* u8   */ "10111111",
      /* bool */ "00110111",
      /* bf16 */ "11111000",
      /* f16  */ "11111000",
  };
  for (int i = 0; i < COUNT; i++)
    for (int op = DTENSOR_SUM; op <= DTENSOR_BXOR; op++)
      if (!EXPECT_EQ(dti_dtype_reduces(ALL[i], (dtensor_reduce_op)op), rows[i][op] == '1'))
        dtest_fail(__FILE__, __LINE__, "%s %s", dti_reduce_op_name((dtensor_reduce_op)op),
                   dtensor_dtype_name(ALL[i]));
  EXPECT_FALSE(dti_dtype_reduces(DTENSOR_F64, (dtensor_reduce_op)8));
  EXPECT_STREQ(dti_reduce_op_name((dtensor_reduce_op)8), "?");
}
