/* Element moves for every element size from 1 to 16 bytes. The sizes are constants to the compiler,
 * which makes single loads and stores of them; memcpy, as elements may be less aligned than large
 * (complex). */
#ifndef DTENSOR_KERNELS_MOVE_H_
#define DTENSOR_KERNELS_MOVE_H_

#include <stddef.h>
#include <stdint.h>

#define DTI_ELEMENT_SIZES(X) \
  X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11) X(12) X(13) X(14) X(15) X(16)

/* dst[i] = src[i], i < n; the steps between elements are in bytes. */
void dti_move_row(size_t element, int64_t n, char *dst, int64_t dst_step, const char *src,
                  int64_t src_step);

/* dst[i][j] = src[i][j], where src is read along i and dst is written along j: the small steps are
 * src_step[0] and dst_step[1]. */
void dti_move_transposing(size_t element, int64_t ni, int64_t nj, char *dst,
                          const int64_t dst_step[2], const char *src, const int64_t src_step[2]);

#endif
