#include <math.h>
#include <string.h>

#include "dtensor/kernels/number.h"
#include "dtensor/kernels/rows.h"

/* c[i] = expression of a = a[i], b = b[i] and the scalar s. Dense rows, and those where one operand
 * is broadcast, have loops that vectorise. */
#define ROW(loop, function, type, expression)                                                     \
  static void function(const void *scalar, int64_t n, char *const at[], const int64_t stride[]) { \
    type s = 0;                                                                                   \
    if (scalar) memcpy(&s, scalar, sizeof s);                                                     \
    (void)s;                                                                                      \
    type *c_at = (type *)(void *)at[0];                                                           \
    const type *a_at = (const type *)(const void *)at[1];                                         \
    const type *b_at = (const type *)(const void *)at[2];                                         \
    const int64_t c_step = stride[0], a_step = stride[1], b_step = stride[2];                     \
    if (c_step == 1 && a_step == 1 && b_step == 1) {                                              \
      loop for (int64_t i = 0; i < n; i++) {                                                      \
        const type a = a_at[i], b = b_at[i];                                                      \
        c_at[i] = (type)(expression);                                                             \
      }                                                                                           \
    } else if (c_step == 1 && a_step == 1 && b_step == 0) {                                       \
      const type b = *b_at;                                                                       \
      loop for (int64_t i = 0; i < n; i++) {                                                      \
        const type a = a_at[i];                                                                   \
        c_at[i] = (type)(expression);                                                             \
      }                                                                                           \
    } else if (c_step == 1 && a_step == 0 && b_step == 1) {                                       \
      const type a = *a_at;                                                                       \
      loop for (int64_t i = 0; i < n; i++) {                                                      \
        const type b = b_at[i];                                                                   \
        c_at[i] = (type)(expression);                                                             \
      }                                                                                           \
    } else {                                                                                      \
      for (int64_t i = 0; i < n; i++) {                                                           \
        const type a = a_at[i * a_step], b = b_at[i * b_step];                                    \
        c_at[i * c_step] = (type)(expression);                                                    \
      }                                                                                           \
    }                                                                                             \
  }

/* Towards zero; by zero gives zero, and the lowest value by -1 wraps to itself. */
static inline int32_t quotient_i32(int32_t a, int32_t b) {
  if (b == 0) return 0;
  return b == -1 ? (int32_t)(0 - (uint32_t)a) : a / b;
}
static inline int64_t quotient_i64(int64_t a, int64_t b) {
  if (b == 0) return 0;
  return b == -1 ? (int64_t)(0 - (uint64_t)a) : a / b;
}
static inline uint8_t quotient_u8(uint8_t a, uint8_t b) { return b == 0 ? 0 : (uint8_t)(a / b); }

#define FLOAT_ROWS(name, type, dtype)                     \
  ROW(DTI_VECTOR, add_##name, type, a + b)                \
  ROW(DTI_VECTOR, sub_##name, type, a - b)                \
  ROW(DTI_VECTOR, mul_##name, type, (a * b))              \
  ROW(DTI_VECTOR, div_##name, type, a / b)                \
  ROW(DTI_VECTOR, maximum_##name, type, DTI_MAX_OF(a, b)) \
  ROW(DTI_VECTOR, minimum_##name, type, DTI_MIN_OF(a, b)) \
  ROW(DTI_VECTOR, axpy_##name, type, (s * a) + b)
DTI_FLOATS(FLOAT_ROWS)
ROW(DTI_SCALAR, pow_f32, float, powf(a, b))
ROW(DTI_SCALAR, pow_f64, double, pow(a, b))

#define COMPLEX_ROWS(name, type, dtype)                   \
  ROW(DTI_VECTOR, add_##name, type, a + b)                \
  ROW(DTI_VECTOR, sub_##name, type, a - b)                \
  ROW(DTI_VECTOR, mul_##name, type, dti_mul_##name(a, b)) \
  ROW(DTI_SCALAR, div_##name, type, a / b)                \
  ROW(DTI_VECTOR, axpy_##name, type, dti_mul_##name(s, a) + b)
DTI_COMPLEXES(COMPLEX_ROWS)
ROW(DTI_SCALAR, pow_c64, dti_c64, cpowf(a, b))
ROW(DTI_SCALAR, pow_c128, dti_c128, cpow(a, b))

#define INTEGER_ROWS(name, type, dtype, wrapping)                \
  ROW(DTI_VECTOR, add_##name, type, (wrapping)a + (wrapping)b)   \
  ROW(DTI_VECTOR, sub_##name, type, (wrapping)a - (wrapping)b)   \
  ROW(DTI_VECTOR, mul_##name, type, ((wrapping)a * (wrapping)b)) \
  ROW(DTI_SCALAR, div_##name, type, quotient_##name(a, b))       \
  ROW(DTI_VECTOR, maximum_##name, type, a > b ? a : b)           \
  ROW(DTI_VECTOR, minimum_##name, type, a < b ? a : b)           \
  ROW(DTI_VECTOR, axpy_##name, type, ((wrapping)s * (wrapping)a) + (wrapping)b)
DTI_INTEGERS(INTEGER_ROWS)

dti_row dti_binary_row(dti_binary f, dtensor_dtype dtype) {
#define ARITHMETIC(name)                                                                          \
  [DTI_ADD] = add_##name, [DTI_SUB] = sub_##name, [DTI_MUL] = mul_##name, [DTI_DIV] = div_##name, \
  [DTI_AXPY] = axpy_##name
#define ORDER(name) [DTI_MAXIMUM] = maximum_##name, [DTI_MINIMUM] = minimum_##name
#define FLOAT(name, type, dtype) [dtype] = {ARITHMETIC(name), ORDER(name), [DTI_POW] = pow_##name},
#define COMPLEX(name, type, dtype) [dtype] = {ARITHMETIC(name), [DTI_POW] = pow_##name},
#define INTEGER(name, type, dtype, wrapping) [dtype] = {ARITHMETIC(name), ORDER(name)},
  static const dti_row rows[DTENSOR_F16 + 1][DTI_AXPY + 1] = {
      DTI_FLOATS(FLOAT) DTI_COMPLEXES(COMPLEX) DTI_INTEGERS(INTEGER)};
  return rows[dtype][f];
}
