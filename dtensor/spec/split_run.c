/* The kinds whose parts are runs in coordinate order: chunk, balanced, explicit sizes. */
#include "dtensor/spec/split_kind.h"

/* ---- what a start and a search give all of them */

static int64_t run_length(const dti_split *split, int64_t coord) {
  return split->kind->start(split, coord + 1) - split->kind->start(split, coord);
}

static int64_t run_position(const dti_split *split, int64_t coord, int64_t local, int64_t *run) {
  *run = split->kind->length(split, coord) - local;
  return split->kind->start(split, coord) + local;
}

static int64_t run_owner(dti_split *split, int64_t position, int64_t *coord, int64_t *run) {
  *coord = split->kind->find(split, position);
  const int64_t local = position - split->kind->start(split, *coord);
  *run = split->kind->length(split, *coord) - local;
  return local;
}

static int64_t run_next(const dti_split *split, int64_t coord, int64_t position) {
  const int64_t start = split->kind->start(split, coord);
  const int64_t end = start + split->kind->length(split, coord);
  if (start == end || position >= end) return split->n;
  return position > start ? position : start;
}

/* ---- chunk: ceil(n/p) each as long as there are any */

static int64_t chunk_start(const dti_split *split, int64_t coord) {
  return dti_chunk_start(split->n, split->parts, coord);
}

static int64_t chunk_find(dti_split *split, int64_t position) {
  return position / dti_ceil_div(split->n, split->parts);
}

static int64_t chunk_next_length(const dti_split *split, int64_t coord) {
  if (split->n == 0) return split->parts;
  const int64_t full = split->n / dti_ceil_div(split->n, split->parts);
  return dti_next_change(coord, full, dti_next_change(coord, full + 1, split->parts));
}

const dti_split_kind dti_split_chunk = {run_length, chunk_next_length, run_position, run_owner,
                                        run_next,   chunk_start,       chunk_find};

/* ---- balanced: n/p or one more, the longer ones first */

static int64_t balanced_start(const dti_split *split, int64_t coord) {
  return split->n / split->parts * coord + dti_min(coord, split->n % split->parts);
}

static int64_t balanced_find(dti_split *split, int64_t position) {
  const int64_t shorter = split->n / split->parts, longer = split->n % split->parts;
  const int64_t first_shorter = longer * (shorter + 1);
  if (position < first_shorter) return position / (shorter + 1);
  return longer + (position - first_shorter) / shorter;
}

static int64_t balanced_next_length(const dti_split *split, int64_t coord) {
  return dti_next_change(coord, split->n % split->parts, split->parts);
}

const dti_split_kind dti_split_balanced = {
    run_length, balanced_next_length, run_position, run_owner,
    run_next,   balanced_start,       balanced_find};

/* ---- explicit sizes: linear in the array that the user gave */

static int64_t sizes_length(const dti_split *split, int64_t coord) { return split->sizes[coord]; }

static int64_t sizes_next_length(const dti_split *split, int64_t coord) {
  (void)split;
  return coord + 1;
}

static int64_t sizes_start(const dti_split *split, int64_t coord) {
  int64_t from = 0, start = 0;
  if (coord >= split->found) {
    from = split->found;
    start = split->found_start;
  }
  for (int64_t i = from; i < coord; i++) start += split->sizes[i];
  return start;
}

static int64_t sizes_find(dti_split *split, int64_t position) {
  if (position < split->found_start) split->found = split->found_start = 0;
  while (position - split->found_start >= split->sizes[split->found])
    split->found_start += split->sizes[split->found++];
  return split->found;
}

const dti_split_kind dti_split_sizes = {sizes_length, sizes_next_length, run_position, run_owner,
                                        run_next,     sizes_start,       sizes_find};
