#include "dtensor/kernels/combine.h"

#include "dtensor/base/dtype.h"
#include "dtensor/kernels/copy_box.h"
#include "dtensor/kernels/elementwise.h"
#include "dtensor/kernels/stream.h"
#include "dtensor/kernels/strided.h"
#include "dtensor/kernels/sum_row.h"

/* Boxes are combined tile by tile in buffers that stay in the innermost cache. A tile of rows is as
 * wide as can be; where some array is dense along i it is wide enough for whole cache lines of
 * both. */
enum { TILE_BYTES = 8192, TRANSPOSED_TILE_WIDTH = 64 };

/* Shorter rows are summed tile by tile. */
enum { SUMMED_ROW = 64 };

typedef struct combination {
  dtensor_dtype dtype;
  dtensor_reduce_op op;
  int64_t divisor;
  int inputs, outputs;
  size_t element;
  int stream;
} combination;

/* A dense box of its own. */
typedef union tile {
  _Alignas(64) char bytes[TILE_BYTES];
  float real[TILE_BYTES / sizeof(float)];
} tile;

static dti_place place_in(tile *t, int64_t nj, size_t element) {
  return (dti_place){t->bytes, {nj * (int64_t)element, (int64_t)element}};
}

static void move_place(dti_place *place, int64_t i, int64_t j) {
  place->at += i * place->step[0] + j * place->step[1];
}

/* The elements of the box in row-major order: where they lie, if they do so, else copied to t. */
static const void *gathered(const combination *c, int64_t ni, int64_t nj, const dti_place *in,
                            tile *t) {
  const dti_place buffer = place_in(t, nj, c->element);
  if (dti_place_dense(in, c->element) && (ni == 1 || in->step[0] == buffer.step[0])) return in->at;
  dti_copy_box(c->element, ni, nj, &buffer, in, 0);
  return t->bytes;
}

static void combine_tile(const combination *c, int64_t ni, int64_t nj, const dti_place in[],
                         tile *total) {
  tile term;
  const dti_place buffer = place_in(total, nj, c->element);
  dti_copy_box(c->element, ni, nj, &buffer, &in[0], 0);
  for (int k = 1; k < c->inputs; k++)
    dti_accumulate(total, gathered(c, ni, nj, &in[k], &term), ni * nj, c->dtype, c->op, 1);
  if (c->divisor > 1) dti_divide(total, ni * nj, c->divisor, c->dtype, 1);
}

static dti_array vector(const void *data, int64_t n) {
  return (dti_array){.data = (void *)(uintptr_t)data, .ndim = 1, .shape = {n}, .stride = {1}};
}

/* bf16 and f16: in float, rounded once. */
static void combine_half_tile(const combination *c, int64_t ni, int64_t nj, const dti_place in[],
                              tile *result) {
  const int64_t n = ni * nj;
  tile halves, sum, term;
  for (int k = 0; k < c->inputs; k++) {
    const dti_array half = vector(gathered(c, ni, nj, &in[k], &halves), n),
                    wide = vector(k == 0 ? sum.real : term.real, n);
    dti_cast_apply(&wide, DTENSOR_F32, &half, c->dtype, 1);
    if (k > 0) dti_accumulate(sum.real, term.real, n, DTENSOR_F32, c->op, 1);
  }
  if (c->divisor > 1) dti_divide(sum.real, n, c->divisor, DTENSOR_F32, 1);
  const dti_array wide = vector(sum.real, n), half = vector(result, n);
  dti_cast_apply(&half, c->dtype, &wide, DTENSOR_F32, 1);
}

static int any_transposed(const combination *c, int64_t ni, const dti_place place[]) {
  for (int k = 0; k < c->inputs + c->outputs; k++)
    if (dti_place_transposed(&place[k], ni)) return 1;
  return 0;
}

static int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }

/* Whether a box is for dti_sum_row(). */
static int sums_rows(const combination *c, int64_t nj, const dti_place place[]) {
  if (c->dtype != DTENSOR_F32 && c->dtype != DTENSOR_F64) return 0;
  if (c->inputs > 1 && c->op != DTENSOR_SUM && c->op != DTENSOR_AVG) return 0;
  if (c->inputs > DTI_SUM_PARTS || c->outputs > DTI_SUM_PARTS) return 0;
  if (nj * (int64_t)c->element < SUMMED_ROW) return 0;
  for (int k = 0; k < c->inputs + c->outputs; k++)
    if (!dti_place_dense(&place[k], c->element)) return 0;
  return 1;
}

static void sum_rows(const combination *c, int64_t ni, int64_t nj, const dti_place place[]) {
  const char *in[DTI_SUM_PARTS];
  char *out[DTI_SUM_PARTS];
  for (int64_t i = 0; i < ni; i++) {
    for (int k = 0; k < c->outputs; k++) out[k] = place[k].at + i * place[k].step[0];
    for (int k = 0; k < c->inputs; k++)
      in[k] = place[c->outputs + k].at + i * place[c->outputs + k].step[0];
    dti_sum_row(c->dtype, nj, c->divisor, c->inputs, in, c->outputs, out, c->stream);
  }
}

/* place: first the outputs, then the inputs. */
static void combine_box(const void *ctx, int64_t ni, int64_t nj, const dti_place place[]) {
  const combination *c = ctx;
  const int parts = c->outputs + c->inputs;
  const int copy = c->inputs == 1 && c->divisor <= 1;
  if (copy && c->outputs == 1) {
    dti_copy_box(c->element, ni, nj, &place[0], &place[1], c->stream);
    return;
  }
  if (sums_rows(c, nj, place)) {
    sum_rows(c, ni, nj, place);
    return;
  }
  const int half = !copy && dti_dtype_class_of(c->dtype) == DTI_CLASS_HALF;
  const int64_t most = TILE_BYTES / (int64_t)(half ? sizeof(float) : c->element);
  const int64_t width = smaller(nj, any_transposed(c, ni, place) ? TRANSPOSED_TILE_WIDTH : most);
  const int64_t height = smaller(ni, most / width);
  const int readable = copy && dti_place_dense(&place[c->outputs], c->element);
  tile result;
  dti_place at[parts];
  for (int64_t i = 0; i < ni; i += height)
    for (int64_t j = 0; j < nj; j += width) {
      const int64_t rows = smaller(ni - i, height), columns = smaller(nj - j, width);
      for (int k = 0; k < parts; k++) {
        at[k] = place[k];
        move_place(&at[k], i, j);
      }
      const dti_place *in = at + c->outputs, buffer = place_in(&result, columns, c->element);
      if (!readable) (half ? combine_half_tile : combine_tile)(c, rows, columns, in, &result);
      for (int k = 0; k < c->outputs; k++)
        dti_copy_box(c->element, rows, columns, &at[k], readable ? in : &buffer, c->stream);
    }
}

void dti_combine(dtensor_dtype dtype, dtensor_reduce_op op, int64_t divisor, int inputs,
                 const dti_part in[], int outputs, const dti_part out[], int threads) {
  const size_t element = dtensor_dtype_size(dtype);
  const int parts = inputs + outputs;
  const int64_t bytes = out->region->elements * (int64_t)element;
  if (parts == 2 && divisor <= 1 && dti_copy_few(out, in, element)) return;
  const combination c = {
      dtype, op, divisor, inputs, outputs, element, dti_stream_pays(bytes * outputs)};
  dti_part part[parts];
  for (int k = 0; k < outputs; k++) part[k] = out[k];
  for (int k = 0; k < inputs; k++) part[outputs + k] = in[k];
  dti_walk_regions(parts, part, element, parts * bytes, threads, combine_box,
                   c.stream ? dti_stream_fence : NULL, &c);
}
