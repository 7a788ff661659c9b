/* Block-cyclic: blocks of `param` positions dealt in turn; the last block may be short. */
#include "dtensor/spec/split_kind.h"

static int64_t length(const dti_split *split, int64_t coord) {
  const int64_t block = split->param, blocks = split->n / block, last = blocks % split->parts;
  const int64_t rounds = blocks / split->parts * block;
  if (coord == last) return rounds + split->n % block;
  return coord < last ? rounds + block : rounds;
}

static int64_t next_length(const dti_split *split, int64_t coord) {
  const int64_t last = split->n / split->param % split->parts;
  return dti_next_change(coord, last, dti_next_change(coord, last + 1, split->parts));
}

static int64_t position(const dti_split *split, int64_t coord, int64_t local, int64_t *run) {
  const int64_t block = split->param, all = length(split, coord);
  if (local == all) {
    *run = 0;
    if (all == 0) return dti_product_up_to(block, coord, split->n);
    int64_t ignored;
    return position(split, coord, local - 1, &ignored) + 1;
  }
  const int64_t within = local % block;
  *run = dti_min(block - within, all - local);
  return (local / block * split->parts + coord) * block + within;
}

static int64_t owner(dti_split *split, int64_t position, int64_t *coord, int64_t *run) {
  const int64_t block = position / split->param, within = position % split->param;
  *coord = block % split->parts;
  *run = dti_min(split->param - within, split->n - position);
  return block / split->parts * split->param + within;
}

static int64_t next(const dti_split *split, int64_t coord, int64_t position) {
  const int64_t block = position / split->param, on = block % split->parts;
  if (on == coord) return dti_min(position, split->n);
  const int64_t ahead = coord > on ? coord - on : split->parts - on + coord;
  if (ahead > INT64_MAX - block) return split->n;
  return dti_product_up_to(split->param, block + ahead, split->n);
}

const dti_split_kind dti_split_cyclic = {length, next_length, position, owner, next, NULL, NULL};
