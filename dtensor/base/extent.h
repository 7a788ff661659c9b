/* Which parts of the arena are used, which are free and still have memory under them (warm), and
 * which have none (cold). Sizes and offsets are multiples of DTI_PAGE. No locks: the caller's. */
#ifndef DTENSOR_BASE_EXTENT_H_
#define DTENSOR_BASE_EXTENT_H_

#include <stddef.h>

typedef enum dti_extent_state {
  DTI_EXTENT_WARM,
  DTI_EXTENT_COLD,
  DTI_EXTENT_USED
} dti_extent_state;

typedef struct dti_extents dti_extents;

typedef struct dti_extent {
  dti_extents *of;
  size_t offset, bytes;
  dti_extent_state state;
  struct dti_extent *left, *right;  /* by address: together they cover the range */
  struct dti_extent *before, *next; /* free: in its bin */
  struct dti_extent *older, *newer; /* warm: by age */
  size_t asked;                     /* the allocator's */
} dti_extent;

enum { DTI_EXTENT_BINS = 256 };

struct dti_extents {
  dti_extent *first;
  dti_extent *bin[DTI_EXTENT_USED][DTI_EXTENT_BINS]; /* by size */
  dti_extent *oldest, *newest;
  size_t warm; /* bytes */
};

/* Everything in [offset, offset + bytes) is cold. 0 if there is no memory for that. */
int dti_extents_init(dti_extents *extents, size_t offset, size_t bytes);

/* The smallest free extent of that state from which an aligned one of this size can be cut, cut and
 * marked used; NULL if there is none. */
dti_extent *dti_extents_take(dti_extents *extents, dti_extent_state state, size_t bytes,
                             size_t alignment);

/* A used one becomes free, and one with its neighbours of that state. A warm one is the newest. */
void dti_extents_put(dti_extent *extent, dti_extent_state state);

/* The oldest warm one, or the last part of it if it is larger than `bytes`, marked used, to be put
 * back cold; NULL if nothing is warm. */
dti_extent *dti_extents_take_oldest(dti_extents *extents, size_t bytes);

#endif
