#include "dtensor/spec/collective_bytes.h"

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
  bytes->sent += dti_layout_most_elements(from) * copies * (int64_t)element;
  bytes->received += dti_layout_most_elements(&step->to) * contributions * (int64_t)element;
}

int dti_collective_bytes_fit(const dti_collective_bytes *bytes, int64_t message_limit,
                             int64_t max_bytes, int steps) {
  const int64_t largest = bytes->sent > bytes->received ? bytes->sent : bytes->received;
  if (message_limit > 0 && largest > message_limit) return 0;
  return max_bytes == 0 || bytes->sent + bytes->received <= max_bytes / 2 / steps;
}
