#include "dtensor/base/dtype.h"
#include "dtensor/kernels/number.h"
#include "dtensor/kernels/parallel.h"
#include "dtensor/kernels/strided.h"

typedef void (*divider)(void *x, int64_t n, int64_t divisor);

/* One loop; `expression` gives a / d for an element a and the divisor d as the type that divides.
 */
#define LOOP(name, type, divisor_type, expression)                  \
  static void divide_##name(void *x_, int64_t n, int64_t divisor) { \
    type *x = x_;                                                   \
    const divisor_type d = (divisor_type)divisor;                   \
    _Pragma("omp simd") for (int64_t i = 0; i < n; i++) {           \
      const type a = x[i];                                          \
      x[i] = (type)(expression);                                    \
    }                                                               \
  }
#define HALF_LOOP(name, type, dtype)                                                             \
  static void divide_##name(void *x_, int64_t n, int64_t divisor) {                              \
    type *x = x_;                                                                                \
    const float d = (float)divisor;                                                              \
    for (int64_t i = 0; i < n; i++) x[i] = dti_float_to_##name(dti_##name##_to_float(x[i]) / d); \
  }

#define INTEGER_LOOP(name, type, dtype, wrapping) LOOP(name, type, int64_t, a / d)
LOOP(f32, float, float, a / d)
LOOP(f64, double, double, a / d)
LOOP(c64, dti_c64, float, dti_make_c64(crealf(a) / d, cimagf(a) / d))
LOOP(c128, dti_c128, double, dti_make_c128(creal(a) / d, cimag(a) / d))
DTI_INTEGERS(INTEGER_LOOP)
DTI_HALVES(HALF_LOOP)

typedef struct division {
  divider divide;
  char *x;
  int64_t element, divisor;
} division;

static void divide_part(const void *ctx, int64_t begin, int64_t end) {
  const division *d = ctx;
  d->divide(d->x + begin * d->element, end - begin, d->divisor);
}

void dti_divide(void *x, int64_t n, int64_t divisor, dtensor_dtype dtype, int threads) {
  static const divider dividers[] = {
      [DTENSOR_F32] = divide_f32,   [DTENSOR_F64] = divide_f64, [DTENSOR_C64] = divide_c64,
      [DTENSOR_C128] = divide_c128, [DTENSOR_I32] = divide_i32, [DTENSOR_I64] = divide_i64,
      [DTENSOR_U8] = divide_u8,     [DTENSOR_BOOL] = NULL,      [DTENSOR_BF16] = divide_bf16,
      [DTENSOR_F16] = divide_f16,
  };
  const division d = {dividers[dtype], x, (int64_t)dtensor_dtype_size(dtype), divisor};
  if (d.divide) dti_parallel(n, 64, 2 * n * d.element, threads, divide_part, &d);
}
