/* What a kind of shard must know about its split; split.h says what each function means. */
#ifndef DTENSOR_SPEC_SPLIT_KIND_H_
#define DTENSOR_SPEC_SPLIT_KIND_H_

#include "dtensor/spec/split.h"

typedef struct dti_split_kind {
  int64_t (*length)(const dti_split *split, int64_t coord);
  int64_t (*next_length)(const dti_split *split, int64_t coord);
  int64_t (*position)(const dti_split *split, int64_t coord, int64_t local, int64_t *run);
  int64_t (*owner)(dti_split *split, int64_t position, int64_t *coord, int64_t *run);
  int64_t (*next)(const dti_split *split, int64_t coord, int64_t position);
  /* Kinds whose parts are runs in coordinate order: where a coordinate's run starts (for `parts`:
   * n), and which coordinate has a position. NULL for the others. */
  int64_t (*start)(const dti_split *split, int64_t coord);
  int64_t (*find)(dti_split *split, int64_t position);
} dti_split_kind;

extern const dti_split_kind dti_split_chunk, dti_split_balanced, dti_split_sizes, dti_split_cyclic,
    dti_split_strided;

static inline int64_t dti_min(int64_t a, int64_t b) { return a < b ? a : b; }

static inline int64_t dti_ceil_div(int64_t n, int64_t by) { return n / by + (n % by != 0); }

/* min(a b, limit), also where a b is more than an int64_t holds. */
static inline int64_t dti_product_up_to(int64_t a, int64_t b, int64_t limit) {
  return a > 0 && b > limit / a ? limit : dti_min(a * b, limit);
}

/* A chunk of torch.chunk: of n positions over `parts` coordinates, where a coordinate's starts. */
static inline int64_t dti_chunk_start(int64_t n, int64_t parts, int64_t coord) {
  return dti_product_up_to(dti_ceil_div(n, parts), coord, n);
}

/* The smaller of `change` and `otherwise`, if `change` is above coord at all. */
static inline int64_t dti_next_change(int64_t coord, int64_t change, int64_t otherwise) {
  return change > coord ? dti_min(change, otherwise) : otherwise;
}

#endif
