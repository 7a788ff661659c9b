#include <stdalign.h>
#include <string.h>

#include "dtensor/kernels/nest.h"
#include "dtensor/kernels/reduce.h"
#include "dtensor/kernels/reduce_loops.h"
#include "dtensor/kernels/rows.h"
#include "dtensor/kernels/tree.h"

/* A dot product multiplies into a buffer that stays in cache and sums it: the loops of the product
 * and of the sum are there already. */
enum { LEAF = 2048, BUFFER = 2048 /* bytes */ };

typedef struct dot {
  dti_nest nest;
  dti_row multiply;
  const dti_reduce_loops *sum;
} dot;

typedef struct dot_row {
  const dot *d;
  void *value;
} dot_row;

static void add_row(const void *ctx, int64_t n, char *const at[], const int64_t stride[]) {
  const dot_row *row = ctx;
  const int64_t element = (int64_t)row->d->nest.element[0], most = BUFFER / element;
  alignas(64) char product[BUFFER];
  for (int64_t i = 0; i < n; i += most) {
    const int64_t block = n - i < most ? n - i : most;
    char *const from[] = {product, at[0] + i * stride[0] * element,
                          at[1] + i * stride[1] * element};
    row->d->multiply(NULL, block, from, (const int64_t[]){1, stride[0], stride[1]});
    row->d->sum->row(row->value, block, product, 1);
  }
}

static void sum_leaf(const void *ctx, int64_t leaf, void *value) {
  const dot *d = ctx;
  const int64_t begin = leaf * LEAF, rest = d->nest.elements - begin;
  memset(value, 0, d->nest.element[0]);
  dti_nest_walk(&d->nest, begin, begin + (rest < LEAF ? rest : LEAF), add_row,
                &(dot_row){d, value});
}

static void combine(const void *ctx, void *value, const void *other) {
  const dot *d = ctx;
  d->sum->combine(value, other, 1);
}

void dti_dot_apply(dtensor_dtype dtype, const dti_array *a, const dti_array *b, void *out,
                   int threads) {
  const size_t element = dtensor_dtype_size(dtype);
  dot d = {.multiply = dti_binary_row(DTI_MUL, dtype),
           .sum = dti_reduce_loops_of(DTI_REDUCE_SUM, dtype)};
  dti_nest_init(&d.nest, 2, (const dti_array *const[]){a, b}, (const size_t[]){element, element});
  const int64_t elements = d.nest.elements;
  alignas(16) char value[16] = {0};
  const dti_tree tree = {.leaves = elements / LEAF + (elements % LEAF != 0),
                         .bytes = element,
                         .ctx = &d,
                         .leaf = sum_leaf,
                         .combine = combine};
  if (tree.leaves > 0) dti_tree_reduce(&tree, 2 * elements * (int64_t)element, threads, value);
  memcpy(out, value, element);
}
