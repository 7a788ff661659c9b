/* The published random stream, and the numbers made of it. */
#include "dtensor/kernels/philox.h"

#include <complex.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tests/harness/dtest.h"

/* The known answers that come with Random123, the generator's original implementation. */
DTEST(Philox, KnownAnswers) {
  static const struct {
    uint32_t counter[4], key[2], out[4];
  } known[] = {
      {{0, 0, 0, 0}, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
      {{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff},
       {0xffffffff, 0xffffffff},
       {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
      {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
       {0xa4093822, 0x299f31d0},
       {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
  };
  for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
    uint32_t out[4];
    dti_philox(known[i].counter, known[i].key, out);
    EXPECT_MEMEQ(out, known[i].out, sizeof out);
  }
}

/* Counter (index, stream), key the seed: the first block of everything zero is the known one. */
DTEST(Random, IsMadeOfTheBlockOfItsIndex) {
  double x = 0;
  float f = 0;
  dti_random_fill(DTI_UNIFORM, DTENSOR_F64, 0, 0, 0, 1, &x);
  EXPECT_EQ(x, (double)(0xe169c58d6627e8d5u >> 11) * 0x1p-53);
  dti_random_fill(DTI_UNIFORM, DTENSOR_F32, 0, 0, 0, 1, &f);
  EXPECT_EQ(f, (float)(0x6627e8d5u >> 8) * 0x1p-24f);
  dti_random_fill(DTI_UNIFORM, DTENSOR_F64, 0x299f31d0a4093822u, 0x0370734413198a2eu,
                  0x85a308d3243f6a88u, 1, &x);
  EXPECT_EQ(x, (double)(0x94fdccebd16cfe09u >> 11) * 0x1p-53);
}

static const dtensor_dtype dtypes[] = {DTENSOR_F32, DTENSOR_F64, DTENSOR_C64, DTENSOR_C128};

DTEST(Random, AnySliceHasTheSameBits) {
  enum { N = 1000 };
  for (int d = 0; d < 4; d++)
    for (dti_random kind = DTI_UNIFORM; kind <= DTI_NORMAL; kind++) {
      const size_t element = dtensor_dtype_size(dtypes[d]);
      char *whole = malloc(N * element), *pieces = malloc(N * element);
      const uint64_t first = UINT32_MAX - 300; /* the index grows past 32 bits */
      dti_random_fill(kind, dtypes[d], 42, 7, first, N, whole);
      for (int64_t i = 0, n = 1; i < N; i += n, n = n * 2 + 1) {
        if (n > N - i) n = N - i;
        dti_random_fill(kind, dtypes[d], 42, 7, first + (uint64_t)i, n,
                        pieces + (size_t)i * element);
      }
      EXPECT_MEMEQ(whole, pieces, N * element);
      dti_random_fill(kind, dtypes[d], 42, 8, first, N, pieces);
      EXPECT_NE(memcmp(whole, pieces, N * element), 0);
      dti_random_fill(kind, dtypes[d], 43, 7, first, N, pieces);
      EXPECT_NE(memcmp(whole, pieces, N * element), 0);
      free(whole);
      free(pieces);
    }
}

/* Means and variances within 5 standard deviations of a sample of N. */
DTEST(Random, Moments) {
  enum { N = 200000 };
  const double deviation = 1 / sqrt(N);
  double *x = malloc(N * sizeof *x);
  float *f = malloc(N * sizeof *f);
  double complex *z = malloc(N * sizeof *z);

  double mean = 0, square = 0;
  dti_random_fill(DTI_UNIFORM, DTENSOR_F64, 1, 2, 0, N, x);
  int inside = 1;
  for (int i = 0; i < N; i++) {
    inside &= x[i] >= 0 && x[i] < 1;
    mean += x[i] / N;
    square += (x[i] - 0.5) * (x[i] - 0.5) / N;
  }
  EXPECT_TRUE(inside);
  EXPECT_NEAR(mean, 0.5, 5 * deviation * sqrt(1.0 / 12));
  EXPECT_NEAR(square, 1.0 / 12, 5 * deviation);

  dti_random_fill(DTI_UNIFORM, DTENSOR_F32, 1, 2, 0, N, f);
  inside = 1;
  for (int i = 0; i < N; i++) inside &= f[i] >= 0 && f[i] < 1;
  EXPECT_TRUE(inside);

  mean = square = 0;
  double fourth = 0;
  dti_random_fill(DTI_NORMAL, DTENSOR_F64, 1, 3, 0, N, x);
  for (int i = 0; i < N; i++) {
    mean += x[i] / N;
    square += x[i] * x[i] / N;
    fourth += x[i] * x[i] * x[i] * x[i] / N;
  }
  EXPECT_NEAR(mean, 0, 5 * deviation);
  EXPECT_NEAR(square, 1, 5 * deviation * sqrt(2));
  EXPECT_NEAR(fourth, 3, 5 * deviation * sqrt(96));

  double re = 0, im = 0, both = 0;
  dti_random_fill(DTI_NORMAL, DTENSOR_C128, 1, 3, 0, N, z);
  for (int i = 0; i < N; i++) {
    re += creal(z[i]) * creal(z[i]) / N;
    im += cimag(z[i]) * cimag(z[i]) / N;
    both += creal(z[i]) * cimag(z[i]) / N;
  }
  EXPECT_NEAR(re, 0.5, 5 * deviation);
  EXPECT_NEAR(im, 0.5, 5 * deviation);
  EXPECT_NEAR(both, 0, 5 * deviation);

  both = 0;
  dti_random_fill(DTI_UNIFORM, DTENSOR_C128, 1, 3, 0, N, z);
  for (int i = 0; i < N; i++) both += (creal(z[i]) - 0.5) * (cimag(z[i]) - 0.5) / N;
  EXPECT_NEAR(both, 0, 5 * deviation / 12);
  free(x);
  free(f);
  free(z);
}
