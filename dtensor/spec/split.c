#include "dtensor/spec/split.h"

#include "dtensor/spec/split_kind.h"

static const dti_split_kind *const kinds[] = {[DTENSOR_SHARD] = &dti_split_chunk,
                                              [DTENSOR_SHARD_BALANCED] = &dti_split_balanced,
                                              [DTENSOR_SHARD_SIZES] = &dti_split_sizes,
                                              [DTENSOR_SHARD_CYCLIC] = &dti_split_cyclic,
                                              [DTENSOR_SHARD_STRIDED] = &dti_split_strided};

dti_split dti_split_of(dtensor_placement p, int64_t n, int64_t parts) {
  /* Over one coordinate all kinds are the same, and a chunk knows that it is one run. */
  const dti_split_kind *kind = parts == 1 ? &dti_split_chunk : kinds[p.kind];
  return (dti_split){.kind = kind, .n = n, .parts = parts, .param = p.param, .sizes = p.sizes};
}

int64_t dti_split_length(const dti_split *split, int64_t coord) {
  return split->kind->length(split, coord);
}

int64_t dti_split_next_length(const dti_split *split, int64_t coord) {
  return split->kind->next_length(split, coord);
}

int64_t dti_split_position(const dti_split *split, int64_t coord, int64_t local, int64_t *run) {
  return split->kind->position(split, coord, local, run);
}

int64_t dti_split_owner(dti_split *split, int64_t position, int64_t *coord, int64_t *run) {
  return split->kind->owner(split, position, coord, run);
}

int64_t dti_split_next(const dti_split *split, int64_t coord, int64_t position) {
  return split->kind->next(split, coord, position);
}
