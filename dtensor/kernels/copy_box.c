#include "dtensor/kernels/copy_box.h"

#include <stdlib.h>
#include <string.h>

#include "dtensor/kernels/move.h"
#include "dtensor/kernels/stream.h"
#include "dtensor/kernels/transpose.h"

int dti_place_transposed(const dti_place *place, int64_t ni) {
  return ni > 1 && place->step[0] != 0 && llabs(place->step[0]) < llabs(place->step[1]);
}

int dti_place_dense(const dti_place *place, size_t element) {
  return place->step[1] == (int64_t)element;
}

/* A row of fewer bytes has too few whole lines. */
enum { STREAMED_ROW = 256 };

static void copy_dense_rows(int64_t ni, size_t bytes, const dti_place *dst, const dti_place *src,
                            int stream) {
  char *to = dst->at;
  const char *from = src->at;
  for (int64_t i = 0; i < ni; i++) {
    if (stream)
      dti_stream_row(to, from, bytes);
    else
      memcpy(to, from, bytes);
    to += dst->step[0];
    from += src->step[0];
  }
}

void dti_copy_box(size_t element, int64_t ni, int64_t nj, const dti_place *dst,
                  const dti_place *src, int stream) {
  const size_t bytes = (size_t)nj * element;
  if (dst->at == src->at && memcmp(dst->step, src->step, sizeof dst->step) == 0) return;
  if (dti_place_transposed(src, ni)) {
    dti_transpose(element, ni, nj, dst, src, stream);
  } else if (nj > 1 && dti_place_dense(dst, element) && dti_place_dense(src, element)) {
    copy_dense_rows(ni, bytes, dst, src, stream && bytes >= STREAMED_ROW);
  } else {
    for (int64_t i = 0; i < ni; i++)
      dti_move_row(element, nj, dst->at + i * dst->step[0], dst->step[1],
                   src->at + i * src->step[0], src->step[1]);
  }
}
