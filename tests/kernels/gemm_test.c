/* Matrix multiplication of any strides, and the thread count of BLAS. */
#include "dtensor/kernels/gemm.h"

#include <cblas.h>
#include <complex.h>
#include <math.h>
#include <omp.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "dtensor/base/alloc.h"
#include "dtensor/base/event.h"
#include "tests/harness/dtest.h"
#include "tests/kernels/random_arrays.h"
#include "tests/kernels/values.h"

static const dtensor_dtype dtypes[] = {DTENSOR_F32, DTENSOR_F64, DTENSOR_C64, DTENSOR_C128};

/* Whether c is what it should be; old: c before, or NULL where it is not read. */
static int is_product(dtensor_dtype dtype, const dti_array *c, const dti_array *a,
                      const dti_array *b, const dti_gemm_terms *terms, const dti_array *old) {
  const size_t element = dtensor_dtype_size(dtype);
  const double complex alpha = terms ? terms->alpha[0] + terms->alpha[1] * I : 1;
  const double complex beta = terms ? terms->beta[0] + terms->beta[1] * I : 0;
  int good = 1;
  for (int64_t i = 0; i < c->shape[0]; i++)
    for (int64_t j = 0; j < c->shape[1]; j++) {
      value want = {0, 0};
      for (int64_t l = 0; l < a->shape[1]; l++) {
        const double complex x = load(dtype, at_index(a, (const int64_t[]){i, l}, element)).number;
        const double complex y = load(dtype, at_index(b, (const int64_t[]){l, j}, element)).number;
        want.number += (terms && terms->conjugate_a ? conj(x) : x) *
                       (terms && terms->conjugate_b ? conj(y) : y);
      }
      want.number *= alpha;
      if (old)
        want.number += beta * load(dtype, at_index(old, (const int64_t[]){i, j}, element)).number;
      char bytes[16];
      store(dtype, want, bytes);
      good &= near(dtype, at_index(c, (const int64_t[]){i, j}, element), bytes, 8,
                   400.0 * (double)(a->shape[1] + 1));
    }
  return good;
}

/* Terms with a beta of 0 in one case of three. */
static dti_gemm_terms random_terms(dtensor_dtype dtype) {
  dti_gemm_terms terms = {.alpha = {(double)random_below(5) - 2}};
  if (random_below(3)) terms.beta[0] = (double)random_below(3) - 1;
  if (!is_complex(dtype)) return terms;
  terms.alpha[1] = (double)random_below(3) - 1;
  if (terms.beta[0] != 0) terms.beta[1] = (double)random_below(3) - 1;
  terms.conjugate_a = (int)random_below(2);
  terms.conjugate_b = (int)random_below(2);
  return terms;
}

static void multiply_one(dtensor_dtype dtype, int64_t m, int64_t n, int64_t k, int threads) {
  const size_t element = dtensor_dtype_size(dtype);
  random_array a = make_array(2, (const int64_t[]){m, k}, element),
               b = make_array(2, (const int64_t[]){k, n}, element),
               c = make_array(2, (const int64_t[]){m, n}, element);
  const dti_gemm_terms terms = random_terms(dtype);
  const int reads = terms.beta[0] != 0 || terms.beta[1] != 0, plain = random_below(2) && !reads;
  fill_values(&a, dtype);
  fill_values(&b, dtype); /* c: random bytes, NaN among them, must not matter unless it is read */
  if (reads) fill_values(&c, dtype);
  if (random_below(10) == 0) a.view.stride[random_below(2)] = 0;
  if (random_below(10) == 0) b.view.stride[random_below(2)] = 0;
  char *outside = malloc(c.bytes + 1), *before = malloc(c.bytes + 1);
  memcpy(outside, c.memory, c.bytes);
  memcpy(before, c.memory, c.bytes);
  dti_array old = c.view;
  old.data = before + ((char *)c.view.data - c.memory);
  EXPECT_OK(dti_gemm(dtype, &c.view, &a.view, &b.view, plain ? NULL : &terms, threads));
  EXPECT_TRUE(
      is_product(dtype, &c.view, &a.view, &b.view, plain ? NULL : &terms, reads ? &old : NULL));
  /* What lies between the elements of c is not touched. */
  for (int64_t i = 0; i < m; i++)
    for (int64_t j = 0; j < n; j++) {
      char *at = at_index(&c.view, (const int64_t[]){i, j}, element);
      memcpy(outside + (at - c.memory), at, element);
    }
  EXPECT_MEMEQ(outside, c.memory, c.bytes);
  free(before);
  free(outside);
  free_array(&a);
  free_array(&b);
  free_array(&c);
}

DTEST(Gemm, AnyStrides) {
  random_seed(1);
  for (int i = 0; i < 2000; i++)
    multiply_one(dtypes[i % 4], random_below(9), random_below(9), random_below(9), 1 + i / 4 % 2);
  for (int i = 0; i < 24; i++)
    multiply_one(dtypes[i % 4], 1 + random_below(90), 1 + random_below(90), 1 + random_below(90),
                 1 + i / 4 % 2);
}

DTEST(Gemm, CutsWhatIsLong) {
  const int64_t n = (1 << 24) + 5;
  float *column = malloc((size_t)n * sizeof *column), *out = malloc((size_t)n * sizeof *out);
  for (int64_t i = 0; i < n; i++) column[i] = (float)(i % 7);
  float two = 2;
  const dti_array a = {column, 2, {n, 1}, {1, 1}}, b = {&two, 2, {1, 1}, {1, 1}},
                  c = {out, 2, {n, 1}, {1, 1}};
  EXPECT_OK(dti_gemm(DTENSOR_F32, &c, &a, &b, NULL, 1)); /* m */
  int good = 1;
  for (int64_t i = 0; i < n; i++) good &= out[i] == 2 * column[i];
  EXPECT_TRUE(good);
  memset(out, 0, (size_t)n * sizeof *out);
  const dti_array row = {column, 2, {1, n}, {n, 1}}, c_row = {out, 2, {1, n}, {n, 1}};
  EXPECT_OK(dti_gemm(DTENSOR_F32, &c_row, &b, &row, NULL, 1)); /* n */
  good = 1;
  for (int64_t i = 0; i < n; i++) good &= out[i] == 2 * column[i];
  EXPECT_TRUE(good);
  for (int64_t i = 0; i < n; i++)
    column[i] = (float)(i >= n - 4); /* k: only the last piece counts */
  const dti_array ones = {&two, 2, {n, 1}, {0, 0}}, sum = {out, 2, {1, 1}, {-7, -7}};
  EXPECT_OK(dti_gemm(DTENSOR_F32, &sum, &row, &ones, NULL, 1));
  EXPECT_EQ(out[0], 8.0f);
  free(column);
  free(out);
}

DTEST(Gemm, NoMemoryForACopy) {
  double data[16] = {1}, out[16];
  const dti_array reversed = {data + 15, 2, {4, 4}, {-4, -1}}, c = {out, 2, {4, 4}, {4, 1}},
                  scattered = {out + 15, 2, {4, 4}, {-4, -1}};
  for (int after = 0; after < 3; after++) {
    dti_alloc_fail_after(after);
    EXPECT_STATUS(DTENSOR_ENOMEM, dti_gemm(DTENSOR_F64, &scattered, &reversed, &reversed, NULL, 1));
  }
  dti_alloc_fail_after(-1);
  EXPECT_OK(dti_gemm(DTENSOR_F64, &scattered, &reversed, &reversed, NULL, 1));
  EXPECT_TRUE(is_product(DTENSOR_F64, &scattered, &reversed, &reversed, NULL, NULL));
  dti_alloc_fail_after(0);
  const dti_array plain = {data, 2, {4, 4}, {1, 4}};
  EXPECT_OK(dti_gemm(DTENSOR_F64, &c, &plain, &plain, NULL, 1)); /* no copy, so no allocation */
  dti_alloc_fail_after(-1);
}

static void keep_event(const dti_event *event, void *ctx) { *(dti_event *)ctx = *event; }

DTEST(Gemm, TellsWhatItComputed) {
  dti_event seen = {0};
  float a[6] = {1}, b[8] = {1}, c[12];
  const dti_array x = {a, 2, {3, 2}, {2, 1}}, y = {b, 2, {2, 4}, {4, 1}},
                  z = {c, 2, {3, 4}, {4, 1}};
  dti_event_listen(keep_event, &seen);
  EXPECT_OK(dti_gemm(DTENSOR_F32, &z, &x, &y, NULL, 1));
  dti_event_listen(NULL, NULL);
  EXPECT_STREQ(seen.name, "gemm");
  EXPECT_EQ(seen.kind, DTI_EVENT_COMPUTE);
  EXPECT_EQ(seen.flops, 48.0);
  EXPECT_LE(seen.begin, seen.end);
}

/* ---- threads */

DTEST(BlasThreads, IsTheOpenMPBuild) { EXPECT_EQ(openblas_get_parallel(), OPENBLAS_OPENMP); }

DTEST(BlasThreads, AreRestored) {
  random_seed(2);
  const int blas_before = openblas_get_num_threads(), openmp_before = omp_get_max_threads();
  static const int counts[] = {1, 2, 3};
  for (int b = 0; b < 3; b++)
    for (int o = 0; o < 3; o++)
      for (int t = 0; t < 3; t++) {
        openblas_set_num_threads(counts[b]);
        omp_set_num_threads(counts[o]);
        dti_blas_threads_enter(counts[t]);
        EXPECT_EQ(omp_get_max_threads(), counts[t]);
        if (counts[t] > 1) EXPECT_EQ(openblas_get_num_threads(), counts[t]);
        multiply_one(DTENSOR_F64, 40, 50, 60, 7); /* nested: stays with the outer count */
        EXPECT_EQ(omp_get_max_threads(), counts[t]);
        dti_blas_threads_leave();
        EXPECT_EQ(openblas_get_num_threads(), counts[b]);
        EXPECT_EQ(omp_get_max_threads(), counts[o]);
        multiply_one(DTENSOR_F64, 70, 80, 90, counts[t]);
        EXPECT_EQ(openblas_get_num_threads(), counts[b]);
        EXPECT_EQ(omp_get_max_threads(), counts[o]);
      }
  openblas_set_num_threads(blas_before);
  omp_set_num_threads(openmp_before);
}

typedef struct caller {
  int threads, own; /* what it asks for, what it had */
  int good;
} caller;

/* Ranks that are threads: some ask for one thread, some for two, some for three. */
static void *call_often(void *ctx) {
  caller *c = ctx;
  double a[64 * 64], out[64 * 64];
  for (int i = 0; i < 64 * 64; i++) a[i] = i % 11;
  const dti_array x = {a, 2, {64, 64}, {64, 1}}, y = {out, 2, {64, 64}, {64, 1}};
  omp_set_num_threads(c->own);
  c->good = 1;
  for (int i = 0; i < 30; i++) {
    dti_blas_threads_enter(c->threads);
    c->good &= omp_get_max_threads() == c->threads;
    if (c->threads > 1) c->good &= openblas_get_num_threads() == c->threads;
    c->good &= dti_gemm(DTENSOR_F64, &y, &x, &x, NULL, c->threads) == DTENSOR_OK;
    dti_blas_threads_leave();
    c->good &= omp_get_max_threads() == c->own;
  }
  c->good &= is_product(DTENSOR_F64, &y, &x, &x, NULL, NULL);
  return NULL;
}

DTEST(BlasThreads, CallersOverlap) {
  const int blas_before = openblas_get_num_threads(), openmp_before = omp_get_max_threads();
  enum { CALLERS = 6 };
  pthread_t thread[CALLERS];
  caller callers[CALLERS];
  for (int i = 0; i < CALLERS; i++) {
    callers[i] = (caller){.threads = 1 + i % 3, .own = 1 + i / 3};
    REQUIRE_EQ(pthread_create(&thread[i], NULL, call_often, &callers[i]), 0);
  }
  for (int i = 0; i < CALLERS; i++) {
    pthread_join(thread[i], NULL);
    EXPECT_TRUE(callers[i].good);
  }
  EXPECT_EQ(openblas_get_num_threads(), blas_before);
  EXPECT_EQ(omp_get_max_threads(), openmp_before);
}
