#include "dtensor/tensor/stretch.h"

#include <omp.h>
#include <stdlib.h>

#include "dtensor/base/fail.h"
#include "dtensor/spec/axis.h"

/* Long runs are cut so that a vector of one row is still work for all threads. */
enum { LONGEST = 8192, PARALLEL_FROM = 4096 };

typedef struct stretch {
  int64_t local, global, length; /* along the last dimension */
} stretch;

static int64_t cut_last_axis(const dti_axis *axis, const dtensor *x, stretch *out) {
  const int64_t n = x->local_shape[x->layout.ndim - 1];
  int64_t count = 0;
  for (int64_t at = 0; at < n; count++) {
    int64_t run;
    const int64_t global = dti_axis_global(axis, x->mesh->coord, at, &run);
    if (run > n - at) run = n - at;
    if (run > LONGEST) run = LONGEST;
    if (out) out[count] = (stretch){at, global, run};
    at += run;
  }
  return count;
}

/* The global row-major index of the first element of a row: of the outer dimensions' local indices.
 */
static uint64_t row_start(const dtensor *x, const dti_axis axes[], int64_t row) {
  const int last = x->layout.ndim - 1;
  int64_t local[DTENSOR_MAX_NDIM];
  for (int d = last - 1; d >= 0; d--) {
    local[d] = row % x->local_shape[d];
    row /= x->local_shape[d];
  }
  uint64_t at = 0;
  for (int d = 0; d < last; d++) {
    const int64_t index = dti_axis_global(&axes[d], x->mesh->coord, local[d], NULL);
    at = at * (uint64_t)x->layout.shape[d] + (uint64_t)index;
  }
  return at * (uint64_t)x->layout.shape[last];
}

dtensor_status dti_fill_stretches(dtensor *x, dti_stretch_writer write, const void *ctx) {
  if (x->local_numel == 0) return DTENSOR_OK;
  if (x->layout.ndim == 0) {
    write(x->data, 0, 1, ctx);
    return DTENSOR_OK;
  }
  const int last = x->layout.ndim - 1;
  dti_axis axes[DTENSOR_MAX_NDIM];
  for (int d = 0; d <= last; d++) axes[d] = dti_axis_of(&x->layout, d);

  const int64_t pieces = cut_last_axis(&axes[last], x, NULL);
  stretch *piece = malloc((size_t)pieces * sizeof *piece);
  DTI_CHECK(piece, DTENSOR_ENOMEM, "no memory for %lld index runs", (long long)pieces);
  cut_last_axis(&axes[last], x, piece);

  const size_t element = dtensor_dtype_size(x->dtype);
  const int64_t width = x->local_shape[last], all = x->local_numel / width * pieces;
#pragma omp parallel for num_threads(x->mesh->threads) if (x->local_numel >= PARALLEL_FROM)
  for (int64_t i = 0; i < all; i++) {
    const int64_t row = i / pieces;
    const stretch *s = &piece[i % pieces];
    char *out = (char *)x->data + (size_t)(row * width + s->local) * element;
    write(out, row_start(x, axes, row) + (uint64_t)s->global, s->length, ctx);
  }
  free(piece);
  return DTENSOR_OK;
}
