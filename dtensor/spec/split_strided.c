/* PyTorch's _StridedShard: the positions are chunked into `param` pieces, each piece is chunked
 * over the coordinates, and a coordinate has its chunk of every piece. All pieces are equally long,
 * but the last one may be shorter and then its chunks are cut anew. */
#include "dtensor/spec/split_kind.h"

/* What a coordinate has of the pieces of one length. */
typedef struct chunk {
  int64_t begin, length; /* within the piece */
} chunk;

typedef struct pieces {
  int64_t size;  /* of a full piece; 0 if there are no positions */
  int64_t count; /* full pieces */
  int64_t rest;  /* size of the short last piece, 0 if there is none */
} pieces;

static pieces pieces_of(const dti_split *split) {
  if (split->n == 0) return (pieces){0, 0, 0};
  const int64_t size = dti_ceil_div(split->n, split->param);
  return (pieces){size, split->n / size, split->n % size};
}

static chunk chunk_of(const dti_split *split, int64_t piece, int64_t coord) {
  const int64_t begin = dti_chunk_start(piece, split->parts, coord);
  return (chunk){begin, dti_chunk_start(piece, split->parts, coord + 1) - begin};
}

static int64_t length(const dti_split *split, int64_t coord) {
  const pieces all = pieces_of(split);
  return all.count * chunk_of(split, all.size, coord).length +
         chunk_of(split, all.rest, coord).length;
}

static int64_t next_length(const dti_split *split, int64_t coord) {
  const pieces all = pieces_of(split);
  const int64_t sizes[] = {all.size, all.rest};
  int64_t next = split->parts;
  for (int i = 0; i < 2; i++) {
    if (sizes[i] == 0) continue;
    const int64_t full = sizes[i] / dti_ceil_div(sizes[i], split->parts);
    next = dti_next_change(coord, full, dti_next_change(coord, full + 1, next));
  }
  return next;
}

static int64_t position(const dti_split *split, int64_t coord, int64_t local, int64_t *run) {
  const pieces all = pieces_of(split);
  const chunk full = chunk_of(split, all.size, coord), last = chunk_of(split, all.rest, coord);
  const int64_t in_full = all.count * full.length, end = in_full + last.length;
  if (local == end) {
    *run = 0;
    if (end == 0) return full.begin;
    int64_t ignored;
    return position(split, coord, local - 1, &ignored) + 1;
  }
  if (local >= in_full) {
    *run = end - local;
    return all.count * all.size + last.begin + (local - in_full);
  }
  if (all.size == 1) { /* coordinate 0 has every piece, so they join to one run */
    *run = end - local;
    return local;
  }
  *run = full.length - local % full.length;
  return local / full.length * all.size + full.begin + local % full.length;
}

static int64_t owner(dti_split *split, int64_t position, int64_t *coord, int64_t *run) {
  const pieces all = pieces_of(split);
  const int64_t piece = position / all.size, within = position % all.size;
  const int64_t size = piece < all.count ? all.size : all.rest;
  *coord = within / dti_ceil_div(size, split->parts);
  const chunk own = chunk_of(split, size, *coord);
  *run = all.size == 1 ? split->n - position : own.begin + own.length - within;
  return piece * chunk_of(split, all.size, *coord).length + within - own.begin;
}

static int64_t next(const dti_split *split, int64_t coord, int64_t position) {
  const pieces all = pieces_of(split);
  if (position >= split->n) return split->n;
  const chunk full = chunk_of(split, all.size, coord), last = chunk_of(split, all.rest, coord);
  int64_t piece = position / all.size, within = position % all.size;
  if (piece < all.count && within >= full.begin + full.length) { /* past it: the next piece */
    piece++;
    within = 0;
  }
  if (piece < all.count && full.length > 0)
    return piece * all.size + (within > full.begin ? within : full.begin);
  if (piece < all.count) within = 0; /* nothing in any full piece */
  if (last.length == 0 || within >= last.begin + last.length) return split->n;
  return all.count * all.size + (within > last.begin ? within : last.begin);
}

const dti_split_kind dti_split_strided = {length, next_length, position, owner, next, NULL, NULL};
