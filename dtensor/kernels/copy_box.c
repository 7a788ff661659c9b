#include "dtensor/kernels/copy_box.h"

#include <stdlib.h>
#include <string.h>

#include "dtensor/kernels/cpu.h"
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

/* From STRING_ROW bytes on, where the processor is good at it, one instruction copies a row through
 * the cache: it need not read the lines that it overwrites, as stores do. A long row goes in
 * pieces, because from some MiB on the processor would write past the cache. */
enum { STRING_ROW = 4096, STRING_PIECE = 256 * 1024 };

/* Up to here one row alone goes so even where streaming pays otherwise. */
enum { STRING_MOST = 4 << 20 };

#if DTI_X86
static int is_string(size_t bytes) {
  return bytes >= STRING_ROW && dti_cpu_has(DTI_CPU_FAST_STRINGS);
}

static void copy_string(char *dst, const char *src, size_t bytes) {
  __asm__ volatile("rep movsb" : "+D"(dst), "+S"(src), "+c"(bytes) : : "memory");
}
#else
static int is_string(size_t bytes) {
  (void)bytes;
  return 0;
}

static void copy_string(char *dst, const char *src, size_t bytes) { memcpy(dst, src, bytes); }
#endif

static void copy_row(char *dst, const char *src, size_t bytes) {
  if (!is_string(bytes)) {
    memcpy(dst, src, bytes);
    return;
  }
  for (size_t at = 0; at < bytes; at += STRING_PIECE)
    copy_string(dst + at, src + at, bytes - at < STRING_PIECE ? bytes - at : STRING_PIECE);
}

#if DTI_X86
/* For rows of a line to some pages this is faster than a call of memcpy for each. The last line of
 * a row may overlap the one before it. */
enum { SHORTEST = 64, LONGEST = 4096 };

DTI_AVX512 static void copy_rows_avx512(int64_t ni, int64_t bytes, const dti_place *dst,
                                        const dti_place *src) {
  for (int64_t i = 0; i < ni; i++) {
    char *to = dst->at + i * dst->step[0];
    const char *from = src->at + i * src->step[0];
    const int64_t last = bytes - SHORTEST;
    for (int64_t at = 0; at < last; at += SHORTEST)
      _mm512_storeu_si512(to + at, _mm512_loadu_si512(from + at));
    _mm512_storeu_si512(to + last, _mm512_loadu_si512(from + last));
  }
}
#endif

static void copy_dense_rows(int64_t ni, size_t bytes, const dti_place *dst, const dti_place *src,
                            int stream) {
  const int is_whole = ni == 1 && bytes <= STRING_MOST && is_string(bytes);
  if (stream && !is_whole) {
    dti_stream_rows(ni, bytes, dst->at, dst->step[0], src->at, src->step[0]);
    return;
  }
#if DTI_X86
  if (ni > 1 && bytes >= SHORTEST && bytes <= LONGEST && !is_string(bytes) &&
      dti_cpu_has(DTI_CPU_AVX512)) {
    copy_rows_avx512(ni, (int64_t)bytes, dst, src);
    return;
  }
#endif
  for (int64_t i = 0; i < ni; i++)
    copy_row(dst->at + i * dst->step[0], src->at + i * src->step[0], bytes);
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
