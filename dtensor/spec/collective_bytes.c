#include "dtensor/spec/collective_bytes.h"

/* The most elements that any rank has of it. Explicit sizes may give one rank everything; of all
 * others the first coordinate has the most. */
static int64_t most_elements(const dti_layout *layout) {
  int64_t shape[DTENSOR_MAX_NDIM], first[DTENSOR_MAX_NDIM] = {0};
  dti_layout_local(layout, first, shape, NULL);
  for (int m = 0; m < layout->mesh_ndim; m++)
    if (layout->p[m].kind == DTENSOR_SHARD_SIZES)
      shape[layout->p[m].dim] = layout->shape[layout->p[m].dim];
  return dti_numel(layout->ndim, shape);
}

void dti_collective_bytes_add(const dti_layout *from, const dti_step *step, size_t element,
                              dti_collective_bytes *bytes) {
  int64_t copies = 1, contributions = 1;
  for (int m = 0; m < from->mesh_ndim; m++) {
    if (!(step->mesh_dims & (1u << m))) continue;
    const dtensor_placement to = step->to.p[m];
    if (from->p[m].kind == DTENSOR_PARTIAL) contributions *= from->mesh[m];
    if (to.kind == DTENSOR_REPLICATE || (to.kind == DTENSOR_PARTIAL && to.op == DTENSOR_AVG))
      copies *= from->mesh[m];
  }
  bytes->sent += most_elements(from) * copies * (int64_t)element;
  bytes->received += most_elements(&step->to) * contributions * (int64_t)element;
}

int dti_collective_bytes_fit(const dti_collective_bytes *bytes, int64_t message_limit,
                             int64_t max_bytes, int steps) {
  const int64_t largest = bytes->sent > bytes->received ? bytes->sent : bytes->received;
  if (message_limit > 0 && largest > message_limit) return 0;
  return max_bytes == 0 || bytes->sent + bytes->received <= max_bytes / 2 / steps;
}
