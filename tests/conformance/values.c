#include "tests/conformance/values.h"

#include <math.h>
#include <string.h>

#include "dtensor/base/dtype.h"
#include "dtensor/kernels/strided.h"

double value_at(int input, int64_t index, dtensor_dtype dtype) {
  const int64_t step = (index * (input ? 5 : 7) + 3 * input + 1) % 13;
  switch (dti_dtype_class_of(dtype)) {
    case DTI_CLASS_BOOL:
      return (double)(step % 2);
    case DTI_CLASS_INT:
      return (double)(dtype == DTENSOR_U8 ? step : step - 6);
    default: /* never 0: a part of a Partial divided by it would be infinite */
      return (double)(step - 6) + 0.25;
  }
}

static void store(dtensor_dtype dtype, double value, double imaginary, void *element) {
  switch (dtype) {
    case DTENSOR_F32:
      memcpy(element, &(float){(float)value}, sizeof(float));
      break;
    case DTENSOR_F64:
      memcpy(element, &value, sizeof value);
      break;
    case DTENSOR_C64:
      memcpy(element, (float[]){(float)value, (float)imaginary}, 2 * sizeof(float));
      break;
    case DTENSOR_C128:
      memcpy(element, (double[]){value, imaginary}, 2 * sizeof(double));
      break;
    case DTENSOR_I32:
      memcpy(element, &(int32_t){(int32_t)value}, sizeof(int32_t));
      break;
    case DTENSOR_I64:
      memcpy(element, &(int64_t){(int64_t)value}, sizeof(int64_t));
      break;
    case DTENSOR_U8:
    case DTENSOR_BOOL: /* a negative part of a sum wraps, as the sum does */
      *(uint8_t *)element = (uint8_t)(int64_t)value;
      break;
    case DTENSOR_BF16:
      memcpy(element, &(uint16_t){dti_float_to_bf16((float)value)}, sizeof(uint16_t));
      break;
    case DTENSOR_F16:
      memcpy(element, &(uint16_t){dti_float_to_f16((float)value)}, sizeof(uint16_t));
      break;
  }
}

/* The Partial dimensions of a layout, taken together as one. */
typedef struct parts {
  dtensor_reduce_op op; /* of the last of them: sum and avg mix, and are told apart by `average` */
  int any;
  int64_t count, mine; /* ranks that hold a part, and which of them this is */
  double average;      /* what the sum of the parts is divided by */
} parts;

static parts parts_of(const dtensor *x) {
  parts all = {.count = 1, .average = 1};
  for (int m = 0; m < x->mesh->ndim; m++) {
    const dtensor_placement p = x->layout.p[m];
    if (p.kind != DTENSOR_PARTIAL) continue;
    all.any = 1;
    all.op = p.op;
    all.mine = all.mine * x->mesh->shape[m] + x->mesh->coord[m];
    all.count *= x->mesh->shape[m];
    if (p.op == DTENSOR_AVG) all.average *= (double)x->mesh->shape[m];
  }
  return all;
}

/* What rank `part` adds to a sum; the last one adds what is missing. */
static double summand(const parts *all, int64_t part, int64_t index, double total) {
  if (part < all->count - 1) return (double)((index * 3 + part * 5) % 7 - 3);
  for (int64_t k = 0; k < all->count - 1; k++) total -= summand(all, k, index, total);
  return total;
}

static void store_part(const dtensor *x, const parts *all, int input, int64_t index,
                       void *element) {
  const double value = value_at(input, index, x->dtype);
  const double imaginary = value_at(input + 1, index, x->dtype);
  if (!all->any) {
    store(x->dtype, value, imaginary, element);
  } else if (all->op == DTENSOR_SUM || all->op == DTENSOR_AVG) {
    store(x->dtype, summand(all, all->mine, index, value * all->average),
          summand(all, all->mine, index + 1, imaginary * all->average), element);
  } else if (all->mine == index % all->count) {
    store(x->dtype, value, 0, element);
  } else if ((all->mine + index) % 3 == 0 || x->dtype == DTENSOR_BOOL || x->dtype == DTENSOR_U8) {
    dti_identity(x->dtype, all->op, element);
  } else {
    const double distance = 1 + (double)((all->mine + index) % 4);
    store(x->dtype, all->op == DTENSOR_MAX ? value - distance : value + distance, 0, element);
  }
}

dtensor_status value_tensor(dtensor_mesh *mesh, dtensor_dtype dtype, const dti_layout *layout,
                            int input, dtensor **out) {
  const dtensor_status status = dti_tensor_create(mesh, dtype, layout, out);
  if (status != DTENSOR_OK) return status;
  const dtensor *x = *out;
  const parts all = parts_of(x);
  for (int64_t i = 0; i < x->local_numel; i++) {
    int64_t rest = i, index = 0, weight = 1;
    for (int d = layout->ndim - 1; d >= 0; d--) {
      index += weight * dtensor_global_index(x, d, rest % x->local_shape[d]);
      weight *= layout->shape[d];
      rest /= x->local_shape[d];
    }
    store_part(x, &all, input, index, (char *)x->data + (size_t)i * dtensor_dtype_size(dtype));
  }
  return DTENSOR_OK;
}

static int near(double a, double b, double tolerance) {
  if (isnan(a) || isnan(b)) return isnan(a) && isnan(b);
  return a == b || fabs(a - b) <= tolerance * fmax(1, fabs(b));
}

static double load(dtensor_dtype dtype, const char *data, int64_t i) {
  switch (dtype) {
    case DTENSOR_F32:
    case DTENSOR_C64:
      return (double)((const float *)(const void *)data)[i];
    case DTENSOR_BF16:
      return (double)dti_bf16_to_float(((const uint16_t *)(const void *)data)[i]);
    case DTENSOR_F16:
      return (double)dti_f16_to_float(((const uint16_t *)(const void *)data)[i]);
    default:
      return ((const double *)(const void *)data)[i];
  }
}

int64_t value_mismatch(dtensor_dtype dtype, const void *a, const void *b, int64_t n, int exact) {
  const dti_dtype_class class = dti_dtype_class_of(dtype);
  const size_t element = dtensor_dtype_size(dtype);
  if (class == DTI_CLASS_INT || class == DTI_CLASS_BOOL) {
    for (int64_t i = 0; i < n; i++) {
      const size_t at = (size_t)i * element;
      if (memcmp((const char *)a + at, (const char *)b + at, element) != 0) return i;
    }
    return -1;
  }
  const int64_t numbers = class == DTI_CLASS_COMPLEX ? 2 : 1;
  const double tolerance = exact                                        ? 0
                           : class == DTI_CLASS_HALF                    ? 1e-2
                           : element / (size_t)numbers == sizeof(float) ? 1e-5
                                                                        : 1e-12;
  for (int64_t i = 0; i < n * numbers; i++)
    if (!near(load(dtype, a, i), load(dtype, b, i), tolerance)) return i / numbers;
  return -1;
}
