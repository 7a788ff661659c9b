#include "dtensor/kernels/wide.h"

#include "dtensor/base/dtype.h"

dti_width dti_width_of(dtensor_dtype dtype) {
  switch (dti_dtype_class_of(dtype)) {
    case DTI_CLASS_INT:
    case DTI_CLASS_BOOL:
      return DTI_WIDE_INTEGER;
    case DTI_CLASS_COMPLEX:
      return DTI_WIDE_COMPLEX;
    default:
      return DTI_WIDE_REAL;
  }
}

typedef void (*widener)(int64_t n, const char *x, int64_t stride, dti_wide *wide);

#define WIDEN(loop, name, type, member, convert)                                       \
  static void widen_##name(int64_t n, const char *x, int64_t stride, dti_wide *wide) { \
    const type *from = (const type *)(const void *)x;                                  \
    if (stride == 1)                                                                   \
      loop for (int64_t i = 0; i < n; i++) wide->member[i] = convert(from[i]);         \
    else                                                                               \
      for (int64_t i = 0; i < n; i++) wide->member[i] = convert(from[i * stride]);     \
  }
#define REAL(name, type, dtype) WIDEN(DTI_VECTOR, name, type, real, (double))
#define COMPLEX(name, type, dtype) WIDEN(DTI_VECTOR, name, type, complex_, (dti_c128))
#define INTEGER(name, type, dtype, wrapping) WIDEN(DTI_VECTOR, name, type, integer, (int64_t))
#define HALF(name, type, dtype) WIDEN(DTI_SCALAR, name, type, real, (double)dti_##name##_to_float)
DTI_FLOATS(REAL)
DTI_COMPLEXES(COMPLEX)
DTI_INTEGERS(INTEGER)
DTI_HALVES(HALF)

void dti_widen(dtensor_dtype dtype, int64_t n, const char *x, int64_t stride, dti_wide *wide) {
#define ENTRY(name, type, dtype) [dtype] = widen_##name,
#define INTEGER_ENTRY(name, type, dtype, wrapping) [dtype] = widen_##name,
  static const widener wideners[] = {DTI_FLOATS(ENTRY) DTI_COMPLEXES(ENTRY) DTI_HALVES(ENTRY)
                                         DTI_INTEGERS(INTEGER_ENTRY)[DTENSOR_BOOL] = widen_u8};
  wideners[dtype](n, x, stride, wide);
}
