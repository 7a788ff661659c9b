#include "benchmarks/bare.h"

#include <string.h>

#if defined(__x86_64__)
#include <immintrin.h>
#define AVX512 __attribute__((target("avx512f")))

static int has_avx512(void) {
  static int known; /* 0: not yet asked */
  if (!known) known = __builtin_cpu_supports("avx512f") ? 1 : -1;
  return known == 1;
}

static inline AVX512 void store(double *to, __m512d v, bare_store how) {
  if (how != BARE_CACHED)
    _mm512_stream_pd(to, v);
  else
    _mm512_storeu_pd(to, v);
}

/* Whole cache lines, four at a time; returns how many elements it did. */
static AVX512 size_t combine_lines(double *const out[], int outputs, const double *const in[],
                                   int inputs, size_t from, size_t count, bare_store how) {
  size_t e = from;
  for (; e + 32 <= count; e += 32) {
    __m512d v[4];
    for (int k = 0; k < 4; k++) v[k] = _mm512_loadu_pd(in[0] + e + 8 * k);
    for (int i = 1; i < inputs; i++)
      for (int k = 0; k < 4; k++) v[k] = _mm512_add_pd(v[k], _mm512_loadu_pd(in[i] + e + 8 * k));
    for (int j = 0; j < outputs; j++)
      for (int k = 0; k < 4; k++) store(out[j] + e + 8 * k, v[k], how);
  }
  return e;
}

/* Eight at a time, asking for the next eight. */
static AVX512 size_t copy_lines_ahead(double *out, const double *in, size_t from, size_t count) {
  size_t e = from;
  for (; e + 64 <= count; e += 64) {
    __m512d v[8];
    for (int k = 0; k < 8; k++) _mm_prefetch((const char *)(in + e + 64 + 8 * k), _MM_HINT_T0);
    for (int k = 0; k < 8; k++) v[k] = _mm512_loadu_pd(in + e + 8 * k);
    for (int k = 0; k < 8; k++) _mm512_stream_pd(out + e + 8 * k, v[k]);
  }
  return e;
}

static void copy_string(void *to, const void *from, size_t bytes) {
  __asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(bytes) : : "memory");
}

/* out and in are the corners of an 8 x 8 square. */
static AVX512 void transpose_square(double *out, int64_t out_stride, const double *in,
                                    int64_t in_stride, bare_store how) {
  __m512d low[4], high[4];
  for (int k = 0; k < 4; k++) {
    const __m512d a = _mm512_loadu_pd(in + 2 * k * in_stride);
    const __m512d b = _mm512_loadu_pd(in + (2 * k + 1) * in_stride);
    low[k] = _mm512_unpacklo_pd(a, b);
    high[k] = _mm512_unpackhi_pd(a, b);
  }
  for (int odd = 0; odd < 2; odd++) {
    const __m512d *v = odd ? high : low;
    const __m512d a = _mm512_shuffle_f64x2(v[0], v[1], 0x88);
    const __m512d b = _mm512_shuffle_f64x2(v[0], v[1], 0xdd);
    const __m512d c = _mm512_shuffle_f64x2(v[2], v[3], 0x88);
    const __m512d d = _mm512_shuffle_f64x2(v[2], v[3], 0xdd);
    store(out + (odd + 0) * out_stride, _mm512_shuffle_f64x2(a, c, 0x88), how);
    store(out + (odd + 2) * out_stride, _mm512_shuffle_f64x2(b, d, 0x88), how);
    store(out + (odd + 4) * out_stride, _mm512_shuffle_f64x2(a, c, 0xdd), how);
    store(out + (odd + 6) * out_stride, _mm512_shuffle_f64x2(b, d, 0xdd), how);
  }
}

void bare_fence(void) { _mm_sfence(); }
#else
static int has_avx512(void) { return 0; }

static size_t combine_lines(double *const out[], int outputs, const double *const in[], int inputs,
                            size_t from, size_t count, bare_store how) {
  (void)out, (void)outputs, (void)in, (void)inputs, (void)count, (void)how;
  return from;
}

static size_t copy_lines_ahead(double *out, const double *in, size_t from, size_t count) {
  (void)out, (void)in, (void)count;
  return from;
}

static void copy_string(void *to, const void *from, size_t bytes) { memcpy(to, from, bytes); }

static void transpose_square(double *out, int64_t out_stride, const double *in, int64_t in_stride,
                             bare_store how) {
  (void)out, (void)out_stride, (void)in, (void)in_stride, (void)how;
}

void bare_fence(void) {}
#endif

static void put(double *to, double value, bare_store how) {
#if defined(__x86_64__)
  long long bits;
  memcpy(&bits, &value, sizeof bits);
  if (how != BARE_CACHED)
    _mm_stream_si64((long long *)(void *)to, bits);
  else
    *to = value;
#else
  (void)how;
  *to = value;
#endif
}

static void copy_cached(void *to, const void *from, size_t bytes) { memcpy(to, from, bytes); }

/* The processor streams long strings, not short ones. */
static void copy_bytes(double *to, const double *from, size_t bytes, bare_store how) {
  const size_t most = how == BARE_STRINGS ? (size_t)256 * 1024 : bytes;
  for (size_t at = 0, n; at < bytes; at += n) {
    n = bytes - at < most ? bytes - at : most;
    (how == BARE_CACHED ? copy_cached : copy_string)((char *)to + at, (const char *)from + at, n);
  }
}

static void combine_elements(double *const out[], int outputs, const double *const in[], int inputs,
                             size_t from, size_t count, bare_store how) {
  for (size_t e = from; e < count; e++) {
    double value = in[0][e];
    for (int i = 1; i < inputs; i++) value += in[i][e];
    for (int j = 0; j < outputs; j++) put(out[j] + e, value, how);
  }
}

/* Elements before the next cache line. */
static size_t to_line(const double *p) { return (64 - (uintptr_t)p % 64) % 64 / sizeof(double); }

void bare_combine(double *const out[], int outputs, const double *const in[], int inputs,
                  size_t count, bare_store how) {
  const int copy = inputs == 1 && outputs == 1;
  if (copy && how != BARE_STREAMED && how != BARE_AHEAD) {
    copy_bytes(out[0], in[0], count * sizeof(double), how);
    return;
  }
  size_t head = to_line(out[0]), done;
  if (head > count) head = count;
  for (int j = 1; j < outputs; j++)
    if (to_line(out[j]) != to_line(out[0])) how = BARE_CACHED;
  combine_elements(out, outputs, in, inputs, 0, head, BARE_CACHED);
  done = head;
  if (has_avx512() && copy && how == BARE_AHEAD)
    done = copy_lines_ahead(out[0], in[0], done, count);
  if (has_avx512()) done = combine_lines(out, outputs, in, inputs, done, count, how);
  combine_elements(out, outputs, in, inputs, done, count, has_avx512() ? BARE_CACHED : how);
}

static void transpose_elements(double *out, int64_t out_stride, const double *in, int64_t in_stride,
                               int64_t rows, int64_t columns, bare_store how) {
  for (int64_t i = 0; i < rows; i++)
    for (int64_t j = 0; j < columns; j++) put(out + i * out_stride + j, in[j * in_stride + i], how);
}

static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

static void transpose_tile(double *out, int64_t out_stride, const double *in, int64_t in_stride,
                           int64_t rows, int64_t columns, bare_store how) {
  const int lines = has_avx512() && to_line(out) == 0 && out_stride % 8 == 0;
  for (int64_t i = 0; i < rows; i += 8)
    for (int64_t j = 0; j < columns; j += 8) {
      double *to = out + i * out_stride + j;
      const double *from = in + j * in_stride + i;
      if (lines && i + 8 <= rows && j + 8 <= columns)
        transpose_square(to, out_stride, from, in_stride, how);
      else
        transpose_elements(to, out_stride, from, in_stride, least(8, rows - i),
                           least(8, columns - j), how);
    }
}

void bare_transpose(double *out, int64_t out_stride, const double *in, int64_t in_stride,
                    int64_t rows, int64_t columns, int64_t tile, bare_store how) {
  for (int64_t i = 0; i < rows; i += tile)
    for (int64_t j = 0; j < columns; j += tile)
      transpose_tile(out + i * out_stride + j, out_stride, in + j * in_stride + i, in_stride,
                     least(tile, rows - i), least(tile, columns - j), how);
}
