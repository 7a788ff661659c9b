/* Copying next to nothing. */
#include <string.h>

#include "dtensor/kernels/copy_box.h"

enum { FEW_BYTES = 512 };

/* Two arrays along a dimension of more than one element; steps in bytes. */
typedef struct few_axis {
  int64_t length, to, from;
} few_axis;

static void copy_row(char *to, const char *from, const few_axis *row, size_t element) {
  if (row->to == (int64_t)element && row->from == (int64_t)element) {
    memcpy(to, from, (size_t)row->length * element);
    return;
  }
  for (int64_t i = 0; i < row->length; i++, to += row->to, from += row->from) switch (element) {
      case 8:
        memcpy(to, from, 8);
        break;
      case 4:
        memcpy(to, from, 4);
        break;
      default:
        memcpy(to, from, element);
    }
}

static void copy_axes(char *to, const char *from, int axes, const few_axis axis[], size_t element) {
  if (axes == 1) {
    copy_row(to, from, axis, element);
    return;
  }
  for (int64_t i = 0; i < axis->length; i++)
    copy_axes(to + i * axis->to, from + i * axis->from, axes - 1, axis + 1, element);
}

int dti_copy_few(const dti_part *dst, const dti_part *src, size_t element) {
  const dti_region *out = dst->region, *in = src->region;
  if (out->elements * (int64_t)element > FEW_BYTES || out->elements == 0) return 0;
  const int64_t size = (int64_t)element;
  few_axis axis[DTENSOR_MAX_NDIM] = {{1, size, size}};
  char *to = dst->data;
  const char *from = src->data;
  int axes = 0;
  for (int d = 0; d < out->ndim; d++) {
    if (out->count[d] != 1 || in->count[d] != 1) return 0;
    const few_axis next = {out->runs[d]->length, dst->stride[d] * size, src->stride[d] * size};
    to += out->runs[d]->begin * next.to;
    from += in->runs[d]->begin * next.from;
    if (next.length > 1) axis[axes++] = next;
  }
  if (to != from) copy_axes(to, from, axes > 0 ? axes : 1, axis, element);
  return 1;
}
