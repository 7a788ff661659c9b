#include "dtensor/base/dtype.h"
#include "dtensor/kernels/elementwise.h"
#include "dtensor/kernels/nest.h"
#include "dtensor/kernels/parallel.h"
#include "dtensor/kernels/strided.h"
#include "dtensor/kernels/wide.h"

/* A cast goes through the widest type of the source's class, block by block: ten ways in and thirty
 * ways out instead of a hundred. No step but the last one rounds. */
typedef void (*narrower)(const dti_wide *wide, int64_t n, char *y, int64_t stride);

/* Towards zero, saturating; NaN is 0. The bounds are powers of two, so doubles hold them. */
static inline int32_t i32_of_real(double v) {
  if (v >= 0x1p31) return INT32_MAX;
  if (v < -0x1p31) return INT32_MIN;
  return v != v ? 0 : (int32_t)v;
}
static inline int64_t i64_of_real(double v) {
  if (v >= 0x1p63) return INT64_MAX;
  if (v < -0x1p63) return INT64_MIN;
  return v != v ? 0 : (int64_t)v;
}
static inline uint8_t u8_of_real(double v) {
  if (!(v > 0)) return 0;
  return v < 256 ? (uint8_t)v : UINT8_MAX;
}
static inline int32_t i32_of_integer(int64_t v) {
  if (v > INT32_MAX) return INT32_MAX;
  return v < INT32_MIN ? INT32_MIN : (int32_t)v;
}
static inline int64_t i64_of_integer(int64_t v) { return v; }
static inline uint8_t u8_of_integer(int64_t v) {
  if (v < 0) return 0;
  return v < 256 ? (uint8_t)v : UINT8_MAX;
}

/* `expression` converts v, an element of the member. */
#define NARROW(name, type, member, wide_type, expression)                                       \
  static void name##_of_##member##s(const dti_wide *wide, int64_t n, char *y, int64_t stride) { \
    type *to = (type *)(void *)y;                                                               \
    for (int64_t i = 0; i < n; i++) {                                                           \
      const wide_type v = wide->member[i];                                                      \
      to[i * stride] = (type)(expression);                                                      \
    }                                                                                           \
  }

#define FLOAT(name, type, dtype)          \
  NARROW(name, type, real, double, v)     \
  NARROW(name, type, integer, int64_t, v) \
  NARROW(name, type, complex_, dti_c128, creal(v))
#define COMPLEX(name, type, dtype)        \
  NARROW(name, type, real, double, v)     \
  NARROW(name, type, integer, int64_t, v) \
  NARROW(name, type, complex_, dti_c128, v)
#define INTEGER(name, type, dtype, wrapping)                 \
  NARROW(name, type, real, double, name##_of_real(v))        \
  NARROW(name, type, integer, int64_t, name##_of_integer(v)) \
  NARROW(name, type, complex_, dti_c128, name##_of_real(creal(v)))
#define HALF(name, type, dtype)                                       \
  NARROW(name, type, real, double, dti_float_to_##name((float)v))     \
  NARROW(name, type, integer, int64_t, dti_float_to_##name((float)v)) \
  NARROW(name, type, complex_, dti_c128, dti_float_to_##name((float)creal(v)))
DTI_FLOATS(FLOAT)
DTI_COMPLEXES(COMPLEX)
DTI_INTEGERS(INTEGER)
DTI_HALVES(HALF)
NARROW(bool, uint8_t, real, double, v != 0)
NARROW(bool, uint8_t, integer, int64_t, v != 0)
NARROW(bool, uint8_t, complex_, dti_c128, creal(v) != 0 || cimag(v) != 0)

static const narrower narrowers[][DTI_WIDE_COMPLEX + 1] = {
#define WAYS(name)                                                              \
  {                                                                             \
    [DTI_WIDE_REAL] = name##_of_reals, [DTI_WIDE_INTEGER] = name##_of_integers, \
    [DTI_WIDE_COMPLEX] = name##_of_complex_s                                    \
  }
#define ENTRY(name, type, dtype) [dtype] = WAYS(name),
#define INTEGER_ENTRY(name, type, dtype, wrapping) [dtype] = WAYS(name),
    DTI_FLOATS(ENTRY) DTI_COMPLEXES(ENTRY) DTI_HALVES(ENTRY)
        DTI_INTEGERS(INTEGER_ENTRY)[DTENSOR_BOOL] = WAYS(bool),
};

typedef struct casting {
  dti_nest nest;
  dtensor_dtype from;
  narrower narrow;
} casting;

static void cast_row(const void *ctx, int64_t n, char *const at[], const int64_t stride[]) {
  const casting *c = ctx;
  dti_wide wide;
  char *y = at[0];
  const char *x = at[1];
  for (int64_t left = n; left > 0; left -= DTI_WIDE_BLOCK) {
    const int64_t block = left < DTI_WIDE_BLOCK ? left : DTI_WIDE_BLOCK;
    dti_widen(c->from, block, x, stride[1], &wide);
    c->narrow(&wide, block, y, stride[0]);
    y += block * stride[0] * (int64_t)c->nest.element[0];
    x += block * stride[1] * (int64_t)c->nest.element[1];
  }
}

static void cast_part(const void *ctx, int64_t begin, int64_t end) {
  const casting *c = ctx;
  dti_nest_walk(&c->nest, begin, end, cast_row, c);
}

void dti_cast_apply(const dti_array *y, dtensor_dtype to, const dti_array *x, dtensor_dtype from,
                    int threads) {
  const size_t element[] = {dtensor_dtype_size(to), dtensor_dtype_size(from)};
  if (to == from) {
    dti_copy(y, x, element[0], threads);
    return;
  }
  casting c = {.from = from, .narrow = narrowers[to][dti_width_of(from)]};
  dti_nest_init(&c.nest, 2, (const dti_array *const[]){y, x}, element);
  const int64_t bytes = c.nest.elements * (int64_t)(element[0] + element[1]);
  dti_parallel(c.nest.elements, 64, bytes, threads, cast_part, &c);
}
