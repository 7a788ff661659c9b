/* One split: n positions dealt to the coordinates of one mesh dimension.
 *
 * The positions of a coordinate, in increasing order, have the local indices 0, 1, 2, ... */
#ifndef DTENSOR_SPEC_SPLIT_H_
#define DTENSOR_SPEC_SPLIT_H_

#include <stdint.h>

#include "dtensor/placement.h"

typedef struct dti_split {
  const struct dti_split_kind *kind;
  int64_t n, parts;     /* positions, coordinates */
  int64_t param;        /* block size or split factor */
  const int64_t *sizes; /* explicit sizes */
  /* Where the last search through explicit sizes ended; a later position is searched from there, so
   * a walk over all parts is linear. */
  int64_t found, found_start;
} dti_split;

/* `p` must be a shard. */
dti_split dti_split_of(dtensor_placement p, int64_t n, int64_t parts);

/* How many positions a coordinate has. */
int64_t dti_split_length(const dti_split *split, int64_t coord);

/* The smallest coordinate above this one whose length may differ from this one's; `parts` if there
 * is none. Steps over all distinct lengths in a handful of calls (explicit sizes: one by one). */
int64_t dti_split_next_length(const dti_split *split, int64_t coord);

/* The position of a local index, and how many local indices from it on are consecutive positions.
 * The local index may be the length: that gives the place behind the last position, or for an empty
 * part where it would start. */
int64_t dti_split_position(const dti_split *split, int64_t coord, int64_t local, int64_t *run);

/* Who has a position, its local index there, and how many positions from it on go on so. */
int64_t dti_split_owner(dti_split *split, int64_t position, int64_t *coord, int64_t *run);

/* The first position of a coordinate that is not below the given one; n if there is none. */
int64_t dti_split_next(const dti_split *split, int64_t coord, int64_t position);

#endif
