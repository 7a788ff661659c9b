#include "dtensor/spec/box.h"

#include "dtensor/spec/axis.h"

dti_box dti_box_whole(const dti_layout *layout) {
  dti_box box = {.shape = {0}};
  for (int d = 0; d < layout->ndim; d++) box.shape[d] = layout->shape[d];
  return box;
}

int64_t dti_box_runs(const dti_box *box, int dim, dti_run *all, const dti_run **runs) {
  if (box->runs && dim == box->cut_dim) {
    *runs = box->runs;
    return box->cuts;
  }
  *all = (dti_run){0, box->shape[dim]};
  *runs = all;
  return 1;
}

void dti_layout_local_box(const dti_layout *layout, const int64_t coord[], const int64_t begin[],
                          const int64_t shape[], int64_t local_begin[], int64_t local_shape[]) {
  for (int d = 0; d < layout->ndim; d++) {
    const dti_axis axis = dti_axis_of(layout, d);
    local_begin[d] = dti_axis_below(&axis, coord, begin[d]);
    local_shape[d] = dti_axis_below(&axis, coord, begin[d] + shape[d]) - local_begin[d];
  }
}
