#include "dtensor/placement.h"

#include <string.h>

#include "dtensor/spec/layout.h"

dtensor_placement dtensor_replicate(void) { return (dtensor_placement){.kind = DTENSOR_REPLICATE}; }

dtensor_placement dtensor_shard(int dim) {
  return (dtensor_placement){.kind = DTENSOR_SHARD, .dim = dim};
}

dtensor_placement dtensor_shard_balanced(int dim) {
  return (dtensor_placement){.kind = DTENSOR_SHARD_BALANCED, .dim = dim};
}

dtensor_placement dtensor_shard_cyclic(int dim, int64_t block) {
  return (dtensor_placement){.kind = DTENSOR_SHARD_CYCLIC, .dim = dim, .param = block};
}

dtensor_placement dtensor_shard_sizes(int dim, const int64_t sizes[]) {
  return (dtensor_placement){.kind = DTENSOR_SHARD_SIZES, .dim = dim, .sizes = sizes};
}

dtensor_placement dtensor_strided_shard(int dim, int64_t split_factor) {
  return (dtensor_placement){.kind = DTENSOR_SHARD_STRIDED, .dim = dim, .param = split_factor};
}

dtensor_placement dtensor_partial(dtensor_reduce_op op) {
  return (dtensor_placement){.kind = DTENSOR_PARTIAL, .op = op};
}

int dti_placement_is_shard(dtensor_placement p) {
  return p.kind >= DTENSOR_SHARD && p.kind <= DTENSOR_SHARD_STRIDED;
}

static int equal_sizes(dtensor_placement a, dtensor_placement b) {
  if (a.sizes == b.sizes) return a.count == b.count || a.count == 0 || b.count == 0;
  return a.count > 0 && a.count == b.count && a.sizes && b.sizes &&
         memcmp(a.sizes, b.sizes, (size_t)a.count * sizeof a.sizes[0]) == 0;
}

int dtensor_placement_equal(dtensor_placement a, dtensor_placement b) {
  if (a.kind != b.kind) return 0;
  if (a.kind == DTENSOR_REPLICATE) return 1;
  if (a.kind == DTENSOR_PARTIAL) return a.op == b.op;
  if (dti_placement_is_shard(a) && a.dim != b.dim) return 0;
  return a.kind == DTENSOR_SHARD_SIZES ? equal_sizes(a, b) : a.param == b.param;
}
