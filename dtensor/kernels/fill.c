#include <string.h>

#include "dtensor/kernels/move.h"
#include "dtensor/kernels/nest.h"
#include "dtensor/kernels/parallel.h"
#include "dtensor/kernels/strided.h"

typedef struct filling {
  dti_nest nest;
  const void *value;
  int one_byte; /* all bytes of the value are the same */
} filling;

static void fill_row(const void *ctx, int64_t n, char *const at[], const int64_t stride[]) {
  const filling *f = ctx;
  const size_t element = f->nest.element[0];
  if (f->one_byte && stride[0] == 1)
    memset(at[0], *(const unsigned char *)f->value, (size_t)n * element);
  else
    dti_move_row(element, n, at[0], stride[0] * (int64_t)element, f->value, 0);
}

static void fill_rows(const void *ctx, int64_t begin, int64_t end) {
  const filling *f = ctx;
  dti_nest_walk(&f->nest, begin, end, fill_row, f);
}

void dti_fill(const dti_array *dst, const void *value, size_t element, int threads) {
  filling f = {.value = value};
  dti_nest_init(&f.nest, 1, (const dti_array *const[]){dst}, (size_t[]){element});
  f.one_byte = memcmp(value, (const char *)value + 1, element - 1) == 0;
  dti_parallel(f.nest.elements, 64, f.nest.elements * (int64_t)element, threads, fill_rows, &f);
}
