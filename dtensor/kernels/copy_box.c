#include "dtensor/kernels/copy_box.h"

#include <stdlib.h>
#include <string.h>

#include "dtensor/kernels/move.h"

int dti_place_transposed(const dti_place *place, int64_t ni) {
  return ni > 1 && place->step[0] != 0 && llabs(place->step[0]) < llabs(place->step[1]);
}

int dti_place_dense(const dti_place *place, size_t element) {
  return place->step[1] == (int64_t)element;
}

void dti_copy_box(size_t element, int64_t ni, int64_t nj, const dti_place *dst,
                  const dti_place *src) {
  if (dst->at == src->at && memcmp(dst->step, src->step, sizeof dst->step) == 0) return;
  if (dti_place_transposed(src, ni)) {
    dti_move_transposing(element, ni, nj, dst->at, dst->step, src->at, src->step);
    return;
  }
  for (int64_t i = 0; i < ni; i++)
    dti_move_row(element, nj, dst->at + i * dst->step[0], dst->step[1], src->at + i * src->step[0],
                 src->step[1]);
}
