#include "dtensor/kernels/region_walk.h"

#include <string.h>

#include "dtensor/kernels/parallel.h"

/* One array along an axis. Runs that lie gap to gap are one that begins at 0: what lies before it
 * goes into the base address. */
typedef struct side {
  const dti_run *runs; /* NULL if it is one */
  int64_t step;        /* bytes between two elements */
} side;

/* One or more dimensions that are walked as one; a run's indices count units of that many elements.
 */
typedef struct axis {
  int64_t unit, length; /* length in elements */
  side *side;           /* of every array */
} axis;

typedef struct region_walk {
  int parts, axes;
  axis axis[DTENSOR_MAX_NDIM]; /* outermost first */
  char **base;                 /* of every array */
  int64_t element;
  int shared; /* the axis that threads share */
  int band;   /* the most rows of a box */
  dti_box_body body;
  void (*end)(void);
  const void *ctx;
} region_walk;

int64_t dti_region_length(const dti_region *region, int d) {
  int64_t length = 0;
  for (int64_t r = 0; r < region->count[d]; r++) length += region->runs[d][r].length;
  return length;
}

void dti_whole_init(dti_whole *whole, int ndim, const int64_t shape[]) {
  whole->region.ndim = ndim;
  whole->region.elements = 1;
  for (int d = 0; d < ndim; d++) {
    whole->run[d] = (dti_run){0, shape[d]};
    whole->region.runs[d] = &whole->run[d];
    whole->region.count[d] = 1;
    whole->region.elements *= shape[d];
  }
}

/* The runs as one, if they lie gap to gap. */
static int is_one_run(const dti_region *region, int d, dti_run *whole) {
  const dti_run *runs = region->runs[d];
  *whole = runs[0];
  for (int64_t r = 1; r < region->count[d]; r++) {
    if (runs[r].begin != whole->begin + whole->length) return 0;
    whole->length += runs[r].length;
  }
  return 1;
}

int64_t dti_region_contiguous(const int64_t stride[], const dti_region *region) {
  if (region->elements == 0) return 0;
  int64_t expected = 1, offset = 0;
  for (int d = region->ndim - 1; d >= 0; d--) {
    dti_run whole;
    if (!is_one_run(region, d, &whole) || (whole.length != 1 && stride[d] != expected)) return -1;
    offset += whole.begin * stride[d];
    expected *= whole.length;
  }
  return offset;
}

static int64_t magnitude(int64_t x) { return x < 0 ? -x : x; }

/* Whether axis a belongs inside of axis b. */
static int is_inner(int parts, const axis *a, const axis *b) {
  for (int k = 0; k < parts; k++) {
    const int64_t inner = magnitude(a->side[k].step), outer = magnitude(b->side[k].step);
    if (inner != outer) return inner < outer;
  }
  return 1;
}

/* Whether the inner axis is one run that fills every step of the outer one, in all arrays. */
static int fills(int parts, const axis *inner, const axis *outer) {
  for (int k = 0; k < parts; k++)
    if (inner->side[k].runs || outer->side[k].step != inner->side[k].step * inner->length) return 0;
  return 1;
}

static void merge_axes(region_walk *w) {
  int last = w->axes - 1; /* from the innermost outwards, into the end of the table */
  for (int a = w->axes - 2; a >= 0; a--) {
    axis *inner = &w->axis[last], outer = w->axis[a];
    if (!fills(w->parts, inner, &outer)) {
      w->axis[--last] = outer;
      continue;
    }
    outer.unit = inner->length;
    outer.length *= inner->length;
    for (int k = 0; k < w->parts; k++) outer.side[k].step = inner->side[k].step;
    *inner = outer;
  }
  w->axes -= last;
  memmove(w->axis, w->axis + last, (size_t)w->axes * sizeof *w->axis);
}

/* The axis along which the first array that is not densest along the innermost one is densest. */
static int second_axis(const region_walk *w) {
  for (int k = 0; k < w->parts; k++) {
    int best = w->axes - 1;
    for (int a = w->axes - 1; a >= 0; a--) {
      const int64_t step = w->axis[a].side[k].step;
      if (step != 0 && magnitude(step) < magnitude(w->axis[best].side[k].step)) best = a;
    }
    if (best != w->axes - 1) return best;
  }
  return w->axes - 2;
}

static void set_axes(region_walk *w, const dti_part part[], side sides[]) {
  for (int k = 0; k < w->parts; k++) w->base[k] = part[k].data;
  for (int d = 0; d < part[0].region->ndim; d++) {
    axis next = {.unit = 1, .side = sides + d * w->parts};
    for (int k = 0; k < w->parts; k++) {
      const dti_region *region = part[k].region;
      side *s = &next.side[k];
      dti_run whole;
      s->step = part[k].stride[d] * w->element;
      s->runs = is_one_run(region, d, &whole) ? NULL : region->runs[d];
      if (s->runs) continue;
      w->base[k] += whole.begin * s->step;
      next.length = whole.length;
    }
    if (next.length == 0) next.length = dti_region_length(part[0].region, d);
    if (next.length == 1) continue;
    int at = w->axes++;
    for (; at > 0 && !is_inner(w->parts, &next, &w->axis[at - 1]); at--)
      w->axis[at] = w->axis[at - 1];
    w->axis[at] = next;
  }
  if (w->axes < 2) return;
  merge_axes(w);
  if (w->axes < 3) return;
  const int second = second_axis(w);
  const axis moved = w->axis[second];
  for (int a = second; a < w->axes - 2; a++) w->axis[a] = w->axis[a + 1];
  w->axis[w->axes - 2] = moved;
}

/* A position in the runs of one side. */
typedef struct cursor {
  const dti_run *run;
  int64_t offset, left; /* elements: from the array's beginning, and to the run's end */
} cursor;

static cursor seek(const side *s, int64_t unit, int64_t position) {
  if (!s->runs) return (cursor){NULL, position, INT64_MAX};
  const dti_run *run = s->runs;
  while (position >= run->length * unit) position -= run++->length * unit;
  return (cursor){run, run->begin * unit + position, run->length * unit - position};
}

static void advance(cursor *c, int64_t unit, int64_t length) {
  c->offset += length;
  c->left -= length;
  if (c->left > 0) return;
  c->run++;
  c->offset = c->run->begin * unit;
  c->left = c->run->length * unit;
}

/* The part of the walk that the shared axis leaves to one thread; of the other axes everything. */
typedef struct share {
  const region_walk *walk;
  int64_t begin, end;
  int64_t rows; /* of the box */
} share;

/* place: where axis a begins. */
static void walk(share *s, int a, const dti_place place[]) {
  const region_walk *w = s->walk;
  const axis *at = &w->axis[a];
  const int inner = a == w->axes - 1, rows = a == w->axes - 2;
  const int64_t begin = a == w->shared ? s->begin : 0;
  int64_t left = (a == w->shared ? s->end : at->length) - begin;
  cursor position[w->parts];
  dti_place piece[w->parts];
  for (int k = 0; k < w->parts; k++) position[k] = seek(&at->side[k], at->unit, begin);
  for (;;) {
    int64_t n = rows && left > w->band ? w->band : left;
    for (int k = 0; k < w->parts; k++) {
      if (n > position[k].left) n = position[k].left;
      piece[k] = place[k];
      piece[k].at += position[k].offset * at->side[k].step;
      if (inner) piece[k].step[1] = at->side[k].step;
      if (rows) piece[k].step[0] = at->side[k].step;
    }
    if (inner) {
      w->body(w->ctx, s->rows, n, piece);
    } else if (rows) {
      s->rows = n;
      walk(s, a + 1, piece);
    } else {
      for (int64_t i = 0; i < n; i++) {
        walk(s, a + 1, piece);
        for (int k = 0; k < w->parts; k++) piece[k].at += at->side[k].step;
      }
    }
    left -= n;
    if (left == 0) return;
    for (int k = 0; k < w->parts; k++) advance(&position[k], at->unit, n);
  }
}

static void walk_share(const void *ctx, int64_t begin, int64_t end) {
  const region_walk *w = ctx;
  dti_place place[w->parts];
  for (int k = 0; k < w->parts; k++) place[k] = (dti_place){w->base[k], {0, w->element}};
  if (w->axes == 0)
    w->body(w->ctx, 1, 1, place);
  else
    walk(&(share){.walk = w, .begin = begin, .end = end, .rows = 1}, 0, place);
  if (w->end) w->end();
}

/* The outermost axis that gives every thread enough, else the longest. */
static int axis_to_share(const region_walk *w, int threads) {
  int longest = 0;
  for (int a = 0; a < w->axes; a++) {
    if (w->axis[a].length >= (int64_t)8 * threads) return a;
    if (w->axis[a].length > w->axis[longest].length) longest = a;
  }
  return longest;
}

/* Where rows are cut into many runs, the boxes are columns of them: short enough for the lines that
 * two neighbours share to stay in the cache. */
static int band_of(const region_walk *w) {
  enum { BAND = 64 };
  for (int k = 0; w->axes > 0 && k < w->parts; k++)
    if (w->axis[w->axes - 1].side[k].runs) return BAND;
  return INT32_MAX;
}

/* Two dimensions of one run each are what most walks have, and one box: to sort and merge axes in
 * tables takes longer than to move some KiB. 0: there is more, and nothing was done. */
static int walk_plainly(int parts, const dti_part part[], int64_t element, dti_box_body body,
                        const void *ctx) {
  dti_place place[parts];
  for (int k = 0; k < parts; k++) {
    const dti_region *region = part[k].region;
    if (region->ndim != 2 || region->count[0] != 1 || region->count[1] != 1) return 0;
    place[k].step[0] = part[k].stride[0] * element;
    place[k].step[1] = part[k].stride[1] * element;
    place[k].at = (char *)part[k].data + region->runs[0]->begin * place[k].step[0] +
                  region->runs[1]->begin * place[k].step[1];
  }
  int64_t rows = part[0].region->runs[0]->length, length = part[0].region->runs[1]->length;
  int is_turned = length == 1, is_whole = 1;
  for (int k = 0; k < parts && rows > 1 && length > 1; k++) {
    const int64_t outer = magnitude(place[k].step[0]), inner = magnitude(place[k].step[1]);
    if (inner == outer) continue;
    is_turned = inner > outer;
    break;
  }
  if (is_turned) {
    const int64_t outer = rows;
    rows = length;
    length = outer;
  }
  for (int k = 0; k < parts; k++) {
    const int64_t *step = place[k].step;
    if (is_turned) place[k] = (dti_place){place[k].at, {step[1], step[0]}};
    is_whole &= step[0] == step[1] * length;
  }
  if (is_whole || rows == 1) {
    length *= rows;
    rows = 1;
  }
  for (int k = 0; k < parts && length == 1; k++) place[k].step[1] = element;
  body(ctx, rows, length, place);
  return 1;
}

void dti_walk_regions(int parts, const dti_part part[], size_t element, int64_t cost, int threads,
                      dti_box_body body, void (*end)(void), const void *ctx) {
  if (part[0].region->elements == 0) return;
  if (dti_parallel_is_alone(cost, threads) &&
      walk_plainly(parts, part, (int64_t)element, body, ctx)) {
    if (end) end();
    return;
  }
  const int ndim = part[0].region->ndim;
  side sides[(ndim + 1) * parts];
  char *base[parts];
  region_walk w = {.parts = parts,
                   .element = (int64_t)element,
                   .base = base,
                   .body = body,
                   .end = end,
                   .ctx = ctx};
  set_axes(&w, part, sides);
  w.shared = axis_to_share(&w, threads);
  w.band = band_of(&w);
  /* Parts of a row begin at whole cache lines if the row does. */
  const int64_t grain = w.shared == w.axes - 1 ? 64 : 1;
  dti_parallel(w.axes > 0 ? w.axis[w.shared].length : 1, grain, cost, threads, walk_share, &w);
}
