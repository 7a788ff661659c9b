#include "dtensor/kernels/stream.h"

#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "dtensor/kernels/cpu.h"

enum { LINE = DTI_STREAM_LINE, USUAL_CACHE = 1 << 20 };

static _Atomic int64_t limit; /* 0: not known yet */

/* Four times a core's own cache: up to there the next reader still finds much of the result in a
 * cache that cores share. (Measured with ./run bench; a machine without one would gain from 1.) */
static int64_t worth_streaming(void) {
#ifdef _SC_LEVEL2_CACHE_SIZE
  const long size = sysconf(_SC_LEVEL2_CACHE_SIZE);
  if (size > 0) return 4 * (int64_t)size;
#endif
  return 4 * USUAL_CACHE;
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
DTI_AVX512 static void stream_lines_avx512(char *dst, const char *src, size_t lines) {
  for (size_t at = 0; at < lines * LINE; at += LINE)
    _mm512_stream_si512((void *)(dst + at), _mm512_loadu_si512(src + at));
}

static void stream_lines_sse2(char *dst, const char *src, size_t lines) {
  for (size_t at = 0; at < lines * LINE; at += LINE) {
    __m128i part[4];
    DTI_UNROLL for (int k = 0; k < 4; k++) part[k] =
        _mm_loadu_si128((const void *)(src + at + 16 * k));
    DTI_UNROLL for (int k = 0; k < 4; k++) _mm_stream_si128((void *)(dst + at + 16 * k), part[k]);
  }
}

void dti_stream_row(char *dst, const char *src, size_t bytes) {
  const size_t head = -(uintptr_t)dst % LINE;
  if (bytes < head + LINE) {
    memcpy(dst, src, bytes);
    return;
  }
  const size_t lines = (bytes - head) / LINE, tail = head + lines * LINE;
  memcpy(dst, src, head);
  (dti_has_avx512() ? stream_lines_avx512 : stream_lines_sse2)(dst + head, src + head, lines);
  memcpy(dst + tail, src + tail, bytes - tail);
}

void dti_stream_fence(void) { _mm_sfence(); }
#else
void dti_stream_row(char *dst, const char *src, size_t bytes) { memcpy(dst, src, bytes); }

void dti_stream_fence(void) { atomic_thread_fence(memory_order_release); }
#endif
