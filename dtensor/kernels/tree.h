/* Combining many values in an order that the number of threads has no part in: pairwise, so that
 * rounding errors grow with the logarithm of their number. */
#ifndef DTENSOR_KERNELS_TREE_H_
#define DTENSOR_KERNELS_TREE_H_

#include <stddef.h>
#include <stdint.h>

enum { DTI_TREE_VALUE = 2048 }; /* the most bytes of a value */

typedef struct dti_tree {
  int64_t leaves; /* at least 1 */
  size_t bytes;   /* of a value */
  const void *ctx;
  void (*leaf)(const void *ctx, int64_t leaf, void *value);
  void (*combine)(const void *ctx, void *value, const void *other); /* value = value and other */
} dti_tree;

/* cost: see dti_parallel(). */
void dti_tree_reduce(const dti_tree *tree, int64_t cost, int threads, void *value);

#endif
