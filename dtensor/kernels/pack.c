#include "dtensor/kernels/copy_box.h"
#include "dtensor/kernels/stream.h"
#include "dtensor/kernels/strided.h"

typedef struct region_copy {
  size_t element;
  int stream;
} region_copy;

static void copy_box(const void *ctx, int64_t ni, int64_t nj, const dti_place place[]) {
  const region_copy *copy = ctx;
  dti_copy_box(copy->element, ni, nj, &place[0], &place[1], copy->stream);
}

void dti_copy_region(void *dst, const int64_t dst_stride[], const dti_region *dst_region,
                     const void *src, const int64_t src_stride[], const dti_region *src_region,
                     size_t element, int threads) {
  const dti_part part[] = {
      {dst, dst_stride, dst_region},
      {(void *)(uintptr_t)src, src_stride, src_region},
  };
  if (dti_copy_few(&part[0], &part[1], element)) return;
  const int64_t bytes = dst_region->elements * (int64_t)element;
  const region_copy copy = {element, dti_stream_pays(bytes)};
  dti_walk_regions(2, part, element, 2 * bytes, threads, copy_box,
                   copy.stream ? dti_stream_fence : NULL, &copy);
}

/* A message is a dense array that is taken whole. */
typedef struct packed {
  dti_whole whole;
  int64_t stride[DTENSOR_MAX_NDIM];
} packed;

static void set_packed(packed *p, const dti_region *region) {
  int64_t shape[DTENSOR_MAX_NDIM], stride = 1;
  for (int d = region->ndim - 1; d >= 0; d--) {
    shape[d] = dti_region_length(region, d);
    p->stride[d] = stride;
    stride *= shape[d];
  }
  dti_whole_init(&p->whole, region->ndim, shape);
}

void dti_pack(void *message, const void *data, const int64_t stride[], const dti_region *region,
              size_t element, int threads) {
  if (region->elements == 0) return;
  packed p;
  set_packed(&p, region);
  dti_copy_region(message, p.stride, &p.whole.region, data, stride, region, element, threads);
}

void dti_unpack(void *data, const int64_t stride[], const dti_region *region, const void *message,
                size_t element, int threads) {
  if (region->elements == 0) return;
  packed p;
  set_packed(&p, region);
  dti_copy_region(data, stride, region, message, p.stride, &p.whole.region, element, threads);
}
