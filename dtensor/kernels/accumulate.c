#include "dtensor/base/dtype.h"
#include "dtensor/kernels/number.h"
#include "dtensor/kernels/parallel.h"
#include "dtensor/kernels/strided.h"

/* acc[i] = acc[i] op in[i]. */
typedef void (*accumulator)(void *acc, const void *in, int64_t n);

/* One loop; `expression` gives a op b for two elements a and b. */
#define LOOP(function, type, expression)                         \
  static void function(void *acc_, const void *in_, int64_t n) { \
    type *acc = acc_;                                            \
    const type *in = in_;                                        \
    _Pragma("omp simd") for (int64_t i = 0; i < n; i++) {        \
      const type a = acc[i], b = in[i];                          \
      acc[i] = (type)(expression);                               \
    }                                                            \
  }

#define FLOAT_LOOPS(name, type, dtype)     \
  LOOP(sum_##name, type, a + b)            \
  LOOP(product_##name, type, (a * b))      \
  LOOP(min_##name, type, DTI_MIN_OF(a, b)) \
  LOOP(max_##name, type, DTI_MAX_OF(a, b))
DTI_FLOATS(FLOAT_LOOPS)

#define COMPLEX_LOOPS(name, type, dtype) \
  LOOP(sum_##name, type, a + b)          \
  LOOP(product_##name, type, dti_mul_##name(a, b))
DTI_COMPLEXES(COMPLEX_LOOPS)

#define INTEGER_LOOPS(name, type, dtype, wrapping)     \
  LOOP(sum_##name, type, (wrapping)a + (wrapping)b)    \
  LOOP(product_##name, type, (wrapping)a *(wrapping)b) \
  LOOP(min_##name, type, a < b ? a : b)                \
  LOOP(max_##name, type, a > b ? a : b)                \
  LOOP(band_##name, type, (a & b))                     \
  LOOP(bor_##name, type, a | b)                        \
  LOOP(bxor_##name, type, a ^ b)
DTI_INTEGERS(INTEGER_LOOPS)

#define HALF_LOOP(function, name, expression)                                          \
  static void function##_##name(void *acc_, const void *in_, int64_t n) {              \
    uint16_t *acc = acc_;                                                              \
    const uint16_t *in = in_;                                                          \
    for (int64_t i = 0; i < n; i++) {                                                  \
      const float a = dti_##name##_to_float(acc[i]), b = dti_##name##_to_float(in[i]); \
      acc[i] = dti_float_to_##name(expression);                                        \
    }                                                                                  \
  }
#define HALF_LOOPS(name, type, dtype)    \
  HALF_LOOP(sum, name, a + b)            \
  HALF_LOOP(product, name, (a * b))      \
  HALF_LOOP(min, name, DTI_MIN_OF(a, b)) \
  HALF_LOOP(max, name, DTI_MAX_OF(a, b))
DTI_HALVES(HALF_LOOPS)

/* By dtype and op; NULL where dti_dtype_reduces() says no. */
static const accumulator accumulators[][DTENSOR_BXOR + 1] = {
#define COMPLEX_ROW(name, type, dtype) \
  [dtype] = {                          \
      [DTENSOR_SUM] = sum_##name, [DTENSOR_AVG] = sum_##name, [DTENSOR_PRODUCT] = product_##name},
#define FLOAT_ROW(name, type, dtype)     \
  [dtype] = {[DTENSOR_SUM] = sum_##name, \
             [DTENSOR_AVG] = sum_##name, \
             [DTENSOR_MIN] = min_##name, \
             [DTENSOR_MAX] = max_##name, \
             [DTENSOR_PRODUCT] = product_##name},
#define INTEGER_ROW(name, type, dtype, wrapping)                               \
  [dtype] = {[DTENSOR_SUM] = sum_##name,         [DTENSOR_AVG] = sum_##name,   \
             [DTENSOR_MIN] = min_##name,         [DTENSOR_MAX] = max_##name,   \
             [DTENSOR_PRODUCT] = product_##name, [DTENSOR_BAND] = band_##name, \
             [DTENSOR_BOR] = bor_##name,         [DTENSOR_BXOR] = bxor_##name},
    DTI_FLOATS(FLOAT_ROW) DTI_HALVES(FLOAT_ROW) DTI_COMPLEXES(COMPLEX_ROW) DTI_INTEGERS(INTEGER_ROW)
        /* A bool is a byte 0 or 1. */
        [DTENSOR_BOOL] = {[DTENSOR_SUM] = bor_u8,
                          [DTENSOR_AVG] = bor_u8,
                          [DTENSOR_MIN] = band_u8,
                          [DTENSOR_MAX] = bor_u8,
                          [DTENSOR_PRODUCT] = band_u8,
                          [DTENSOR_BAND] = band_u8,
                          [DTENSOR_BOR] = bor_u8,
                          [DTENSOR_BXOR] = bxor_u8},
};

typedef struct accumulation {
  accumulator accumulate;
  char *acc;
  const char *in;
  int64_t element;
} accumulation;

static void accumulate_part(const void *ctx, int64_t begin, int64_t end) {
  const accumulation *a = ctx;
  a->accumulate(a->acc + begin * a->element, a->in + begin * a->element, end - begin);
}

void dti_accumulate(void *acc, const void *in, int64_t n, dtensor_dtype dtype, dtensor_reduce_op op,
                    int threads) {
  const accumulation a = {accumulators[dtype][op], acc, in, (int64_t)dtensor_dtype_size(dtype)};
  if (a.accumulate) dti_parallel(n, 64, 3 * n * a.element, threads, accumulate_part, &a);
}
