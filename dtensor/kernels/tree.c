#include "dtensor/kernels/tree.h"

#include <stdalign.h>
#include <string.h>

#include "dtensor/kernels/parallel.h"

/* The leaves are cut into groups, as many whatever the number of threads; each group is a tree of
 * its own, and the groups' values are combined pairwise. */
enum { GROUPS = 64, GROUP_BYTES = 64 * 1024 };

typedef struct grouping {
  const dti_tree *tree;
  int64_t groups;
  char *values;
} grouping;

static void reduce_leaves(const dti_tree *tree, int64_t begin, int64_t end, void *value) {
  if (end - begin == 1) {
    tree->leaf(tree->ctx, begin, value);
    return;
  }
  alignas(64) char other[DTI_TREE_VALUE];
  const int64_t middle = begin + (end - begin) / 2;
  reduce_leaves(tree, begin, middle, value);
  reduce_leaves(tree, middle, end, other);
  tree->combine(tree->ctx, value, other);
}

/* Where a group begins; the first ones take the leaves that are left over. */
static int64_t group_begin(const grouping *g, int64_t group) {
  const int64_t share = g->tree->leaves / g->groups, longer = g->tree->leaves % g->groups;
  return group * share + (group < longer ? group : longer);
}

static void reduce_groups(const void *ctx, int64_t begin, int64_t end) {
  const grouping *g = ctx;
  for (int64_t i = begin; i < end; i++)
    reduce_leaves(g->tree, group_begin(g, i), group_begin(g, i + 1),
                  g->values + (size_t)i * g->tree->bytes);
}

void dti_tree_reduce(const dti_tree *tree, int64_t cost, int threads, void *value) {
  if (tree->leaves == 1) {
    tree->leaf(tree->ctx, 0, value);
    return;
  }
  alignas(64) char values[GROUP_BYTES];
  grouping g = {.tree = tree, .values = values};
  g.groups = GROUP_BYTES / (int64_t)tree->bytes;
  if (g.groups > GROUPS) g.groups = GROUPS;
  if (g.groups > tree->leaves) g.groups = tree->leaves;
  dti_parallel(g.groups, 1, cost, threads, reduce_groups, &g);
  for (int64_t step = 1; step < g.groups; step *= 2)
    for (int64_t i = 0; i + step < g.groups; i += 2 * step)
      tree->combine(tree->ctx, values + (size_t)i * tree->bytes,
                    values + (size_t)(i + step) * tree->bytes);
  memcpy(value, values, tree->bytes);
}
