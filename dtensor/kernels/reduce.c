#include "dtensor/kernels/reduce.h"

#include <stdalign.h>
#include <stdlib.h>
#include <string.h>

#include "dtensor/kernels/move.h"
#include "dtensor/kernels/nest.h"
#include "dtensor/kernels/parallel.h"
#include "dtensor/kernels/reduce_loops.h"
#include "dtensor/kernels/strided.h"
#include "dtensor/kernels/tree.h"

/* The dimensions are two nests: those that are kept and those that are reduced. For one kept
 * position the reduced ones are cut into leaves of a tree. Where the densest dimension of x is
 * reduced, a leaf is rows along it; where it is kept, a panel of neighbouring columns goes through
 * the tree together. Each column's sum is the same however wide its panel is, so threads may share
 * the columns. */
enum { KEPT_X, KEPT_Y };
enum { ROW_LEAF = 2048, COLUMN_LEAF = 64 }; /* elements of one column in a leaf */

typedef struct reduction {
  const dti_reduce_loops *loops;
  size_t element;
  unsigned char identity[16];
  dti_nest kept, reduced;
  int by_columns;
  int threads; /* inside of one tree */
} reduction;

int dti_reduction_has(dti_reduction f, dtensor_dtype dtype) {
  return dti_reduce_loops_of(f, dtype) != NULL;
}

/* One value, or one for each column of a panel; x is where its first column begins. */
typedef struct panel {
  const reduction *r;
  int64_t offset; /* bytes from the beginning of x */
  int64_t width, width_stride, leaf;
} panel;

typedef struct panel_row {
  const panel *p;
  void *value;
} panel_row;

static void reduce_row(const void *ctx, int64_t n, char *const at[], const int64_t stride[]) {
  const panel_row *row = ctx;
  const panel *p = row->p;
  const dti_reduce_loops *loops = p->r->loops;
  if (p->r->by_columns)
    loops->columns(row->value, p->width, p->width_stride, n, at[0] + p->offset, stride[0]);
  else
    loops->row(row->value, n, at[0] + p->offset, stride[0]);
}

static void reduce_leaf(const void *ctx, int64_t leaf, void *value) {
  const panel *p = ctx;
  const reduction *r = p->r;
  const int64_t begin = leaf * p->leaf, rest = r->reduced.elements - begin;
  dti_move_row(r->element, p->width, value, (int64_t)r->element, (const char *)r->identity, 0);
  dti_nest_walk(&r->reduced, begin, begin + (rest < p->leaf ? rest : p->leaf), reduce_row,
                &(panel_row){p, value});
}

static void combine(const void *ctx, void *value, const void *other) {
  const panel *p = ctx;
  p->r->loops->combine(value, other, p->width);
}

static void reduce_panel(const panel *p, void *value) {
  const reduction *r = p->r;
  const int64_t elements = r->reduced.elements, cost = elements * p->width * (int64_t)r->element;
  const dti_tree tree = {.leaves = elements / p->leaf + (elements % p->leaf != 0),
                         .bytes = (size_t)p->width * r->element,
                         .ctx = p,
                         .leaf = reduce_leaf,
                         .combine = combine};
  if (tree.leaves == 0)
    dti_move_row(r->element, p->width, value, (int64_t)r->element, (const char *)r->identity, 0);
  else
    dti_tree_reduce(&tree, cost, r->threads, value);
}

/* Kept positions whose reduced elements are one short row: nothing to cut. */
static void reduce_short_rows(const reduction *r, int64_t n, char *const at[],
                              const int64_t stride[]) {
  const int64_t element = (int64_t)r->element;
  for (int64_t i = 0; i < n; i++) {
    char *y = at[KEPT_Y] + i * stride[KEPT_Y] * element;
    memcpy(y, r->identity, r->element);
    r->loops->row(y, r->reduced.elements, at[KEPT_X] + i * stride[KEPT_X] * element,
                  r->reduced.stride[0][0]);
  }
}

/* n kept positions in a row. */
static void reduce_kept(const void *ctx, int64_t n, char *const at[], const int64_t stride[]) {
  const reduction *r = ctx;
  if (!r->by_columns && r->reduced.ndim == 1 && r->reduced.elements > 0 &&
      r->reduced.elements <= ROW_LEAF) {
    reduce_short_rows(r, n, at, stride);
    return;
  }
  const int64_t element = (int64_t)r->element;
  const int64_t most = r->by_columns ? DTI_TREE_VALUE / element : 1;
  alignas(64) char value[DTI_TREE_VALUE];
  for (int64_t done = 0; done < n; done += most) {
    const int64_t width = n - done < most ? n - done : most;
    const panel p = {.r = r,
                     .offset = at[KEPT_X] - r->kept.data[KEPT_X] + done * stride[KEPT_X] * element,
                     .width = width,
                     .width_stride = stride[KEPT_X],
                     .leaf = r->by_columns ? COLUMN_LEAF : ROW_LEAF};
    reduce_panel(&p, value);
    dti_move_row(r->element, width, at[KEPT_Y] + done * stride[KEPT_Y] * element,
                 stride[KEPT_Y] * element, value, element);
  }
}

static void reduce_share(const void *ctx, int64_t begin, int64_t end) {
  const reduction *r = ctx;
  dti_nest_walk(&r->kept, begin, end, reduce_kept, r);
}

static void add_dim(dti_array *array, const dti_array *from, int d) {
  array->shape[array->ndim] = from->shape[d];
  array->stride[array->ndim++] = from->stride[d];
}

static void set_nests(reduction *r, const dti_array *y, const dti_array *x, const int reduce[]) {
  dti_array kept_x = {.data = x->data}, kept_y = {.data = y->data}, reduced = {.data = x->data};
  for (int d = 0; d < x->ndim; d++) {
    if (reduce[d]) {
      add_dim(&reduced, x, d);
    } else {
      add_dim(&kept_x, x, d);
      add_dim(&kept_y, y, d);
    }
  }
  dti_nest_init(&r->kept, 2, (const dti_array *const[]){&kept_x, &kept_y},
                (const size_t[]){r->element, r->element});
  dti_nest_init(&r->reduced, 1, (const dti_array *const[]){&reduced}, (const size_t[]){r->element});
}

static int64_t inner_stride(const dti_nest *nest) { return llabs(nest->stride[0][nest->ndim - 1]); }

void dti_reduce_apply(dti_reduction f, dtensor_dtype dtype, const dti_array *y, const dti_array *x,
                      const int reduce[], int threads) {
  static const dtensor_reduce_op op_of[] = {[DTI_REDUCE_SUM] = DTENSOR_SUM,
                                            [DTI_REDUCE_SUM_SQUARES] = DTENSOR_SUM,
                                            [DTI_REDUCE_MIN] = DTENSOR_MIN,
                                            [DTI_REDUCE_MAX] = DTENSOR_MAX};
  reduction r = {.loops = dti_reduce_loops_of(f, dtype), .element = dtensor_dtype_size(dtype)};
  dti_identity(dtype, op_of[f], r.identity);
  set_nests(&r, y, x, reduce);
  if (r.kept.elements == 0) return;
  r.by_columns = r.kept.elements > 1 && inner_stride(&r.kept) < inner_stride(&r.reduced);

  /* Threads share the kept positions if there are enough, else each tree. */
  const int64_t grain = r.by_columns ? 64 : 1;
  const int outside = r.kept.elements / grain >= threads;
  r.threads = outside ? 1 : threads;
  const int64_t cost = r.kept.elements * (r.reduced.elements + 1) * (int64_t)r.element;
  dti_parallel(r.kept.elements, grain, cost, outside ? threads : 1, reduce_share, &r);
}
