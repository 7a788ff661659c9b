#include "dtensor/redistribute/halves.h"

#include "dtensor/base/dtype.h"
#include "dtensor/kernels/elementwise.h"
#include "dtensor/kernels/parallel.h"
#include "dtensor/kernels/strided.h"

int dti_is_half(dtensor_dtype dtype) { return dti_dtype_class_of(dtype) == DTI_CLASS_HALF; }

typedef struct reduction {
  uint16_t *sum;
  const void *const *part;
  int64_t parts;
  dtensor_dtype dtype;
  dtensor_reduce_op op;
  int64_t divisor;
} reduction;

static dti_array vector(const void *data, int64_t n) {
  return (dti_array){.data = (void *)data, .ndim = 1, .shape = {n}, .stride = {1}};
}

static void reduce_range(const void *ctx, int64_t begin, int64_t end) {
  enum { BLOCK = 512 };
  const reduction *r = ctx;
  float total[BLOCK], term[BLOCK];
  for (int64_t at = begin, n; at < end; at += n) {
    n = end - at < BLOCK ? end - at : BLOCK;
    for (int64_t k = 0; k < r->parts; k++) {
      const dti_array half = vector((const uint16_t *)r->part[k] + at, n);
      const dti_array wide = vector(k == 0 ? total : term, n);
      dti_cast_apply(&wide, DTENSOR_F32, &half, r->dtype, 1);
      if (k > 0) dti_accumulate(total, term, n, DTENSOR_F32, r->op, 1);
    }
    if (r->divisor > 1) dti_divide(total, n, r->divisor, DTENSOR_F32, 1);
    const dti_array wide = vector(total, n), half = vector(r->sum + at, n);
    dti_cast_apply(&half, r->dtype, &wide, DTENSOR_F32, 1);
  }
}

void dti_reduce_halves(void *sum, const void *const part[], int64_t parts, int64_t n,
                       dtensor_dtype dtype, dtensor_reduce_op op, int64_t divisor, int threads) {
  const reduction r = {sum, part, parts, dtype, op, divisor};
  dti_parallel(n, 64, 2 * n * (parts + 1), threads, reduce_range, &r);
}
