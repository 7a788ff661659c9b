#include "dtensor/kernels/reduce_loops.h"

#include <stddef.h>

#include "dtensor/kernels/lanes.h"
#include "dtensor/kernels/number.h"

#define DENSE(i) x[i]
#define STRIDED(i) x[(i)*stride]

/* term(v) is what an element v counts for, merge(a, b) combines two values. Columns take four rows
 * at a time: that many streams from memory, and fewer passes over acc. */
#define LOOPS(name, type, term, merge)                                                             \
  static void name##_row(void *acc_, int64_t n, const void *x_, int64_t stride) {                  \
    type *acc = acc_, value;                                                                       \
    const type *x = x_;                                                                            \
    if (stride == 1)                                                                               \
      DTI_REDUCE_LANES(type, value, n, DENSE, term, merge);                                        \
    else                                                                                           \
      DTI_REDUCE_LANES(type, value, n, STRIDED, term, merge);                                      \
    *acc = (type)merge(*acc, value);                                                               \
  }                                                                                                \
  static void name##_columns(void *acc_, int64_t width, int64_t width_stride, int64_t n,           \
                             const void *x_, int64_t stride) {                                     \
    type *acc = acc_;                                                                              \
    const type *x = x_;                                                                            \
    int64_t i = 0;                                                                                 \
    if (width_stride == 1)                                                                         \
      for (; i + 4 <= n; i += 4, x += 4 * stride) {                                                \
        const type *x1 = x + stride, *x2 = x1 + stride, *x3 = x2 + stride;                         \
        _Pragma("omp simd") for (int64_t j = 0; j < width; j++) {                                  \
          const type low = (type)merge(term(x[j]), term(x1[j]));                                   \
          const type high = (type)merge(term(x2[j]), term(x3[j]));                                 \
          acc[j] = (type)merge(acc[j], (type)merge(low, high));                                    \
        }                                                                                          \
      }                                                                                            \
    for (; i < n; i++, x += stride)                                                                \
      for (int64_t j = 0; j < width; j++) acc[j] = (type)merge(acc[j], term(x[j * width_stride])); \
  }                                                                                                \
  static void name##_combine(void *acc_, const void *other_, int64_t width) {                      \
    type *acc = acc_;                                                                              \
    const type *other = other_;                                                                    \
    for (int64_t j = 0; j < width; j++) acc[j] = (type)merge(acc[j], other[j]);                    \
  }                                                                                                \
  static const dti_reduce_loops name##_loops = {name##_row, name##_columns, name##_combine};

#define SAME(v) (v)
#define PLUS(a, b) ((a) + (b))
#define SMALLER(a, b) DTI_MIN_OF(b, a)
#define LARGER(a, b) DTI_MAX_OF(b, a)

/* Signed integers are summed as unsigned ones: the same bits, and overflow wraps. */
LOOPS(sum_f32, float, SAME, PLUS)
LOOPS(sum_f64, double, SAME, PLUS)
LOOPS(sum_c64, dti_c64, SAME, PLUS)
LOOPS(sum_c128, dti_c128, SAME, PLUS)
LOOPS(sum_i32, uint32_t, SAME, PLUS)
LOOPS(sum_i64, uint64_t, SAME, PLUS)
LOOPS(sum_u8, uint8_t, SAME, PLUS)

#define SQUARE(v) ((v) * (v))
#define NORM_C64(v) (crealf(v) * crealf(v) + cimagf(v) * cimagf(v))
#define NORM_C128(v) (creal(v) * creal(v) + cimag(v) * cimag(v))
LOOPS(squares_f32, float, SQUARE, PLUS)
LOOPS(squares_f64, double, SQUARE, PLUS)
LOOPS(squares_c64, dti_c64, NORM_C64, PLUS)
LOOPS(squares_c128, dti_c128, NORM_C128, PLUS)

LOOPS(min_f32, float, SAME, SMALLER)
LOOPS(min_f64, double, SAME, SMALLER)
LOOPS(min_i32, int32_t, SAME, SMALLER)
LOOPS(min_i64, int64_t, SAME, SMALLER)
LOOPS(min_u8, uint8_t, SAME, SMALLER)
LOOPS(max_f32, float, SAME, LARGER)
LOOPS(max_f64, double, SAME, LARGER)
LOOPS(max_i32, int32_t, SAME, LARGER)
LOOPS(max_i64, int64_t, SAME, LARGER)
LOOPS(max_u8, uint8_t, SAME, LARGER)

const dti_reduce_loops *dti_reduce_loops_of(dti_reduction f, dtensor_dtype dtype) {
  static const dti_reduce_loops *const loops[][DTENSOR_F16 + 1] = {
      [DTI_REDUCE_SUM] = {[DTENSOR_F32] = &sum_f32_loops,
                          [DTENSOR_F64] = &sum_f64_loops,
                          [DTENSOR_C64] = &sum_c64_loops,
                          [DTENSOR_C128] = &sum_c128_loops,
                          [DTENSOR_I32] = &sum_i32_loops,
                          [DTENSOR_I64] = &sum_i64_loops,
                          [DTENSOR_U8] = &sum_u8_loops},
      [DTI_REDUCE_SUM_SQUARES] = {[DTENSOR_F32] = &squares_f32_loops,
                                  [DTENSOR_F64] = &squares_f64_loops,
                                  [DTENSOR_C64] = &squares_c64_loops,
                                  [DTENSOR_C128] = &squares_c128_loops},
      [DTI_REDUCE_MIN] = {[DTENSOR_F32] = &min_f32_loops,
                          [DTENSOR_F64] = &min_f64_loops,
                          [DTENSOR_I32] = &min_i32_loops,
                          [DTENSOR_I64] = &min_i64_loops,
                          [DTENSOR_U8] = &min_u8_loops},
      [DTI_REDUCE_MAX] = {[DTENSOR_F32] = &max_f32_loops,
                          [DTENSOR_F64] = &max_f64_loops,
                          [DTENSOR_I32] = &max_i32_loops,
                          [DTENSOR_I64] = &max_i64_loops,
                          [DTENSOR_U8] = &max_u8_loops},
  };
  return loops[f][dtype];
}
