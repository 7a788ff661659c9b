/* Stretches of an axis without a change of owner, and slices of all of them: what moves in one
 * panel, so that every owner sends a part of it. */
#ifndef DTENSOR_SPEC_SEGMENTS_H_
#define DTENSOR_SPEC_SEGMENTS_H_

#include "dtensor/base/region.h"
#include "dtensor/spec/axis.h"

typedef struct dti_segments {
  int64_t n;
  dti_run *run; /* sorted, of global indices; not empty */
} dti_segments;

/* Cut [0, size of the axes) where an owner changes on any of them. Axes with too many changes are
 * left out: any stretch of them has many owners anyway. Errors: DTENSOR_ENOMEM */
dtensor_status dti_segments_make(int n, const dti_axis axes[], dti_segments *segments);
void dti_segments_free(dti_segments *segments);

int64_t dti_segments_shortest(const dti_segments *segments);

/* Parts first to end-1, of `of`, of every segment; adjacent ones joined. runs has room for all
 * segments. Returns how many there are. */
int64_t dti_segments_slice(const dti_segments *segments, int64_t first, int64_t end, int64_t of,
                           dti_run runs[]);

#endif
