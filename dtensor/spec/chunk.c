#include "dtensor/spec/chunk.h"

static int64_t length_of(const dti_region *region, int d) {
  int64_t length = 0;
  for (int64_t r = 0; r < region->count[d]; r++) length += region->runs[d][r].length;
  return length;
}

dti_chunks dti_chunks_of(const dti_region *region, int64_t most) {
  dti_chunks c = {.ndim = region->ndim, .row = 1, .rows = 1, .ranges = 1, .count = 1};
  if (region->elements == 0) c.count = 0;
  if (region->elements == 0 || region->ndim == 0) return c;
  for (int d = 0; d < c.ndim; d++) c.length[d] = length_of(region, d);
  /* The outermost dimension of which at least one index fits. */
  c.row = region->elements;
  for (c.dim = 0; c.dim < c.ndim; c.dim++) {
    c.row /= c.length[c.dim];
    if (c.row <= most) break;
    c.count *= c.length[c.dim];
  }
  c.rows = most / c.row < c.length[c.dim] ? most / c.row : c.length[c.dim];
  c.ranges = (c.length[c.dim] - 1) / c.rows + 1;
  c.count *= c.ranges;
  return c;
}

static int64_t rows_of(const dti_chunks *c, int64_t i) {
  if (c->ndim == 0) return 1;
  const int64_t begin = i % c->ranges * c->rows, left = c->length[c->dim] - begin;
  return left < c->rows ? left : c->rows;
}

int64_t dti_chunk_elements(const dti_chunks *c, int64_t i) { return rows_of(c, i) * c->row; }

/* The run that holds a position, and the position in it. */
static const dti_run *find(const dti_run *run, int64_t *position) {
  while (*position >= run->length) *position -= run++->length;
  return run;
}

dti_region dti_chunk_region(const dti_chunks *c, const dti_region *region, int64_t i,
                            dti_chunk_room *room) {
  dti_region chunk = *region;
  if (c->ndim == 0) return chunk;
  int64_t position = i % c->ranges * c->rows, left = rows_of(c, i), outer = i / c->ranges;
  chunk.elements = left * c->row;
  for (int d = c->dim - 1; d >= 0; d--) {
    int64_t index = outer % c->length[d];
    outer /= c->length[d];
    const dti_run *run = find(region->runs[d], &index);
    room->outer[d] = (dti_run){run->begin + index, 1};
    chunk.runs[d] = &room->outer[d];
    chunk.count[d] = 1;
  }
  int64_t runs = 0;
  for (const dti_run *run = find(region->runs[c->dim], &position); left > 0; run++) {
    const int64_t length = run->length - position < left ? run->length - position : left;
    room->cut[runs++] = (dti_run){run->begin + position, length};
    left -= length;
    position = 0;
  }
  chunk.runs[c->dim] = room->cut;
  chunk.count[c->dim] = runs;
  return chunk;
}
