/* The public functions that compute layouts without a mesh. */
#include <inttypes.h>

#include "dtensor/base/fail.h"
#include "dtensor/placement.h"
#include "dtensor/spec/axis.h"
#include "dtensor/spec/layout.h"

dtensor_status dtensor_compute_local_shape_and_global_offset(
    int mesh_ndim, const int64_t mesh_shape[], const int64_t coordinate[], int ndim,
    const int64_t shape[], const dtensor_placement p[], int64_t local_shape[],
    int64_t global_offset[]) {
  DTI_API();
  dti_layout layout;
  DTI_TRY(dti_layout_init(&layout, ndim, shape, mesh_ndim, mesh_shape, p));
  DTI_CHECK(coordinate, DTENSOR_EINVAL, "coordinate is NULL");
  DTI_CHECK(ndim == 0 || (local_shape && global_offset), DTENSOR_EINVAL,
            "local_shape or global_offset is NULL");
  for (int m = 0; m < mesh_ndim; m++)
    DTI_CHECK(coordinate[m] >= 0 && coordinate[m] < mesh_shape[m], DTENSOR_EINVAL,
              "coordinate %" PRId64 " on mesh dimension %d of size %" PRId64, coordinate[m], m,
              mesh_shape[m]);
  dti_layout_local(&layout, coordinate, local_shape, global_offset);
  return DTENSOR_OK;
}

dtensor_status dtensor_compute_global_shape(int mesh_ndim, const int64_t mesh_shape[], int ndim,
                                            const int64_t local_shape[],
                                            const dtensor_placement p[], int64_t shape[]) {
  DTI_API();
  DTI_CHECK(ndim == 0 || shape, DTENSOR_EINVAL, "shape is NULL");
  dti_layout layout;
  { /* checks all but the placements, which need the global shape */
    dtensor_placement replicated[DTENSOR_MAX_NDIM];
    for (int m = 0; m < DTENSOR_MAX_NDIM; m++) replicated[m] = dtensor_replicate();
    DTI_TRY(dti_layout_init(&layout, ndim, local_shape, mesh_ndim, mesh_shape, replicated));
  }
  DTI_CHECK(p, DTENSOR_EINVAL, "the placements are NULL");
  for (int m = 0; m < mesh_ndim; m++) {
    const int dim = p[m].dim < 0 ? p[m].dim + ndim : p[m].dim;
    if (!dti_placement_is_shard(p[m]) || dim < 0 || dim >= ndim) continue;
    DTI_CHECK(layout.shape[dim] <= INT64_MAX / mesh_shape[m], DTENSOR_EINVAL,
              "dimension %d would be larger than 2^63-1", dim);
    layout.shape[dim] *= mesh_shape[m];
  }
  DTI_TRY(dti_layout_with(&layout, p, &layout));
  for (int d = 0; d < ndim; d++) shape[d] = layout.shape[d];
  return DTENSOR_OK;
}

dtensor_status dtensor_compute_owner(int mesh_ndim, const int64_t mesh_shape[], int ndim,
                                     const int64_t shape[], const dtensor_placement p[], int dim,
                                     int64_t index, int64_t coordinate[], int64_t *local_index) {
  DTI_API();
  dti_layout layout;
  DTI_TRY(dti_layout_init(&layout, ndim, shape, mesh_ndim, mesh_shape, p));
  DTI_CHECK(coordinate && local_index, DTENSOR_EINVAL, "coordinate or local_index is NULL");
  const int d = dim < 0 ? dim + ndim : dim;
  DTI_CHECK(d >= 0 && d < ndim, DTENSOR_EINVAL, "dimension %d of a tensor of %d dimensions", dim,
            ndim);
  DTI_CHECK(index >= 0 && index < shape[d], DTENSOR_EINVAL,
            "index %" PRId64 " of dimension %d, whose size is %" PRId64, index, d, shape[d]);
  for (int m = 0; m < mesh_ndim; m++) coordinate[m] = -1;
  const dti_axis axis = dti_axis_of(&layout, d);
  *local_index = dti_axis_owner(&axis, index, coordinate, NULL);
  return DTENSOR_OK;
}
