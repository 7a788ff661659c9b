#include "tests/harness/arange.h"

#include "tests/harness/dtest.h"

static int64_t global_element(const dtensor *x, int64_t at, int64_t *offset) {
  int64_t index[DTENSOR_MAX_NDIM], element = 0;
  *offset = 0;
  for (int d = dtensor_ndim(x) - 1; d >= 0; d--) {
    const int64_t local = at % dtensor_local_size(x, d);
    at /= dtensor_local_size(x, d);
    index[d] = dtensor_global_index(x, d, local);
    *offset += local * dtensor_local_stride(x, d);
  }
  for (int d = 0; d < dtensor_ndim(x); d++) element = element * dtensor_size(x, d) + index[d];
  return element;
}

bool holds_arange(const dtensor *x) {
  const double *data = dtensor_local_data(x);
  for (int64_t i = 0; i < dtensor_local_size(x, -1); i++) {
    int64_t offset;
    const double want = (double)global_element(x, i, &offset);
    if (!EXPECT_EQ(data[offset], want)) return false;
  }
  return true;
}

dtensor_status make_arange(dtensor_mesh *mesh, int ndim, const int64_t shape[], const char *p,
                           dtensor **x) {
  const int mesh_ndim = dtensor_mesh_ndim(mesh);
  dtensor_placement placements[DTENSOR_MAX_NDIM];
  *x = NULL;
  dtensor_status status = dtensor_placements_parse(p, mesh_ndim, placements);
  if (status != DTENSOR_OK) return status;
  dtensor_placement whole[DTENSOR_MAX_NDIM];
  int64_t shares = 1, mine = 0;
  for (int m = 0; m < mesh_ndim; m++) {
    whole[m] = placements[m];
    if (placements[m].kind != DTENSOR_PARTIAL) continue;
    whole[m] = dtensor_replicate();
    shares *= dtensor_mesh_size(mesh, m);
    mine = mine * dtensor_mesh_size(mesh, m) + dtensor_mesh_coordinate(mesh, m);
  }
  dtensor *values = NULL;
  status = dtensor_arange(mesh, DTENSOR_F64, ndim, shape, whole, &values);
  if (status != DTENSOR_OK || shares == 1) {
    *x = values;
    return status;
  }
  /* Share k of s is k, the first is what is missing. */
  double *data = dtensor_local_data(values);
  for (int64_t i = 0; i < dtensor_local_size(values, -1); i++)
    data[i] = mine == 0 ? data[i] - (double)(shares * (shares - 1) / 2) : (double)mine;
  dtensor_local local = {.ndim = ndim};
  if (dtensor_mesh_coordinate(mesh, -1) >= 0) dtensor_to_local(values, &local);
  local.own = DTENSOR_COPY;
  status = dtensor_from_local(mesh, DTENSOR_F64, &local, placements, shape, x);
  dtensor_destroy(&values);
  return status;
}
