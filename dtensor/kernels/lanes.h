/* The inner loop of a reduction of a row to one value: as many sums side by side as there are
 * lanes, which vectorises and keeps errors small, folded pairwise at the end. */
#ifndef DTENSOR_KERNELS_LANES_H_
#define DTENSOR_KERNELS_LANES_H_

#include <stdint.h>

enum { DTI_LANES = 16 };

/* result = combine of term(at(i)), 0 <= i < n, n > 0. at(i) names element i, term(v) is what it
 * counts for, combine(a, b) is of two values. All three may be macros. */
#define DTI_REDUCE_LANES(type, result, n, at, term, combine)                                 \
  do {                                                                                       \
    if ((n) < DTI_LANES) {                                                                   \
      (result) = (type)term(at(0));                                                          \
      for (int64_t i = 1; i < (n); i++) (result) = (type)combine(result, term(at(i)));       \
      break;                                                                                 \
    }                                                                                        \
    type lane[DTI_LANES];                                                                    \
    for (int64_t l = 0; l < DTI_LANES; l++) lane[l] = (type)term(at(l));                     \
    int64_t i = DTI_LANES;                                                                   \
    for (; i + DTI_LANES <= (n); i += DTI_LANES) {                                           \
      _Pragma("omp simd") for (int64_t l = 0; l < DTI_LANES; l++) lane[l] =                  \
          (type)combine(lane[l], term(at(i + l)));                                           \
    }                                                                                        \
    for (int64_t l = 0; i + l < (n); l++) lane[l] = (type)combine(lane[l], term(at(i + l))); \
    for (int64_t left = DTI_LANES / 2; left > 0; left /= 2)                                  \
      for (int64_t l = 0; l < left; l++) lane[l] = (type)combine(lane[l], lane[l + left]);   \
    (result) = lane[0];                                                                      \
  } while (0)

#endif
