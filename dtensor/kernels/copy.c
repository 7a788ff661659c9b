#include <string.h>

#include "dtensor/kernels/nest.h"
#include "dtensor/kernels/strided.h"

/* Below this many bytes setting up a walk costs more than the copy of a dense array. */
enum { SMALL = 4096 };

void dti_copy(const dti_array *dst, const dti_array *src, size_t element, int threads) {
  const int64_t elements = dti_array_elements(dst);
  if (elements == 0) return;
  if (elements * (int64_t)element <= SMALL && dti_array_dense(dst) && dti_array_dense(src)) {
    memcpy(dst->data, src->data, (size_t)elements * element);
    return;
  }
  dti_whole whole;
  dti_whole_init(&whole, dst->ndim, dst->shape);
  dti_copy_region(dst->data, dst->stride, &whole.region, src->data, src->stride, &whole.region,
                  element, threads);
}
