/* A part of a local array: per dimension a list of index runs; the part is their product. One
 * description serves every placement, from one box to block-cyclic pieces. */
#ifndef DTENSOR_BASE_REGION_H_
#define DTENSOR_BASE_REGION_H_

#include <stdint.h>

#include "dtensor/types.h"

typedef struct dti_run {
  int64_t begin, length; /* local indices; length > 0 */
} dti_run;

/* Elements are in row-major order of the product: that is their order in a message. */
typedef struct dti_region {
  int ndim;
  int64_t count[DTENSOR_MAX_NDIM];       /* runs per dimension */
  const dti_run *runs[DTENSOR_MAX_NDIM]; /* sorted, disjoint; borrowed */
  int64_t elements;
} dti_region;

/* A local array. Strides are in elements and may be negative or zero. */
typedef struct dti_array {
  void *data;
  int ndim;
  int64_t shape[DTENSOR_MAX_NDIM], stride[DTENSOR_MAX_NDIM];
} dti_array;

#endif
