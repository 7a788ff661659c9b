#include "dtensor/kernels/stream.h"

#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

enum { LINE = 64, USUAL_CACHE = 1 << 20 };

static _Atomic int64_t limit; /* 0: not known yet */

static int64_t cache_size(void) {
#ifdef _SC_LEVEL2_CACHE_SIZE
  const long size = sysconf(_SC_LEVEL2_CACHE_SIZE);
  if (size > 0) return size;
#endif
  return USUAL_CACHE;
}

void dti_stream_from(int64_t bytes) {
  atomic_store_explicit(&limit, bytes > 0 ? bytes : cache_size(), memory_order_relaxed);
}

int dti_stream_pays(int64_t bytes) {
  int64_t from = atomic_load_explicit(&limit, memory_order_relaxed);
  if (from == 0) {
    from = cache_size();
    dti_stream_from(from);
  }
  return bytes >= from;
}

#ifdef __SSE2__
#include <emmintrin.h>

void dti_stream_fence(void) { _mm_sfence(); }

void dti_stream_row(char *dst, const char *src, size_t bytes) {
  const size_t head = -(uintptr_t)dst % LINE;
  if (bytes < head + LINE) {
    memcpy(dst, src, bytes);
    return;
  }
  memcpy(dst, src, head);
  size_t at = head;
  for (; at + LINE <= bytes; at += LINE) {
    const __m128i a = _mm_loadu_si128((const __m128i *)(const void *)(src + at)),
                  b = _mm_loadu_si128((const __m128i *)(const void *)(src + at + 16)),
                  c = _mm_loadu_si128((const __m128i *)(const void *)(src + at + 32)),
                  d = _mm_loadu_si128((const __m128i *)(const void *)(src + at + 48));
    _mm_stream_si128((__m128i *)(void *)(dst + at), a);
    _mm_stream_si128((__m128i *)(void *)(dst + at + 16), b);
    _mm_stream_si128((__m128i *)(void *)(dst + at + 32), c);
    _mm_stream_si128((__m128i *)(void *)(dst + at + 48), d);
  }
  memcpy(dst + at, src + at, bytes - at);
}
#else
void dti_stream_fence(void) { atomic_thread_fence(memory_order_release); }

void dti_stream_row(char *dst, const char *src, size_t bytes) { memcpy(dst, src, bytes); }
#endif
