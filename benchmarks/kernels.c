/* The kernels that move data beside bare loops written for the one case at hand: one thread, f64,
 * warm memory. Prints the time over that of the best bare loop. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "dtensor/kernels/combine.h"

#ifdef __SSE2__
#include <immintrin.h>
#endif

/* One case: ni x nj elements from in[] to out[], each with strides of its own. */
typedef struct problem {
  const char *name;
  int64_t ni, nj;
  int inputs, outputs;
  const double *in[2];
  double *out[2];
  int64_t in_stride[2], out_stride[2];
} problem;

typedef void (*copy_loop)(const problem *p);

static void library(const problem *p) {
  dti_whole whole;
  dti_whole_init(&whole, 2, (int64_t[]){p->ni, p->nj});
  dti_part in[2], out[2];
  for (int k = 0; k < p->inputs; k++)
    in[k] = (dti_part){(double *)(uintptr_t)p->in[k], p->in_stride, &whole.region};
  for (int k = 0; k < p->outputs; k++) out[k] = (dti_part){p->out[k], p->out_stride, &whole.region};
  dti_combine(DTENSOR_F64, DTENSOR_SUM, 1, p->inputs, in, p->outputs, out, 1);
}

/* ---- rows */

static void copy_memcpy(const problem *p) {
  for (int64_t i = 0; i < p->ni; i++)
    memcpy(p->out[0] + i * p->out_stride[0], p->in[0] + i * p->in_stride[0],
           (size_t)p->nj * sizeof(double));
}

static void add_plain(const problem *p) {
  for (int64_t i = 0; i < p->ni; i++) {
    const double *a = p->in[0] + i * p->in_stride[0], *b = p->in[1] + i * p->in_stride[0];
    double *c = p->out[0] + i * p->out_stride[0],
           *d = p->out[p->outputs - 1] + i * p->out_stride[0];
#pragma omp simd
    for (int64_t j = 0; j < p->nj; j++) {
      const double sum = a[j] + b[j];
      c[j] = sum;
      d[j] = sum;
    }
  }
}

static void transpose_naive(const problem *p) {
  for (int64_t i = 0; i < p->ni; i++)
    for (int64_t j = 0; j < p->nj; j++)
      p->out[0][i * p->out_stride[0] + j] = p->in[0][i + j * p->in_stride[1]];
}

#ifdef __SSE2__
static void copy_nt_sse2(const problem *p) {
  for (int64_t i = 0; i < p->ni; i++) {
    double *c = p->out[0] + i * p->out_stride[0];
    const double *a = p->in[0] + i * p->in_stride[0];
    for (int64_t j = 0; j < p->nj; j += 2) _mm_stream_pd(c + j, _mm_loadu_pd(a + j));
  }
  _mm_sfence();
}

__attribute__((target("avx512f"))) static void copy_nt_avx512(const problem *p) {
  for (int64_t i = 0; i < p->ni; i++) {
    double *c = p->out[0] + i * p->out_stride[0];
    const double *a = p->in[0] + i * p->in_stride[0];
    for (int64_t j = 0; j < p->nj; j += 8) _mm512_stream_pd(c + j, _mm512_loadu_pd(a + j));
  }
  _mm_sfence();
}

static void add_nt_sse2(const problem *p) {
  for (int64_t i = 0; i < p->ni; i++) {
    const double *a = p->in[0] + i * p->in_stride[0], *b = p->in[1] + i * p->in_stride[0];
    double *c = p->out[0] + i * p->out_stride[0], *d = p->out[1] + i * p->out_stride[0];
    for (int64_t j = 0; j < p->nj; j += 2) {
      const __m128d sum = _mm_add_pd(_mm_loadu_pd(a + j), _mm_loadu_pd(b + j));
      _mm_stream_pd(c + j, sum);
      if (p->outputs == 2) _mm_stream_pd(d + j, sum);
    }
  }
  _mm_sfence();
}

__attribute__((target("avx512f"))) static void add_nt_avx512(const problem *p) {
  for (int64_t i = 0; i < p->ni; i++) {
    const double *a = p->in[0] + i * p->in_stride[0], *b = p->in[1] + i * p->in_stride[0];
    double *c = p->out[0] + i * p->out_stride[0], *d = p->out[1] + i * p->out_stride[0];
    for (int64_t j = 0; j < p->nj; j += 8) {
      const __m512d sum = _mm512_add_pd(_mm512_loadu_pd(a + j), _mm512_loadu_pd(b + j));
      _mm512_stream_pd(c + j, sum);
      if (p->outputs == 2) _mm512_stream_pd(d + j, sum);
    }
  }
  _mm_sfence();
}

/* 8 x 8 in registers: rows of pairs, of fours, of eights. */
__attribute__((target("avx512f"))) static inline void transpose_8x8(__m512d r[8]) {
  __m512d t[8];
  for (int k = 0; k < 8; k += 2) {
    t[k] = _mm512_unpacklo_pd(r[k], r[k + 1]);
    t[k + 1] = _mm512_unpackhi_pd(r[k], r[k + 1]);
  }
  for (int k = 0; k < 8; k += 4)
    for (int h = 0; h < 2; h++) {
      r[k + h] = _mm512_shuffle_f64x2(t[k + h], t[k + 2 + h], 0x88);
      r[k + 2 + h] = _mm512_shuffle_f64x2(t[k + h], t[k + 2 + h], 0xdd);
    }
  for (int k = 0; k < 4; k++) {
    t[k] = _mm512_shuffle_f64x2(r[k], r[k + 4], 0x88);
    t[k + 4] = _mm512_shuffle_f64x2(r[k], r[k + 4], 0xdd);
  }
  for (int k = 0; k < 8; k++) r[k] = t[k];
}

__attribute__((target("avx512f"))) static void transpose_avx512(const problem *p, int stream) {
  for (int64_t i = 0; i < p->ni; i += 8)
    for (int64_t j = 0; j < p->nj; j += 8) {
      __m512d r[8];
      for (int k = 0; k < 8; k++) r[k] = _mm512_loadu_pd(p->in[0] + i + (j + k) * p->in_stride[1]);
      transpose_8x8(r);
      for (int k = 0; k < 8; k++) {
        double *at = p->out[0] + (i + k) * p->out_stride[0] + j;
        if (stream)
          _mm512_stream_pd(at, r[k]);
        else
          _mm512_storeu_pd(at, r[k]);
      }
    }
  _mm_sfence();
}
__attribute__((target("avx512f"))) static void transpose_8(const problem *p) {
  transpose_avx512(p, 0);
}
__attribute__((target("avx512f"))) static void transpose_8_nt(const problem *p) {
  transpose_avx512(p, 1);
}
#endif

typedef struct contender {
  const char *name;
  copy_loop loop;
  int avx512;
} contender;

static const contender copies[] = {{"memcpy", copy_memcpy, 0},
#ifdef __SSE2__
                                   {"nt 16 B", copy_nt_sse2, 0},
                                   {"nt 64 B", copy_nt_avx512, 1},
#endif
                                   {NULL, NULL, 0}};
static const contender adds[] = {{"plain", add_plain, 0},
#ifdef __SSE2__
                                 {"nt 16 B", add_nt_sse2, 0},
                                 {"nt 64 B", add_nt_avx512, 1},
#endif
                                 {NULL, NULL, 0}};
static const contender transposes[] = {{"naive", transpose_naive, 0},
#ifdef __SSE2__
                                       {"8x8", transpose_8, 1},
                                       {"8x8 nt", transpose_8_nt, 1},
#endif
                                       {NULL, NULL, 0}};

static int runs_here(const contender *c) {
#ifdef __SSE2__
  return !c->avx512 || __builtin_cpu_supports("avx512f");
#else
  return !c->avx512;
#endif
}

static int right(const problem *p) {
  for (int k = 0; k < p->outputs; k++)
    for (int64_t i = 0; i < p->ni; i++)
      for (int64_t j = 0; j < p->nj; j++) {
        double want = 0;
        for (int n = 0; n < p->inputs; n++)
          want += p->in[n][i * p->in_stride[0] + j * p->in_stride[1]];
        if (p->out[k][i * p->out_stride[0] + j] != want) return 0;
      }
  return 1;
}

static void clear(const problem *p) {
  for (int k = 0; k < p->outputs; k++)
    for (int64_t i = 0; i < p->ni; i++)
      memset(p->out[k] + i * p->out_stride[0], 0, (size_t)p->nj * sizeof(double));
}

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static double once(copy_loop loop, const problem *p, int repeats) {
  loop(p); /* what lies in the cache is what this loop leaves there */
  const double start = now();
  for (int i = 0; i < repeats; i++) loop(p);
  return (now() - start) / repeats;
}

static int by_value(const void *a, const void *b) {
  const double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

/* All in turn, round by round, so that they see the same machine; the fastest. */
static int compare(const problem *p, const contender *bare) {
  enum { MOST = 8, ROUNDS = 21 };
  static double seconds[MOST][ROUNDS];
  const double bytes = (double)(p->ni * p->nj * (p->inputs + p->outputs)) * sizeof(double);
  const int repeats = bytes < 4e6 ? (int)(4e6 / bytes) : 1;
  int count = 1, wrong = 0;
  while (bare[count - 1].name) count++;
  for (int c = 0; c < count; c++) {
    if (c > 0 && !runs_here(&bare[c - 1])) continue;
    clear(p);
    (c == 0 ? library : bare[c - 1].loop)(p);
    if (!right(p))
      wrong = 1, fprintf(stderr, "WRONG RESULT: %s %s\n", p->name, c ? bare[c - 1].name : "");
  }
  for (int round = 0; round < ROUNDS; round++)
    for (int c = 0; c < count; c++)
      if (c == 0 || runs_here(&bare[c - 1]))
        seconds[c][round] = once(c == 0 ? library : bare[c - 1].loop, p, repeats);
  double best = 0;
  for (int c = 0; c < count; c++) {
    qsort(seconds[c], ROUNDS, sizeof(double), by_value);
    const double s = seconds[c][0];
    if (c > 0 && runs_here(&bare[c - 1]) && (best == 0 || s < best)) best = s;
  }
  const double mine = seconds[0][0];
  printf("%-22s %5lld x %-5lld %10.2f us %6.2f GB/s  ratio %.2f  |", p->name, (long long)p->ni,
         (long long)p->nj, 1e6 * mine, 1e-9 * bytes / mine, mine / best);
  for (int c = 1; c < count; c++)
    if (runs_here(&bare[c - 1])) printf(" %s %.2f", bare[c - 1].name, 1e6 * seconds[c][0]);
  printf("\n");
  fflush(stdout);
  return wrong;
}

static double *filled(int64_t n) {
  double *x = aligned_alloc(4096, (size_t)n * sizeof *x);
  for (int64_t i = 0; x && i < n; i++) x[i] = (double)(i % 1000003);
  return x;
}

int main(void) {
  enum { LARGEST = 4096 };
  const int64_t most = (int64_t)LARGEST * LARGEST;
  double *a = filled(most), *b = filled(most), *c = filled(most), *d = filled(most);
  if (!a || !b || !c || !d) return 2;
  int wrong = 0;
  const problem tiny = {"copy", 1, 16, 1, 1, {a, b}, {c, d}, {16, 1}, {16, 1}};
  wrong |= compare(&tiny, copies);
  for (int64_t n = 256; n <= LARGEST; n *= 4) {
    const problem cases[] = {
        {"copy S0->S1", n / 2, n / 2, 1, 1, {a, b}, {c, d}, {n, 1}, {n / 2, 1}},
        {"copy S1->S0", n / 2, n / 2, 1, 1, {a, b}, {c, d}, {n / 2, 1}, {n, 1}},
        {"copy whole", n / 2, n, 1, 1, {a, b}, {c, d}, {n, 1}, {n, 1}},
        {"sum 2 to 1", n / 2, n, 2, 1, {a, b}, {c, d}, {n, 1}, {n, 1}},
        {"sum 2 to 2", n / 2, n, 2, 2, {a, b}, {c, d}, {n, 1}, {n, 1}},
        {"transpose block", n / 2, n / 2, 1, 1, {a, b}, {c, d}, {1, n}, {n / 2, 1}},
        {"transpose whole", n, n, 1, 1, {a, b}, {c, d}, {1, n}, {n, 1}},
        {"transpose padded", n - 64, n - 64, 1, 1, {a, b}, {c, d}, {1, n - 8}, {n - 8, 1}},
    };
    enum { COPIES = 3, ADDS = 5, CASES = sizeof cases / sizeof *cases };
    for (int k = 0; k < CASES; k++)
      wrong |= compare(&cases[k], k < COPIES ? copies : k < ADDS ? adds : transposes);
  }
  free(a);
  free(b);
  free(c);
  free(d);
  return wrong;
}
