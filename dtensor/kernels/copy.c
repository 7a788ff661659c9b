#include <stdlib.h>
#include <string.h>

#include "dtensor/kernels/move.h"
#include "dtensor/kernels/nest.h"
#include "dtensor/kernels/parallel.h"
#include "dtensor/kernels/strided.h"

enum { DST, SRC };

/* Parts of a copy begin at whole cache lines where its rows are dense. */
enum { LINE = 64 };

static void copy_row(const void *ctx, int64_t n, char *const at[], const int64_t stride[]) {
  const size_t element = *(const size_t *)ctx;
  dti_move_row(element, n, at[DST], stride[DST] * (int64_t)element, at[SRC],
               stride[SRC] * (int64_t)element);
}

static void copy_rows(const void *ctx, int64_t begin, int64_t end) {
  const dti_nest *nest = ctx;
  dti_nest_walk(nest, begin, end, copy_row, &nest->element[DST]);
}

/* A copy that transposes: dst is dense along the innermost dimension of `rest`, src along the one
 * that was taken out of it. A position of `rest` without its innermost dimension is a plane; bands
 * of rows of the planes are what threads share. */
enum { BAND = 64 };
typedef struct transposition {
  dti_nest outer; /* the dimensions that are neither */
  int64_t ni, nj, bands;
  int64_t dst_step[2], src_step[2];
} transposition;

static void copy_bands(const void *ctx, int64_t begin, int64_t end) {
  const transposition *t = ctx;
  for (int64_t task = begin; task < end; task++) {
    const int64_t first = task % t->bands * BAND;
    int64_t plane = task / t->bands;
    char *dst = t->outer.data[DST] + first * t->dst_step[0];
    const char *src = t->outer.data[SRC] + first * t->src_step[0];
    for (int d = t->outer.ndim - 1; d >= 0; d--) {
      const int64_t index = plane % t->outer.size[d] * (int64_t)t->outer.element[DST];
      plane /= t->outer.size[d];
      dst += index * t->outer.stride[DST][d];
      src += index * t->outer.stride[SRC][d];
    }
    dti_move_transposing(t->outer.element[DST], t->ni - first < BAND ? t->ni - first : BAND, t->nj,
                         dst, t->dst_step, src, t->src_step);
  }
}

/* The dimension along which src is denser than along the innermost one, or -1. */
static int transposed_dim(const dti_nest *nest) {
  const int64_t *stride = nest->stride[SRC];
  int best = nest->ndim - 1;
  for (int d = nest->ndim - 1; d >= 0; d--)
    if (stride[d] != 0 && llabs(stride[d]) < llabs(stride[best])) best = d;
  return best == nest->ndim - 1 ? -1 : best;
}

static void copy_transposing(const dti_nest *nest, int dim, int threads) {
  transposition t = {.outer = *nest};
  const int64_t element = (int64_t)nest->element[DST];
  const int inner = nest->ndim - 1;
  t.ni = nest->size[dim];
  t.nj = nest->size[inner];
  t.bands = (t.ni + BAND - 1) / BAND;
  t.dst_step[0] = nest->stride[DST][dim] * element;
  t.dst_step[1] = nest->stride[DST][inner] * element;
  t.src_step[0] = nest->stride[SRC][dim] * element;
  t.src_step[1] = nest->stride[SRC][inner] * element;
  t.outer.ndim = inner - 1;
  for (int d = dim; d < inner - 1; d++) {
    t.outer.size[d] = nest->size[d + 1];
    for (int k = DST; k <= SRC; k++) t.outer.stride[k][d] = nest->stride[k][d + 1];
  }
  const int64_t planes = nest->elements / (t.ni * t.nj);
  dti_parallel(planes * t.bands, 1, 2 * nest->elements * element, threads, copy_bands, &t);
}

void dti_copy(const dti_array *dst, const dti_array *src, size_t element, int threads) {
  const int64_t elements = dti_array_elements(dst);
  if (elements == 0) return;
  const int64_t bytes = 2 * elements * (int64_t)element;
  if (bytes <= LINE * LINE && dti_array_dense(dst) && dti_array_dense(src)) {
    memcpy(dst->data, src->data, (size_t)elements * element);
    return;
  }
  dti_nest nest;
  dti_nest_init(&nest, 2, (const dti_array *const[]){dst, src}, (size_t[]){element, element});
  const int dim = transposed_dim(&nest);
  if (dim >= 0)
    copy_transposing(&nest, dim, threads);
  else
    dti_parallel(elements, LINE, bytes, threads, copy_rows, &nest);
}
