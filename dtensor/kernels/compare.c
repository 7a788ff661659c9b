#include <math.h>
#include <stdatomic.h>

#include "dtensor/kernels/nest.h"
#include "dtensor/kernels/parallel.h"
#include "dtensor/kernels/reduce.h"
#include "dtensor/kernels/wide.h"

typedef struct comparison {
  dti_nest nest;
  dtensor_dtype dtype;
  double rtol, atol;
  atomic_int *holds;
} comparison;

/* Equal infinities are close, and an infinity is far from everything else. */
static int within(double difference, double size, const comparison *c) {
  return difference <= c->atol + c->rtol * size && difference < INFINITY;
}

static int reals_agree(const dti_wide *a, const dti_wide *b, int64_t n, const comparison *c) {
  int agree = 1;
  for (int64_t i = 0; i < n; i++) {
    const double x = a->real[i], y = b->real[i];
    agree &= x == y || within(fabs(x - y), fabs(y), c);
  }
  return agree;
}

static int integers_agree(const dti_wide *a, const dti_wide *b, int64_t n, const comparison *c) {
  int agree = 1;
  for (int64_t i = 0; i < n; i++) {
    const int64_t x = a->integer[i], y = b->integer[i];
    const uint64_t difference = x > y ? (uint64_t)x - (uint64_t)y : (uint64_t)y - (uint64_t)x;
    agree &= x == y || within((double)difference, fabs((double)y), c);
  }
  return agree;
}

static int complexes_agree(const dti_wide *a, const dti_wide *b, int64_t n, const comparison *c) {
  int agree = 1;
  for (int64_t i = 0; i < n; i++) {
    const dti_c128 x = a->complex_[i], y = b->complex_[i];
    agree &= x == y || within(cabs(x - y), cabs(y), c);
  }
  return agree;
}

static void compare_row(const void *ctx, int64_t n, char *const at[], const int64_t stride[]) {
  static int (*const agree_of[])(const dti_wide *, const dti_wide *, int64_t,
                                 const comparison *) = {[DTI_WIDE_REAL] = reals_agree,
                                                        [DTI_WIDE_INTEGER] = integers_agree,
                                                        [DTI_WIDE_COMPLEX] = complexes_agree};
  const comparison *c = ctx;
  const int64_t element = (int64_t)c->nest.element[0];
  dti_wide a, b;
  for (int64_t done = 0; done < n; done += DTI_WIDE_BLOCK) {
    if (!atomic_load_explicit(c->holds, memory_order_relaxed)) return;
    const int64_t block = n - done < DTI_WIDE_BLOCK ? n - done : DTI_WIDE_BLOCK;
    dti_widen(c->dtype, block, at[0] + done * stride[0] * element, stride[0], &a);
    dti_widen(c->dtype, block, at[1] + done * stride[1] * element, stride[1], &b);
    if (!agree_of[dti_width_of(c->dtype)](&a, &b, block, c))
      atomic_store_explicit(c->holds, 0, memory_order_relaxed);
  }
}

static void compare_part(const void *ctx, int64_t begin, int64_t end) {
  const comparison *c = ctx;
  dti_nest_walk(&c->nest, begin, end, compare_row, c);
}

int dti_all_close(dtensor_dtype dtype, const dti_array *a, const dti_array *b, double rtol,
                  double atol, int threads) {
  const size_t element = dtensor_dtype_size(dtype);
  atomic_int holds = 1;
  comparison c = {.dtype = dtype, .rtol = rtol, .atol = atol, .holds = &holds};
  dti_nest_init(&c.nest, 2, (const dti_array *const[]){a, b}, (const size_t[]){element, element});
  dti_parallel(c.nest.elements, 64, 2 * c.nest.elements * (int64_t)element, threads, compare_part,
               &c);
  return atomic_load(&holds);
}

/* Nothing but an equal value is within a negative distance. */
int dti_all_equal(dtensor_dtype dtype, const dti_array *a, const dti_array *b, int threads) {
  return dti_all_close(dtype, a, b, 0, -1, threads);
}
