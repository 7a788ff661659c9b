/* Factories whose values follow from the global index: arange, linspace, eye. */
#include <complex.h>
#include <string.h>

#include "dtensor/base/dtype.h"
#include "dtensor/base/fail.h"
#include "dtensor/tensor/factory.h"
#include "dtensor/tensor/stretch.h"

/* One writer per dtype: out[i] = EXPRESSION of the global index, `index`. */
#define WRITER(name, type, EXPRESSION)                                      \
  static void name(void *out, uint64_t first, int64_t n, const void *ctx) { \
    (void)ctx;                                                              \
    type *at = out;                                                         \
    for (int64_t i = 0; i < n; i++) {                                       \
      const uint64_t index = first + (uint64_t)i;                           \
      at[i] = (EXPRESSION);                                                 \
    }                                                                       \
  }

WRITER(arange_f32, float, (float)index)
WRITER(arange_f64, double, (double)index)
WRITER(arange_c64, float complex, (float)index)
WRITER(arange_c128, double complex, (double)index)
WRITER(arange_i32, int32_t, (int32_t)(uint32_t)index)
WRITER(arange_i64, int64_t, (int64_t)index)
WRITER(arange_u8, uint8_t, (uint8_t)index)
WRITER(arange_bf16, uint16_t, dti_float_to_bf16((float)index))
WRITER(arange_f16, uint16_t, dti_float_to_f16((float)index))

dtensor_status dtensor_arange(dtensor_mesh *mesh, dtensor_dtype dtype, int ndim,
                              const int64_t shape[], const dtensor_placement p[], dtensor **out) {
  static const dti_stretch_writer writers[] = {
      [DTENSOR_F32] = arange_f32,   [DTENSOR_F64] = arange_f64,   [DTENSOR_C64] = arange_c64,
      [DTENSOR_C128] = arange_c128, [DTENSOR_I32] = arange_i32,   [DTENSOR_I64] = arange_i64,
      [DTENSOR_U8] = arange_u8,     [DTENSOR_BF16] = arange_bf16, [DTENSOR_F16] = arange_f16,
  };
  DTI_API();
  DTI_TRY(dti_factory(mesh, dtype, DTI_ANY_CLASS & ~DTI_CLASS_BOOL, ndim, shape, p, out));
  return dti_factory_end(dti_fill_stretches(*out, writers[dtype], NULL), out);
}

/* start + index step, and the end exactly: rounding must not move it. */
typedef struct line {
  double complex start, end, step;
  uint64_t last;
} line;

static double complex line_at(const line *l, uint64_t index) {
  return index == l->last && index > 0 ? l->end : l->start + (double)index * l->step;
}

#define LINE_WRITER(name, type, part)                                                      \
  static void name(void *out, uint64_t first, int64_t n, const void *ctx) {                \
    type *at = out;                                                                        \
    for (int64_t i = 0; i < n; i++) at[i] = (type)part(line_at(ctx, first + (uint64_t)i)); \
  }

LINE_WRITER(linspace_f32, float, creal)
LINE_WRITER(linspace_f64, double, creal)
LINE_WRITER(linspace_c64, float complex, )
LINE_WRITER(linspace_c128, double complex, )

dtensor_status dtensor_linspace(dtensor_mesh *mesh, dtensor_dtype dtype, int ndim,
                                const int64_t shape[], dtensor_scalar start, dtensor_scalar end,
                                const dtensor_placement p[], dtensor **out) {
  static const dti_stretch_writer writers[] = {[DTENSOR_F32] = linspace_f32,
                                               [DTENSOR_F64] = linspace_f64,
                                               [DTENSOR_C64] = linspace_c64,
                                               [DTENSOR_C128] = linspace_c128};
  DTI_API();
  DTI_TRY(dti_factory(mesh, dtype, DTI_CLASS_FLOAT | DTI_CLASS_COMPLEX, ndim, shape, p, out));

  _Alignas(16) unsigned char fits[16];
  dtensor_status status = DTENSOR_OK;
  DTI_TRY_OR(done, status, dti_scalar_store(start, dtype, fits));
  DTI_TRY_OR(done, status, dti_scalar_store(end, dtype, fits));

  /* The line itself in the widest dtype of the class. */
  const int is_complex = dti_dtype_class_of(dtype) == DTI_CLASS_COMPLEX;
  double complex from = 0, to = 0;
  double real[2] = {0, 0};
  if (is_complex) {
    DTI_TRY_OR(done, status, dti_scalar_store(start, DTENSOR_C128, &from));
    DTI_TRY_OR(done, status, dti_scalar_store(end, DTENSOR_C128, &to));
  } else {
    DTI_TRY_OR(done, status, dti_scalar_store(start, DTENSOR_F64, &real[0]));
    DTI_TRY_OR(done, status, dti_scalar_store(end, DTENSOR_F64, &real[1]));
    from = real[0];
    to = real[1];
  }
  const int64_t n = dtensor_size(*out, -1);
  const line l = {from, to, n > 1 ? (to - from) / (double)(n - 1) : 0, n > 0 ? (uint64_t)n - 1 : 0};
  status = dti_fill_stretches(*out, writers[dtype], &l);
done:
  return dti_factory_end(status, out);
}

/* A stretch never leaves its row, so at most one of its elements is on the diagonal. */
typedef struct diagonal {
  uint64_t columns;
  size_t element;
  unsigned char one[16];
} diagonal;

static void eye_stretch(void *out, uint64_t first, int64_t n, const void *ctx) {
  const diagonal *d = ctx;
  memset(out, 0, (size_t)n * d->element);
  const uint64_t row = first / d->columns, column = first % d->columns;
  if (row >= column && row - column < (uint64_t)n)
    memcpy((char *)out + (row - column) * d->element, d->one, d->element);
}

dtensor_status dtensor_eye(dtensor_mesh *mesh, dtensor_dtype dtype, int ndim, const int64_t shape[],
                           const dtensor_placement p[], dtensor **out) {
  DTI_API();
  DTI_CHECK(out, DTENSOR_EINVAL, "out must not be NULL");
  *out = NULL;
  DTI_CHECK(ndim == 2, DTENSOR_EINVAL, "need 2 dimensions, got %d", ndim);
  DTI_TRY(dti_factory(mesh, dtype, DTI_ANY_CLASS, ndim, shape, p, out));
  diagonal d = {.columns = (uint64_t)shape[1], .element = dtensor_dtype_size(dtype)};
  dtensor_status status = dti_scalar_store(dtensor_int(1), dtype, d.one);
  if (status == DTENSOR_OK) status = dti_fill_stretches(*out, eye_stretch, &d);
  return dti_factory_end(status, out);
}
