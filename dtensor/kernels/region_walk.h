/* The regions of several arrays walked together, piece by piece. */
#ifndef DTENSOR_KERNELS_REGION_WALK_H_
#define DTENSOR_KERNELS_REGION_WALK_H_

#include <stddef.h>
#include <stdint.h>

#include "dtensor/base/region.h"

/* One array's share: the elements of `region` in the order of the region (row-major product). */
typedef struct dti_part {
  void *data;            /* element 0 of the local array; only read for inputs */
  const int64_t *stride; /* in elements, any sign */
  const dti_region *region;
} dti_part;

/* Where a box of ni x nj elements lies in one array: element (i, j) is at + i * step[0] + j *
 * step[1], in bytes. */
typedef struct dti_place {
  char *at;
  int64_t step[2];
} dti_place;

/* place: of every array, in the order of the parts. */
typedef void (*dti_box_body)(const void *ctx, int64_t ni, int64_t nj, const dti_place place[]);

/* Cut the regions into boxes that lie evenly in every array, and call body for each from at most
 * `threads` threads. All regions have the same number of elements per dimension; their runs may be
 * cut differently. The dimensions are walked in the order that suits the first part: it is densest
 * along j. Where another part is densest along another dimension, that one is i. cost: about the
 * bytes that the walk touches. Each thread ends with a call of end, if it is not NULL. Takes some
 * hundred bytes of stack for each part. */
void dti_walk_regions(int parts, const dti_part part[], size_t element, int64_t cost, int threads,
                      dti_box_body body, void (*end)(void), const void *ctx);

/* A local array as a region that is taken whole. */
typedef struct dti_whole {
  dti_region region;
  dti_run run[DTENSOR_MAX_NDIM];
} dti_whole;
void dti_whole_init(dti_whole *whole, int ndim, const int64_t shape[]);

/* Elements of a region along a dimension. */
int64_t dti_region_length(const dti_region *region, int d);

/* The offset in elements if the region is one contiguous stretch of memory in message order, else
 * -1: then it can be sent from, or received into, its place. */
int64_t dti_region_contiguous(const int64_t stride[], const dti_region *region);

#endif
