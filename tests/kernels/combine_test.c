/* Combining regions of several arrays, against one element at a time. */
#include "dtensor/kernels/combine.h"

#include <stdlib.h>
#include <string.h>

#include "dtensor/base/dtype.h"
#include "dtensor/kernels/cpu.h"
#include "dtensor/kernels/stream.h"
#include "tests/harness/dtest.h"
#include "tests/kernels/random_arrays.h"
#include "tests/kernels/values.h"

enum { INPUTS = 5, OUTPUTS = 4, RUNS = 512 };

/* A part in memory of its own: a region of given lengths, cut at random. */
typedef struct operand {
  random_array array;
  dti_region region;
  dti_run runs[DTENSOR_MAX_NDIM][RUNS];
  char *before; /* the memory, to start over */
} operand;

static operand in[INPUTS], out[OUTPUTS];

/* cuts: 0 for one run in each dimension. */
static void make_operand(operand *o, int ndim, const int64_t length[], int cuts,
                         dtensor_dtype dtype) {
  int64_t shape[DTENSOR_MAX_NDIM];
  o->region.ndim = ndim;
  o->region.elements = elements_of(ndim, length);
  for (int d = 0; d < ndim; d++) {
    const int64_t longest = cuts ? 1 + random_below(length[d] + 1) : length[d];
    int64_t count = 0, end = random_below(3);
    for (int64_t left = length[d]; left > 0; count++) {
      int64_t n = cuts ? 1 + random_below(longest) : left;
      if (n > left || count == RUNS - 1) n = left;
      o->runs[d][count] = (dti_run){end, n};
      end += n + random_below(2);
      left -= n;
    }
    o->region.count[d] = count;
    o->region.runs[d] = o->runs[d];
    shape[d] = end + random_below(3);
  }
  o->array = random_below(4) ? make_array(ndim, shape, dtensor_dtype_size(dtype))
                             : make_dense(ndim, shape, dtensor_dtype_size(dtype));
  fill_values(&o->array, dtype);
  o->before = malloc(o->array.bytes + 1);
  memcpy(o->before, o->array.memory, o->array.bytes);
}

static void free_operand(operand *o) {
  free_array(&o->array);
  free(o->before);
}

static dti_part part_of(const operand *o) {
  return (dti_part){o->array.view.data, o->array.view.stride, &o->region};
}

static void *element_at(const operand *o, const int64_t position[], size_t element) {
  int64_t index[DTENSOR_MAX_NDIM];
  for (int d = 0; d < o->region.ndim; d++) {
    int64_t r = 0, n = position[d];
    while (n >= o->runs[d][r].length) n -= o->runs[d][r++].length;
    index[d] = o->runs[d][r].begin + n;
  }
  return at_index(&o->array.view, index, element);
}

typedef struct problem {
  dtensor_dtype dtype;
  dtensor_reduce_op op;
  int64_t divisor;
  int inputs, outputs;
  int in_place; /* out[0] is in[0] */
  int ndim;
  int64_t length[DTENSOR_MAX_NDIM];
} problem;

/* Rounded to what the sum is kept in after each step. */
static value expected(const problem *p, const int64_t position[]) {
  const int half = dti_dtype_class_of(p->dtype) == DTI_CLASS_HALF;
  const dtensor_dtype kept = half ? DTENSOR_F32 : p->dtype;
  const size_t element = dtensor_dtype_size(p->dtype);
  value total = load(p->dtype, element_at(&in[0], position, element));
  char rounded[16];
  for (int k = 1; k < p->inputs; k++) {
    total = reduced(p->op, p->dtype == DTENSOR_BOOL, total,
                    load(p->dtype, element_at(&in[k], position, element)));
    store(kept, total, rounded);
    total = load(kept, rounded);
  }
  if (p->divisor > 1 && p->dtype != DTENSOR_BOOL) {
    total.number /= (double)p->divisor;
    total.integer /= p->divisor;
  }
  return total;
}

/* What out[0] has to hold in row-major order. */
static char *reference(const problem *p) {
  const size_t element = dtensor_dtype_size(p->dtype);
  char *want = malloc((size_t)out[0].region.elements * element + 1), *at = want;
  int64_t position[DTENSOR_MAX_NDIM] = {0};
  if (out[0].region.elements > 0) do {
      store(p->dtype, expected(p, position), at);
      at += element;
    } while (next_index(p->ndim, p->length, position));
  return want;
}

/* The region is as wanted, and nothing else has changed. */
static int result_is(const problem *p, const operand *o, const char *want) {
  const size_t element = dtensor_dtype_size(p->dtype);
  const double ulps = is_complex(p->dtype) ? 8 : 0; /* products of complex numbers */
  int64_t position[DTENSOR_MAX_NDIM] = {0};
  int right = 1;
  char *now = malloc(o->array.bytes + 1);
  memcpy(now, o->array.memory, o->array.bytes);
  if (o->region.elements > 0) do {
      char *at = element_at(o, position, element);
      right &= near(p->dtype, at, want, ulps, 1);
      const ptrdiff_t offset = at - o->array.memory;
      memcpy(now + offset, o->before + offset, element);
      want += element;
    } while (next_index(p->ndim, p->length, position));
  right &= memcmp(now, o->before, o->array.bytes) == 0;
  free(now);
  return right;
}

static void run(const problem *p, int threads) {
  dti_part from[INPUTS], to[OUTPUTS];
  for (int k = 0; k < p->inputs; k++) from[k] = part_of(&in[k]);
  for (int k = 0; k < p->outputs; k++) to[k] = part_of(&out[k]);
  if (p->in_place) to[0] = from[0];
  dti_combine(p->dtype, p->op, p->divisor, p->inputs, from, p->outputs, to, threads);
}

/* How the kernels may go about it. */
static const struct {
  int64_t stream_from;
  int features;
} ways[] = {{INT64_MAX, ~0}, {1, ~0}, {INT64_MAX, 0}, {1, 0}};

/* in[] and out[] are made. Every way gives the bits of the first. */
static void check(const problem *p, int threads) {
  operand *first = p->in_place ? &in[0] : &out[0];
  char *want = reference(p), *results[OUTPUTS];
  for (size_t w = 0; w < sizeof ways / sizeof *ways; w++) {
    dti_stream_from(ways[w].stream_from);
    dti_cpu_restrict(ways[w].features);
    run(p, w == 0 ? 1 : threads);
    for (int k = 0; k < p->outputs; k++) {
      operand *o = k == 0 ? first : &out[k];
      if (w > 0) {
        EXPECT_MEMEQ(o->array.memory, results[k], o->array.bytes);
      } else {
        EXPECT_TRUE(result_is(p, o, want));
        results[k] = malloc(o->array.bytes + 1);
        memcpy(results[k], o->array.memory, o->array.bytes);
      }
      memcpy(o->array.memory, o->before, o->array.bytes);
    }
  }
  for (int k = 0; k < p->outputs; k++) free(results[k]);
  dti_stream_from(0);
  dti_cpu_restrict(~0);
  free(want);
}

static void check_random(problem p, int cuts, int threads) {
  for (int k = 0; k < p.inputs; k++) {
    make_operand(&in[k], p.ndim, p.length, cuts, p.dtype);
    if (p.ndim > 0 && !(p.in_place && k == 0) && random_below(8) == 0)
      in[k].array.view.stride[random_below(p.ndim)] = 0;
  }
  for (int k = 0; k < p.outputs; k++) make_operand(&out[k], p.ndim, p.length, cuts, p.dtype);
  check(&p, threads);
  for (int k = 0; k < p.inputs; k++) free_operand(&in[k]);
  for (int k = 0; k < p.outputs; k++) free_operand(&out[k]);
}

static problem random_problem(dtensor_dtype dtype, dtensor_reduce_op op, int max_ndim,
                              int64_t max_size) {
  problem p = {.dtype = dtype, .op = op};
  p.divisor = random_below(3) ? 1 : 2 + random_below(3);
  p.inputs = 1 + (int)random_below(INPUTS);
  p.outputs = 1 + (int)random_below(OUTPUTS);
  p.in_place = random_below(4) == 0;
  p.ndim = random_shape(max_ndim, max_size, p.length);
  return p;
}

DTEST(Combine, EveryDtypeAndOp) {
  random_seed(1);
  for (dtensor_dtype dtype = DTENSOR_F32; dtype <= DTENSOR_F16; dtype++)
    for (dtensor_reduce_op op = DTENSOR_SUM; op <= DTENSOR_BXOR; op++)
      if (dti_dtype_reduces(dtype, op)) {
        for (int i = 0; i < 25; i++) check_random(random_problem(dtype, op, 5, 6), i % 2, 1);
        check_random(random_problem(dtype, op, 2, 150), 0, 3);
        check_random(random_problem(dtype, op, 2, 150), 1, 3);
      }
}

/* With one input there is no op, and any dtype will do. */
DTEST(Combine, OneInputIsCopied) {
  random_seed(2);
  for (dtensor_dtype dtype = DTENSOR_F32; dtype <= DTENSOR_F16; dtype++)
    for (int i = 0; i < 200; i++) {
      problem p = i < 180 ? random_problem(dtype, DTENSOR_SUM, 5, 5)
                          : random_problem(dtype, DTENSOR_SUM, 2, 90);
      p.inputs = 1;
      p.divisor = 1;
      check_random(p, i % 3, 1 + i % 3);
    }
}

/* A part of a dense matrix of `ld` columns (or rows, if transposed) from an element on. */
static void make_matrix(operand *o, int64_t ni, int64_t nj, int64_t ld, int transposed,
                        int64_t offset, dtensor_dtype dtype) {
  const int64_t extent = offset + (transposed ? nj : ni) * ld;
  o->array = make_dense(1, &extent, dtensor_dtype_size(dtype));
  fill_values(&o->array, dtype);
  o->before = malloc(o->array.bytes + 1);
  memcpy(o->before, o->array.memory, o->array.bytes);
  o->array.view.data = o->array.memory + (size_t)offset * dtensor_dtype_size(dtype);
  o->array.view.ndim = 2;
  o->array.view.shape[0] = ni;
  o->array.view.shape[1] = nj;
  o->array.view.stride[0] = transposed ? 1 : ld;
  o->array.view.stride[1] = transposed ? ld : 1;
  o->region.ndim = 2;
  o->region.elements = ni * nj;
  for (int d = 0; d < 2; d++) {
    o->runs[d][0] = (dti_run){0, d ? nj : ni};
    o->region.count[d] = 1;
    o->region.runs[d] = o->runs[d];
  }
}

static void check_matrices(dtensor_dtype dtype, int inputs, int outputs, int64_t ni, int64_t nj,
                           int transposed, int threads) {
  const problem p = {.dtype = dtype,
                     .op = DTENSOR_SUM,
                     .divisor = 1,
                     .inputs = inputs,
                     .outputs = outputs,
                     .ndim = 2,
                     .length = {ni, nj}};
  for (int k = 0; k < inputs; k++) {
    const int64_t least = transposed ? ni : nj;
    make_matrix(&in[k], ni, nj, least + random_below(9), transposed, random_below(9), dtype);
  }
  for (int k = 0; k < outputs; k++)
    make_matrix(&out[k], ni, nj, nj + random_below(9), 0, random_below(9), dtype);
  check(&p, threads);
  for (int k = 0; k < inputs; k++) free_operand(&in[k]);
  for (int k = 0; k < outputs; k++) free_operand(&out[k]);
}

/* Rows of every length about cache lines and the limits of streaming, at any alignment. */
DTEST(Combine, RowsOfEveryLength) {
  random_seed(3);
  const dtensor_dtype dtypes[] = {DTENSOR_F64, DTENSOR_F32, DTENSOR_C128, DTENSOR_U8};
  for (int64_t n = 1; n < 300; n++)
    for (int k = 0; k < 4; k++)
      check_matrices(dtypes[k], 1 + (int)random_below(5), 1 + (int)random_below(3), 3, n, 0, 1);
  for (int64_t n = 1000; n < 1100; n += 3)
    for (int inputs = 1; inputs <= 5; inputs++)
      check_matrices(dtypes[n % 2], inputs, 1 + (int)random_below(3), 2, n, 0, 1);
  for (int inputs = 1; inputs <= 5; inputs++)
    for (int k = 0; k < 3; k++) check_matrices(dtypes[k], inputs, 2, 40, 1500, 0, 3);
}

/* Transposing, about the sizes of tiles. */
DTEST(Combine, TransposesOfEverySize) {
  random_seed(4);
  const dtensor_dtype dtypes[] = {DTENSOR_F64, DTENSOR_F32, DTENSOR_C128, DTENSOR_U8, DTENSOR_BF16};
  const int64_t sizes[] = {1, 2, 7, 8, 9, 15, 16, 17, 31, 33, 63, 64, 65, 129};
  enum { SIZES = sizeof sizes / sizeof *sizes };
  for (int i = 0; i < SIZES; i++)
    for (int j = 0; j < SIZES; j++)
      for (int k = 0; k < 5; k++) {
        check_matrices(dtypes[k], 1, 1, sizes[i], sizes[j], 1, 1);
        check_matrices(dtypes[k], 1 + (int)random_below(3), 1 + (int)random_below(2), sizes[i],
                       sizes[j], 1, 1);
      }
  for (int k = 0; k < 5; k++)
    for (int outputs = 1; outputs <= 2; outputs++)
      check_matrices(dtypes[k], outputs, outputs, 311, 257, 1, 3);
}

/* Of the size from which results are streamed by themselves on any usual machine. */
DTEST(Combine, LargeMatrices) {
  enum { N = 1100 };
  double *x = malloc(2 * N * N * sizeof *x), *y = malloc(N * N * sizeof *y);
  int good = 1;
  for (int i = 0; i < 2 * N * N; i++) x[i] = i;
  dti_whole square;
  dti_whole_init(&square, 2, (int64_t[]){N, N});
  const int64_t wide[] = {2 * N, 1}, dense[] = {N, 1}, turned[] = {1, 2 * N};
  const dti_part to = {y, dense, &square.region},
                 from[] = {{x + N, wide, &square.region}, {x, turned, &square.region}};
  for (int threads = 1; threads <= 2; threads++) {
    memset(y, 0, N * N * sizeof *y);
    dti_combine(DTENSOR_F64, DTENSOR_SUM, 1, 1, from, 1, &to, threads);
    for (int i = 0; i < N * N; i++) good &= y[i] == i / N * 2 * N + N + i % N;
    dti_combine(DTENSOR_F64, DTENSOR_SUM, 1, 1, from + 1, 1, &to, threads);
    for (int i = 0; i < N * N; i++) good &= y[i] == i % N * 2 * N + i / N;
    dti_combine(DTENSOR_F64, DTENSOR_AVG, 2, 2, from, 1, &to, threads);
    for (int i = 0; i < N * N; i++)
      good &= y[i] == (i / N * 2 * N + N + i % N + i % N * 2 * N + i / N) / 2.0;
  }
  EXPECT_TRUE(good);
  free(x);
  free(y);
}
