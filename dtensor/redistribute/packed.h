/* A region as it lies in a message. */
#ifndef DTENSOR_REDISTRIBUTE_PACKED_H_
#define DTENSOR_REDISTRIBUTE_PACKED_H_

#include "dtensor/base/region.h"

typedef struct dti_packed {
  dti_region region;
  dti_run run[DTENSOR_MAX_NDIM];
  int64_t stride[DTENSOR_MAX_NDIM];
} dti_packed;

static inline void dti_packed_set(dti_packed *packed, const dti_region *region) {
  int64_t stride = 1;
  packed->region = *region;
  for (int d = region->ndim - 1; d >= 0; d--) {
    packed->run[d] = (dti_run){0, 0};
    for (int64_t r = 0; r < region->count[d]; r++)
      packed->run[d].length += region->runs[d][r].length;
    packed->region.runs[d] = &packed->run[d];
    packed->region.count[d] = 1;
    packed->stride[d] = stride;
    stride *= packed->run[d].length;
  }
}

#endif
