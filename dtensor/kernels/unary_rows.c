#include <math.h>
#include <string.h>

#include "dtensor/kernels/number.h"
#include "dtensor/kernels/rows.h"

/* y[i] = expression of x = x[i] and the scalar s. */
#define ROW(loop, function, type, expression)                                                     \
  static void function(const void *scalar, int64_t n, char *const at[], const int64_t stride[]) { \
    type s = 0;                                                                                   \
    if (scalar) memcpy(&s, scalar, sizeof s);                                                     \
    (void)s;                                                                                      \
    type *y_at = (type *)(void *)at[0];                                                           \
    const type *x_at = (const type *)(const void *)at[1];                                         \
    const int64_t y_step = stride[0], x_step = stride[1];                                         \
    if (y_step == 1 && x_step == 1) {                                                             \
      loop for (int64_t i = 0; i < n; i++) {                                                      \
        const type x = x_at[i];                                                                   \
        y_at[i] = (type)(expression);                                                             \
      }                                                                                           \
    } else {                                                                                      \
      for (int64_t i = 0; i < n; i++) {                                                           \
        const type x = x_at[i * x_step];                                                          \
        y_at[i * y_step] = (type)(expression);                                                    \
      }                                                                                           \
    }                                                                                             \
  }

/* The one power that simulations are full of is a multiplication. */
#define POWER(power, square) (s == 2 ? (square) : (power))

#define FLOAT_ROWS(name, type, dtype)                \
  ROW(DTI_VECTOR, neg_##name, type, -x)              \
  ROW(DTI_VECTOR, relu_##name, type, x <= 0 ? 0 : x) \
  ROW(DTI_VECTOR, scale_##name, type, (x * s))       \
  ROW(DTI_VECTOR, add_scalar_##name, type, x + s)
DTI_FLOATS(FLOAT_ROWS)
ROW(DTI_VECTOR, abs_f32, float, fabsf(x))
ROW(DTI_SCALAR, exp_f32, float, expf(x))
ROW(DTI_SCALAR, log_f32, float, logf(x))
ROW(DTI_SCALAR, sqrt_f32, float, sqrtf(x))
ROW(DTI_SCALAR, tanh_f32, float, tanhf(x))
ROW(DTI_SCALAR, pow_scalar_f32, float, POWER(powf(x, s), (x * x)))
ROW(DTI_VECTOR, abs_f64, double, fabs(x))
ROW(DTI_SCALAR, exp_f64, double, exp(x))
ROW(DTI_SCALAR, log_f64, double, log(x))
ROW(DTI_SCALAR, sqrt_f64, double, sqrt(x))
ROW(DTI_SCALAR, tanh_f64, double, tanh(x))
ROW(DTI_SCALAR, pow_scalar_f64, double, POWER(pow(x, s), (x * x)))

#define COMPLEX_ROWS(name, type, dtype)                     \
  ROW(DTI_VECTOR, neg_##name, type, -x)                     \
  ROW(DTI_VECTOR, scale_##name, type, dti_mul_##name(x, s)) \
  ROW(DTI_VECTOR, add_scalar_##name, type, x + s)
DTI_COMPLEXES(COMPLEX_ROWS)
ROW(DTI_SCALAR, abs_c64, dti_c64, cabsf(x))
ROW(DTI_SCALAR, exp_c64, dti_c64, cexpf(x))
ROW(DTI_SCALAR, log_c64, dti_c64, clogf(x))
ROW(DTI_SCALAR, sqrt_c64, dti_c64, csqrtf(x))
ROW(DTI_SCALAR, tanh_c64, dti_c64, ctanhf(x))
ROW(DTI_SCALAR, pow_scalar_c64, dti_c64, POWER(cpowf(x, s), dti_mul_c64(x, x)))
ROW(DTI_SCALAR, abs_c128, dti_c128, cabs(x))
ROW(DTI_SCALAR, exp_c128, dti_c128, cexp(x))
ROW(DTI_SCALAR, log_c128, dti_c128, clog(x))
ROW(DTI_SCALAR, sqrt_c128, dti_c128, csqrt(x))
ROW(DTI_SCALAR, tanh_c128, dti_c128, ctanh(x))
ROW(DTI_SCALAR, pow_scalar_c128, dti_c128, POWER(cpow(x, s), dti_mul_c128(x, x)))

#define INTEGER_ROWS(name, type, dtype, wrapping)                  \
  ROW(DTI_VECTOR, neg_##name, type, 0 - (wrapping)x)               \
  ROW(DTI_VECTOR, scale_##name, type, ((wrapping)x * (wrapping)s)) \
  ROW(DTI_VECTOR, add_scalar_##name, type, (wrapping)x + (wrapping)s)
DTI_INTEGERS(INTEGER_ROWS)
ROW(DTI_VECTOR, abs_i32, int32_t, x < 0 ? 0 - (uint32_t)x : (uint32_t)x)
ROW(DTI_VECTOR, abs_i64, int64_t, x < 0 ? 0 - (uint64_t)x : (uint64_t)x)
ROW(DTI_VECTOR, abs_u8, uint8_t, x)
ROW(DTI_VECTOR, relu_i32, int32_t, x < 0 ? 0 : x)
ROW(DTI_VECTOR, relu_i64, int64_t, x < 0 ? 0 : x)
ROW(DTI_VECTOR, relu_u8, uint8_t, x)

dti_row dti_unary_row(dti_unary f, dtensor_dtype dtype) {
#define ANY(name)                                                             \
  [DTI_NEG] = neg_##name, [DTI_ABS] = abs_##name, [DTI_SCALE] = scale_##name, \
  [DTI_ADD_SCALAR] = add_scalar_##name
#define ANALYTIC(name)                                                      \
  [DTI_EXP] = exp_##name, [DTI_LOG] = log_##name, [DTI_SQRT] = sqrt_##name, \
  [DTI_TANH] = tanh_##name, [DTI_POW_SCALAR] = pow_scalar_##name
#define FLOAT(name, type, dtype) [dtype] = {ANY(name), ANALYTIC(name), [DTI_RELU] = relu_##name},
#define COMPLEX(name, type, dtype) [dtype] = {ANY(name), ANALYTIC(name)},
#define INTEGER(name, type, dtype, wrapping) [dtype] = {ANY(name), [DTI_RELU] = relu_##name},
  static const dti_row rows[DTENSOR_F16 + 1][DTI_POW_SCALAR + 1] = {
      DTI_FLOATS(FLOAT) DTI_COMPLEXES(COMPLEX) DTI_INTEGERS(INTEGER)};
  return rows[dtype][f];
}
