/* Strided copies, packing and accumulation against loops over single elements. */
#include "dtensor/kernels/strided.h"

#include <stdlib.h>
#include <string.h>

#include "dtensor/kernels/cpu.h"
#include "dtensor/kernels/stream.h"
#include "tests/harness/dtest.h"
#include "tests/kernels/random_arrays.h"

static const size_t element_sizes[] = {1, 2, 4, 8, 16, 3, 12};
enum { ELEMENT_SIZES = sizeof element_sizes / sizeof *element_sizes };

/* What dst has to be after dst = src, gaps included. */
static char *copied(const random_array *dst, const dti_array *src, size_t element) {
  char *memory = malloc(dst->bytes + 1);
  memcpy(memory, dst->memory, dst->bytes);
  dti_array want = dst->view;
  want.data = memory + ((char *)dst->view.data - dst->memory);
  int64_t index[DTENSOR_MAX_NDIM] = {0}, elements = 1;
  for (int d = 0; d < src->ndim; d++) elements *= src->shape[d];
  if (elements > 0) do
      memcpy(at_index(&want, index, element), at_index(src, index, element), element);
    while (next_index(src->ndim, src->shape, index));
  return memory;
}

static void copy_one(int max_ndim, int64_t max_size, int threads) {
  const size_t element = element_sizes[random_below(ELEMENT_SIZES)];
  int64_t shape[DTENSOR_MAX_NDIM];
  const int ndim = random_shape(max_ndim, max_size, shape);
  random_array dst = make_array(ndim, shape, element), src = make_array(ndim, shape, element);
  if (ndim > 0 && random_below(8) == 0) src.view.stride[random_below(ndim)] = 0;
  char *want = copied(&dst, &src.view, element);
  dti_copy(&dst.view, &src.view, element, threads);
  EXPECT_MEMEQ(dst.memory, want, dst.bytes);
  free(want);
  free_array(&dst);
  free_array(&src);
}

DTEST(Copy, AnyStrides) {
  random_seed(1);
  for (int i = 0; i < 4000; i++) copy_one(4, 7, 1 + i % 2);
  for (int i = 0; i < 60; i++) copy_one(2, 300, 1 + i % 2);
  for (int i = 0; i < 60; i++) copy_one(3, 60, 1 + i % 3);
  for (int i = 0; i < 20; i++) copy_one(8, 4, 2);
}

/* Dense rows that begin anywhere in a line, with or without a gap between two. */
static random_array make_rows(int64_t rows, int64_t bytes) {
  random_array array =
      make_dense(2, (int64_t[]){rows, bytes + 64 + random_below(2) * random_below(100)}, 1);
  array.view.data = (char *)array.view.data + random_below(64);
  if (random_below(2)) array.view.stride[0] = bytes;
  array.view.shape[1] = bytes;
  return array;
}

/* Rows for each way of copying: of a few bytes, lines, pages, and the pieces of a long one. */
DTEST(Copy, LongRowsOnAnyProcessor) {
  static const int64_t bytes[] = {250, 257, 4095, 4096, 4097, 70001, 262144, 262145, 600007};
  static const int features[] = {0, DTI_CPU_AVX512, DTI_CPU_FAST_STRINGS, ~0};
  random_seed(7);
  for (size_t b = 0; b < sizeof bytes / sizeof *bytes; b++)
    for (size_t f = 0; f < sizeof features / sizeof *features; f++)
      for (int stream = 0; stream < 2; stream++)
        for (int rows = 1; rows <= 3; rows += 2) {
          random_array dst = make_rows(rows, bytes[b]), src = make_rows(rows, bytes[b]);
          char *want = copied(&dst, &src.view, 1);
          dti_cpu_restrict(features[f]);
          dti_stream_from(stream ? 1 : INT64_MAX);
          dti_copy(&dst.view, &src.view, 1, 1 + rows / 2);
          EXPECT_MEMEQ(dst.memory, want, dst.bytes);
          free(want);
          free_array(&dst);
          free_array(&src);
        }
  dti_cpu_restrict(~0);
  dti_stream_from(0);
}

DTEST(Cpu, CanBeRestricted) {
  const dti_cpu_feature all[] = {DTI_CPU_AVX512, DTI_CPU_FAST_STRINGS};
  const int has[] = {dti_cpu_has(all[0]), dti_cpu_has(all[1])};
  for (int i = 0; i < 2; i++) {
    dti_cpu_restrict(~(int)all[i]);
    EXPECT_FALSE(dti_cpu_has(all[i]));
    EXPECT_EQ(dti_cpu_has(all[!i]), has[!i]);
  }
  dti_cpu_restrict(~0);
  for (int i = 0; i < 2; i++) EXPECT_EQ(dti_cpu_has(all[i]), has[i]);
}

DTEST(Fill, AnyStrides) {
  random_seed(2);
  for (int i = 0; i < 2000; i++) {
    const size_t element = element_sizes[random_below(ELEMENT_SIZES)];
    int64_t shape[DTENSOR_MAX_NDIM];
    const int ndim = i < 1900 ? random_shape(4, 7, shape) : random_shape(2, 300, shape);
    random_array dst = make_array(ndim, shape, element);
    char value[16];
    for (int b = 0; b < 16; b++) value[b] = i % 3 ? (char)random_below(256) : 0;
    dti_array repeated = dst.view;
    repeated.data = value;
    for (int d = 0; d < ndim; d++) repeated.stride[d] = 0;
    char *want = copied(&dst, &repeated, element);
    dti_fill(&dst.view, value, element, 1 + i % 2);
    EXPECT_MEMEQ(dst.memory, want, dst.bytes);
    free(want);
    free_array(&dst);
  }
}

/* A random region of an array: of each dimension everything, one run, or a mixture of runs with and
 * without gaps. */
typedef struct random_region {
  dti_region region;
  dti_run runs[DTENSOR_MAX_NDIM][512];
} random_region;

static void fill_region(random_region *r, int ndim, const int64_t shape[]) {
  r->region.ndim = ndim;
  r->region.elements = 1;
  for (int d = 0; d < ndim; d++) {
    const int64_t kind = random_below(4);
    int64_t count = 0, length = 0;
    for (int64_t begin = kind ? random_below(2) : 0; begin < shape[d];) {
      int64_t n = kind == 0   ? shape[d]
                  : kind == 1 ? 1 + random_below(shape[d])
                  : kind == 2 ? 1 + random_below(shape[d] / 2 + 1)
                              : 1 + random_below(3);
      if (n > shape[d] - begin) n = shape[d] - begin;
      r->runs[d][count++] = (dti_run){begin, n};
      length += n;
      begin = kind == 1 ? shape[d] : begin + n + random_below(3);
    }
    r->region.count[d] = count;
    r->region.runs[d] = r->runs[d];
    r->region.elements *= length;
  }
}

/* The indices of a region along one dimension, one by one. */
static int64_t nth_index(const dti_region *region, int d, int64_t n) {
  int64_t r = 0;
  while (n >= region->runs[d][r].length) n -= region->runs[d][r++].length;
  return region->runs[d][r].begin + n;
}

static void lengths(const dti_region *region, int64_t length[]) {
  for (int d = 0; d < region->ndim; d++) {
    length[d] = 0;
    for (int64_t r = 0; r < region->count[d]; r++) length[d] += region->runs[d][r].length;
  }
}

static void *region_element(const dti_array *array, const dti_region *region,
                            const int64_t position[], size_t element) {
  int64_t index[DTENSOR_MAX_NDIM];
  for (int d = 0; d < array->ndim; d++) index[d] = nth_index(region, d, position[d]);
  return at_index(array, index, element);
}

static void pack_one(int max_ndim, int64_t max_size, int threads) {
  static random_region r;
  const size_t element = element_sizes[random_below(ELEMENT_SIZES)];
  int64_t shape[DTENSOR_MAX_NDIM], length[DTENSOR_MAX_NDIM], position[DTENSOR_MAX_NDIM] = {0};
  const int ndim = random_shape(max_ndim, max_size, shape);
  random_array data = make_array(ndim, shape, element);
  fill_region(&r, ndim, shape);
  lengths(&r.region, length);
  const size_t bytes = (size_t)r.region.elements * element;
  char *message = malloc(bytes + 1), *want = malloc(bytes + 1);

  size_t at = 0;
  if (r.region.elements > 0) do {
      memcpy(want + at, region_element(&data.view, &r.region, position, element), element);
      at += element;
    } while (next_index(ndim, length, position));
  EXPECT_EQ(at, bytes);
  dti_pack(message, data.view.data, data.view.stride, &r.region, element, threads);
  EXPECT_MEMEQ(message, want, bytes);

  const int64_t offset = dti_region_contiguous(data.view.stride, &r.region);
  if (offset >= 0 && bytes > 0)
    EXPECT_MEMEQ((char *)data.view.data + offset * (int64_t)element, want, bytes);

  /* Unpacking other values changes the region and nothing else. */
  for (size_t i = 0; i < bytes; i++) message[i] = (char)~message[i];
  char *after = malloc(data.bytes + 1);
  memcpy(after, data.memory, data.bytes);
  dti_array expected = data.view;
  expected.data = after + ((char *)data.view.data - data.memory);
  at = 0;
  if (r.region.elements > 0) do {
      memcpy(region_element(&expected, &r.region, position, element), message + at, element);
      at += element;
    } while (next_index(ndim, length, position));
  dti_unpack(data.view.data, data.view.stride, &r.region, message, element, threads);
  EXPECT_MEMEQ(data.memory, after, data.bytes);
  free(after);
  free(message);
  free(want);
  free_array(&data);
}

DTEST(Pack, AnyRegion) {
  random_seed(3);
  for (int i = 0; i < 4000; i++) pack_one(4, 9, 1 + i % 2);
  for (int i = 0; i < 100; i++) pack_one(2, 300, 1 + i % 3);
  for (int i = 0; i < 100; i++) pack_one(3, 50, 1 + i % 3);
}

/* Two regions of the same lengths, cut differently. */
DTEST(CopyRegion, RunsCutDifferently) {
  static random_region from, to;
  random_seed(4);
  for (int i = 0; i < 3000; i++) {
    const size_t element = element_sizes[random_below(ELEMENT_SIZES)];
    int64_t shape[DTENSOR_MAX_NDIM], to_shape[DTENSOR_MAX_NDIM], length[DTENSOR_MAX_NDIM];
    const int ndim = i < 2900 ? random_shape(4, 9, shape) : random_shape(2, 200, shape);
    random_array src = make_array(ndim, shape, element);
    fill_region(&from, ndim, shape);
    lengths(&from.region, length);
    to.region.ndim = ndim;
    to.region.elements = from.region.elements;
    for (int d = 0; d < ndim; d++) {
      int64_t count = 0, begin = 0;
      for (int64_t done = 0; done < length[d];) {
        int64_t n = 1 + random_below(length[d] - done);
        begin += random_below(3);
        to.runs[d][count++] = (dti_run){begin, n};
        begin += n;
        done += n;
      }
      to.region.count[d] = count;
      to.region.runs[d] = to.runs[d];
      to_shape[d] = begin + random_below(2);
    }
    random_array dst = make_array(ndim, to_shape, element);
    char *want = malloc(dst.bytes + 1);
    memcpy(want, dst.memory, dst.bytes);
    dti_array expected = dst.view;
    expected.data = want + ((char *)dst.view.data - dst.memory);
    int64_t position[DTENSOR_MAX_NDIM] = {0};
    if (from.region.elements > 0) do
        memcpy(region_element(&expected, &to.region, position, element),
               region_element(&src.view, &from.region, position, element), element);
      while (next_index(ndim, length, position));
    dti_copy_region(dst.view.data, dst.view.stride, &to.region, src.view.data, src.view.stride,
                    &from.region, element, 1 + i % 2);
    EXPECT_MEMEQ(dst.memory, want, dst.bytes);
    free(want);
    free_array(&src);
    free_array(&dst);
  }
}

DTEST(RegionContiguous, KnowsWhatNeedsNoPacking) {
  const int64_t stride[] = {60, 10, 1};
  const dti_run whole10[] = {{0, 10}}, whole6[] = {{0, 4}, {4, 2}}, rows[] = {{1, 2}},
                part[] = {{3, 5}}, holes[] = {{0, 1}, {2, 1}}, one[] = {{2, 1}};
  dti_region r = {.ndim = 3, .count = {1, 2, 1}, .runs = {rows, whole6, whole10}, .elements = 120};
  EXPECT_EQ(dti_region_contiguous(stride, &r), 60);
  r = (dti_region){.ndim = 3, .count = {1, 1, 1}, .runs = {one, one, part}, .elements = 5};
  EXPECT_EQ(dti_region_contiguous(stride, &r), 143);
  r = (dti_region){.ndim = 3, .count = {1, 1, 1}, .runs = {rows, one, whole10}, .elements = 20};
  EXPECT_EQ(dti_region_contiguous(stride, &r), -1);
  r = (dti_region){.ndim = 3, .count = {1, 1, 2}, .runs = {one, one, holes}, .elements = 2};
  EXPECT_EQ(dti_region_contiguous(stride, &r), -1);
  r = (dti_region){.ndim = 0, .elements = 1};
  EXPECT_EQ(dti_region_contiguous(stride, &r), 0);
  r = (dti_region){.ndim = 1, .count = {0}, .elements = 0};
  EXPECT_EQ(dti_region_contiguous(stride, &r), 0);
}

/* Nothing is there, however long the other dimensions are said to be. */
DTEST(Copy, EmptyArraysOfAnyShape) {
  const int64_t huge = INT64_C(1) << 40;
  const dti_array empty = {
      .data = NULL, .ndim = 3, .shape = {huge, huge, 0}, .stride = {huge, 1, 1}};
  const char value[8] = {1};
  dti_copy(&empty, &empty, 8, 2);
  dti_fill(&empty, value, 8, 2);
}
