#include "dtensor/kernels/stream.h"

#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "dtensor/kernels/cpu.h"

enum { LINE = DTI_STREAM_LINE, USUAL_CACHE = 1 << 20 };

static _Atomic int64_t limit; /* 0: not known yet */

/* Four times a core's own cache: below that, a result and what it is made of still fit
 * into a cache that cores share. (Measured with ./run bench; a machine without one would gain from
 * 1.) */
static int64_t worth_streaming(void) {
  long size = 0;
#ifdef _SC_LEVEL2_CACHE_SIZE
  size = sysconf(_SC_LEVEL2_CACHE_SIZE);
#endif
  return 4 * (int64_t)(size > 0 ? size : USUAL_CACHE);
}

void dti_stream_from(int64_t bytes) {
  atomic_store_explicit(&limit, bytes > 0 ? bytes : worth_streaming(), memory_order_relaxed);
}

int dti_stream_pays(int64_t bytes) {
  int64_t from = atomic_load_explicit(&limit, memory_order_relaxed);
  if (from == 0) {
    from = worth_streaming();
    dti_stream_from(from);
  }
  return bytes >= from;
}

#if DTI_X86
/* Whole lines; dst is aligned to them. */
typedef void (*line_streamer)(char *dst, const char *src, size_t lines);

DTI_AVX512 static void stream_lines_avx512(char *dst, const char *src, size_t lines) {
  for (size_t at = 0; at < lines * LINE; at += LINE)
    _mm512_stream_si512((void *)(dst + at), _mm512_loadu_si512(src + at));
}

/* The same for rows that lie apart: the processor's own prefetching begins anew with each. */
DTI_AVX512 static void stream_lines_ahead_avx512(char *dst, const char *src, size_t lines) {
  enum { GROUP = 8, AHEAD = GROUP * LINE };
  const size_t groups = lines / GROUP;
  for (size_t g = 0; g < groups; g++) {
    __m512i part[GROUP];
    DTI_UNROLL for (int k = 0; k < GROUP; k++)
        _mm_prefetch(src + AHEAD + (size_t)k * LINE, _MM_HINT_T0);
    DTI_UNROLL for (int k = 0; k < GROUP; k++) part[k] = _mm512_loadu_si512(src + (size_t)k * LINE);
    DTI_UNROLL for (int k = 0; k < GROUP; k++)
        _mm512_stream_si512((void *)(dst + (size_t)k * LINE), part[k]);
    dst += GROUP * LINE;
    src += GROUP * LINE;
  }
  stream_lines_avx512(dst, src, lines % GROUP);
}

static void stream_lines_sse2(char *dst, const char *src, size_t lines) {
  for (size_t at = 0; at < lines * LINE; at += LINE) {
    __m128i part[4];
    DTI_UNROLL for (int k = 0; k < 4; k++) part[k] =
        _mm_loadu_si128((const void *)(src + at + 16 * k));
    DTI_UNROLL for (int k = 0; k < 4; k++) _mm_stream_si128((void *)(dst + at + 16 * k), part[k]);
  }
}

static void stream_row(char *dst, const char *src, size_t bytes, line_streamer stream_lines) {
  const size_t head = -(uintptr_t)dst % LINE;
  if (bytes < head + LINE) {
    memcpy(dst, src, bytes);
    return;
  }
  const size_t lines = (bytes - head) / LINE, tail = head + lines * LINE;
  memcpy(dst, src, head);
  stream_lines(dst + head, src + head, lines);
  memcpy(dst + tail, src + tail, bytes - tail);
}

void dti_stream_row(char *dst, const char *src, size_t bytes) {
  stream_row(dst, src, bytes,
             dti_cpu_has(DTI_CPU_AVX512) ? stream_lines_avx512 : stream_lines_sse2);
}

void dti_stream_rows(int64_t rows, size_t bytes, char *dst, int64_t dst_step, const char *src,
                     int64_t src_step) {
  const int apart = rows > 1 && src_step != (int64_t)bytes;
  const line_streamer stream_lines = !dti_cpu_has(DTI_CPU_AVX512) ? stream_lines_sse2
                                     : apart                      ? stream_lines_ahead_avx512
                                                                  : stream_lines_avx512;
  for (int64_t i = 0; i < rows; i++)
    stream_row(dst + i * dst_step, src + i * src_step, bytes, stream_lines);
}

void dti_stream_fence(void) { _mm_sfence(); }
#else
void dti_stream_row(char *dst, const char *src, size_t bytes) { memcpy(dst, src, bytes); }

void dti_stream_rows(int64_t rows, size_t bytes, char *dst, int64_t dst_step, const char *src,
                     int64_t src_step) {
  for (int64_t i = 0; i < rows; i++) memcpy(dst + i * dst_step, src + i * src_step, bytes);
}

void dti_stream_fence(void) { atomic_thread_fence(memory_order_release); }
#endif
