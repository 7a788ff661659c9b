#include <string.h>

#include "dtensor/kernels/move.h"
#include "dtensor/kernels/parallel.h"
#include "dtensor/kernels/strided.h"

/* Packing, unpacking and copying between regions are one thing: a message is a dense array that is
 * taken whole. */
enum { DST, SRC };

/* The runs of one array along an axis. Where they lie gap to gap they become one, `whole`. */
typedef struct side {
  const dti_run *runs;
  int64_t count;
  dti_run whole;
  int64_t step; /* bytes between two elements */
} side;

/* One or more dimensions that are walked as one; a run's indices count units of that many elements.
 */
typedef struct axis {
  int64_t unit, length; /* length in elements */
  side side[2];
} axis;

typedef struct region_copy {
  char *dst;
  const char *src;
  size_t element;
  int axes;
  axis axis[DTENSOR_MAX_NDIM]; /* outermost first */
  int shared;                  /* the axis that threads share */
  int boxwise;                 /* the leaves are boxes, else rows */
} region_copy;

static const dti_run *runs_of(const side *s) { return s->count == 1 ? &s->whole : s->runs; }

static void set_side(side *s, const dti_region *region, int d, int64_t stride, size_t element) {
  s->runs = region->runs[d];
  s->count = region->count[d];
  s->step = stride * (int64_t)element;
  s->whole = s->runs[0];
  for (int64_t r = 1; r < s->count; r++) {
    if (s->runs[r].begin != s->whole.begin + s->whole.length) return;
    s->whole.length += s->runs[r].length;
  }
  s->count = 1;
}

static int64_t region_length(const dti_region *region, int d) {
  int64_t length = 0;
  for (int64_t r = 0; r < region->count[d]; r++) length += region->runs[d][r].length;
  return length;
}

/* Whether the axis is one run that fills every step of the dimension outside of it. */
static int fills(const axis *inner, const axis *outer) {
  for (int k = DST; k <= SRC; k++)
    if (inner->side[k].count != 1 || outer->side[k].step != inner->side[k].step * inner->length)
      return 0;
  return 1;
}

/* Take the first element of an axis that has become a single step into the base addresses. */
static void move_to_begin(region_copy *copy, axis *a) {
  copy->dst += a->side[DST].whole.begin * a->unit * a->side[DST].step;
  copy->src += a->side[SRC].whole.begin * a->unit * a->side[SRC].step;
  a->side[DST].whole.begin = a->side[SRC].whole.begin = 0;
}

/* Axes are collected from the innermost outwards into the end of the table, then moved to its
 * front. */
static void set_axes(region_copy *copy, const dti_region *dst_region, const int64_t dst_stride[],
                     const dti_region *src_region, const int64_t src_stride[]) {
  axis *first = copy->axis + DTENSOR_MAX_NDIM;
  for (int d = dst_region->ndim - 1; d >= 0; d--) {
    axis next = {.unit = 1, .length = region_length(dst_region, d)};
    set_side(&next.side[DST], dst_region, d, dst_stride[d], copy->element);
    set_side(&next.side[SRC], src_region, d, src_stride[d], copy->element);
    if (next.length == 1) {
      move_to_begin(copy, &next);
    } else if (copy->axes > 0 && fills(first, &next)) {
      move_to_begin(copy, first);
      next.unit = first->length;
      next.length *= first->length;
      next.side[DST].step = first->side[DST].step;
      next.side[SRC].step = first->side[SRC].step;
      *first = next;
    } else {
      *--first = next;
      copy->axes++;
    }
  }
  memmove(copy->axis, first, (size_t)copy->axes * sizeof *first);
}

/* A position in the runs of one side. */
typedef struct cursor {
  const dti_run *run;
  int64_t unit, offset, left; /* elements: from the array's beginning, and to the run's end */
} cursor;

static cursor seek(const side *s, int64_t unit, int64_t position) {
  const dti_run *run = runs_of(s);
  while (position >= run->length * unit) position -= run++->length * unit;
  return (cursor){run, unit, run->begin * unit + position, run->length * unit - position};
}

static void advance(cursor *c, int64_t length, int64_t more) {
  c->offset += length;
  c->left -= length;
  if (c->left > 0 || more == 0) return;
  c->run++;
  c->offset = c->run->begin * c->unit;
  c->left = c->run->length * c->unit;
}

static void copy_box(const region_copy *copy, char *dst, const char *src, const int64_t length[],
                     int threads) {
  dti_array to = {.data = dst, .ndim = copy->axes}, from = to;
  from.data = (char *)(uintptr_t)src; /* it is only read */
  for (int a = 0; a < copy->axes; a++) {
    to.shape[a] = from.shape[a] = length[a];
    to.stride[a] = copy->axis[a].side[DST].step / (int64_t)copy->element;
    from.stride[a] = copy->axis[a].side[SRC].step / (int64_t)copy->element;
  }
  dti_copy(&to, &from, copy->element, threads);
}

/* The part of the copy that the shared axis leaves to one thread; of the other axes everything. */
typedef struct share {
  const region_copy *copy;
  int64_t begin, end;
  int64_t box[DTENSOR_MAX_NDIM];
} share;

static void walk(share *s, int a, char *dst, const char *src) {
  const region_copy *copy = s->copy;
  const axis *at = &copy->axis[a];
  const int64_t dst_step = at->side[DST].step, src_step = at->side[SRC].step;
  const int64_t begin = a == copy->shared ? s->begin : 0;
  int64_t left = (a == copy->shared ? s->end : at->length) - begin;
  cursor to = seek(&at->side[DST], at->unit, begin), from = seek(&at->side[SRC], at->unit, begin);
  while (left > 0) {
    int64_t n = to.left < from.left ? to.left : from.left;
    if (n > left) n = left;
    left -= n;
    char *d = dst + to.offset * dst_step;
    const char *f = src + from.offset * src_step;
    if (copy->boxwise) {
      s->box[a] = n;
      if (a == copy->axes - 1)
        copy_box(copy, d, f, s->box, 1);
      else
        walk(s, a + 1, d, f);
    } else if (a == copy->axes - 1) {
      dti_move_row(copy->element, n, d, dst_step, f, src_step);
    } else {
      for (int64_t i = 0; i < n; i++) walk(s, a + 1, d + i * dst_step, f + i * src_step);
    }
    advance(&to, n, left);
    advance(&from, n, left);
  }
}

static void walk_share(const void *ctx, int64_t begin, int64_t end) {
  const region_copy *copy = ctx;
  walk(&(share){.copy = copy, .begin = begin, .end = end}, 0, copy->dst, copy->src);
}

/* The outermost axis that gives every thread enough, else the longest. */
static int axis_to_share(const region_copy *copy, int threads) {
  int longest = 0;
  for (int a = 0; a < copy->axes; a++) {
    if (copy->axis[a].length >= (int64_t)8 * threads) return a;
    if (copy->axis[a].length > copy->axis[longest].length) longest = a;
  }
  return longest;
}

/* Boxes pay where the copy transposes and they are large enough for tiles; otherwise walking rows
 * costs less than setting up each box. */
static int boxes_pay(const region_copy *copy, int64_t elements) {
  const axis *inner = &copy->axis[copy->axes - 1];
  const int64_t element = (int64_t)copy->element;
  if (inner->side[DST].step == element && inner->side[SRC].step == element) return 0;
  int64_t box = elements;
  for (int a = 0; a < copy->axes; a++)
    for (int k = DST; k <= SRC; k++) box /= copy->axis[a].side[k].count;
  return box >= 1024;
}

static int is_one_box(const region_copy *copy) {
  for (int a = 0; a < copy->axes; a++)
    if (copy->axis[a].side[DST].count != 1 || copy->axis[a].side[SRC].count != 1) return 0;
  return 1;
}

void dti_copy_region(void *dst, const int64_t dst_stride[], const dti_region *dst_region,
                     const void *src, const int64_t src_stride[], const dti_region *src_region,
                     size_t element, int threads) {
  if (dst_region->elements == 0) return;
  region_copy copy = {.dst = dst, .src = src, .element = element};
  set_axes(&copy, dst_region, dst_stride, src_region, src_stride);
  const int64_t cost = 2 * dst_region->elements * (int64_t)element;
  if (is_one_box(&copy)) {
    int64_t length[DTENSOR_MAX_NDIM];
    for (int a = 0; a < copy.axes; a++) {
      move_to_begin(&copy, &copy.axis[a]);
      length[a] = copy.axis[a].length;
    }
    copy_box(&copy, copy.dst, copy.src, length, threads);
    return;
  }
  copy.shared = axis_to_share(&copy, threads);
  copy.boxwise = boxes_pay(&copy, dst_region->elements);
  dti_parallel(copy.axis[copy.shared].length, 1, cost, threads, walk_share, &copy);
}

/* A message as an array that is taken whole. */
typedef struct packed {
  dti_region region;
  dti_run run[DTENSOR_MAX_NDIM];
  int64_t stride[DTENSOR_MAX_NDIM];
} packed;

static void set_packed(packed *p, const dti_region *region) {
  p->region.ndim = region->ndim;
  p->region.elements = region->elements;
  int64_t stride = 1;
  for (int d = region->ndim - 1; d >= 0; d--) {
    p->run[d] = (dti_run){0, region_length(region, d)};
    p->region.runs[d] = &p->run[d];
    p->region.count[d] = 1;
    p->stride[d] = stride;
    stride *= p->run[d].length;
  }
}

void dti_pack(void *message, const void *data, const int64_t stride[], const dti_region *region,
              size_t element, int threads) {
  if (region->elements == 0) return;
  packed p;
  set_packed(&p, region);
  dti_copy_region(message, p.stride, &p.region, data, stride, region, element, threads);
}

void dti_unpack(void *data, const int64_t stride[], const dti_region *region, const void *message,
                size_t element, int threads) {
  if (region->elements == 0) return;
  packed p;
  set_packed(&p, region);
  dti_copy_region(data, stride, region, message, p.stride, &p.region, element, threads);
}

int64_t dti_region_contiguous(const int64_t stride[], const dti_region *region) {
  if (region->elements == 0) return 0;
  int64_t expected = 1, offset = 0;
  for (int d = region->ndim - 1; d >= 0; d--) {
    side s;
    set_side(&s, region, d, stride[d], 1);
    if (s.count != 1 || (s.whole.length != 1 && stride[d] != expected)) return -1;
    offset += s.whole.begin * stride[d];
    expected *= s.whole.length;
  }
  return offset;
}
