#include <math.h>
#include <stdlib.h>

#include "figures.h"

enum { MOST_BONDS = 20000 };
static const double side = 420, border = 18;

typedef struct segment {
  double x[2], y[2], depth;
  double order;
  int64_t i, j;
} segment;

typedef struct view {
  int axis[3]; /* across, down, towards the reader */
  double low[3], high[3];
  double tilt; /* 0 for flat molecules */
  double scale;
} view;

/* Look along the shortest side of the molecule. */
static view make_view(const molecule *m) {
  view v = {.axis = {0, 1, 2}};
  for (int k = 0; k < 3; k++) {
    v.low[k] = INFINITY;
    v.high[k] = -INFINITY;
    for (int64_t i = 0; i < m->atoms; i++) {
      v.low[k] = fmin(v.low[k], m->position[i][k]);
      v.high[k] = fmax(v.high[k], m->position[i][k]);
    }
  }
  for (int pass = 0; pass < 2; pass++) {
    for (int k = 0; k < 2; k++) {
      const int a = v.axis[k], b = v.axis[k + 1];
      if (v.high[a] - v.low[a] >= v.high[b] - v.low[b] - 1e-6) continue;
      v.axis[k] = b;
      v.axis[k + 1] = a;
    }
  }
  double length[3];
  for (int k = 0; k < 3; k++) length[k] = v.high[v.axis[k]] - v.low[v.axis[k]];
  v.tilt = length[2] > 0.3 * length[0] ? 0.35 : 0;
  const double widest = v.tilt > 0 ? hypot(length[1], length[2]) : length[1];
  const double extent = v.tilt > 0 ? 1.05 * length[0] : fmax(length[0], widest);
  v.scale = (side - 2 * border) / fmax(extent, 1);
  return v;
}

static void project(const view *v, const double position[3], double *x, double *y, double *depth) {
  double p[3];
  for (int k = 0; k < 3; k++) {
    const int a = v->axis[k];
    p[k] = position[a] - (v->low[a] + v->high[a]) / 2;
  }
  const double c = cos(v->tilt), s = sin(v->tilt);
  const double across = c * p[0] + s * p[2], towards = -s * p[0] + c * p[2];
  *x = side / 2 + v->scale * across;
  *y = side / 2 - v->scale * (c * p[1] - s * towards);
  *depth = s * p[1] + c * towards;
}

static int compare_depth(const void *a, const void *b) {
  const double x = ((const segment *)a)->depth, y = ((const segment *)b)->depth;
  return (x > y) - (x < y);
}

static int64_t make_segments(const molecule *m, const bonds *b, const double *order,
                             segment segments[]) {
  const view v = make_view(m);
  int64_t n = 0;
  for (int64_t i = 0; i < m->atoms; i++) {
    for (int64_t at = b->start[i]; at < b->start[i + 1]; at++) {
      const int64_t j = b->neighbor[at];
      if (j < i) continue;
      segment *s = &segments[n++];
      double depth[2];
      project(&v, m->position[i], &s->x[0], &s->y[0], &depth[0]);
      project(&v, m->position[j], &s->x[1], &s->y[1], &depth[1]);
      s->depth = depth[0] + depth[1];
      s->order = order[at];
      s->i = i;
      s->j = j;
    }
  }
  qsort(segments, (size_t)n, sizeof *segments, compare_depth);
  return n;
}

/* From weak (blue) to strong (orange). */
static void write_colour(double part, FILE *out) {
  static const double weak[3] = {70, 124, 200}, strong[3] = {238, 129, 48};
  for (int c = 0; c < 3; c++)
    fprintf(out, "%s%.0f", c ? "," : "rgb(", weak[c] + part * (strong[c] - weak[c]));
  fputc(')', out);
}

void figure_molecule(const molecule *m, const bonds *b, const double *order, FILE *out) {
  const int64_t count = b->start[b->atoms] / 2;
  segment *segments = count <= MOST_BONDS ? malloc((size_t)(count + 1) * sizeof *segments) : NULL;
  if (!segments) {
    fputs("<p class=\"note\">Too many bonds for a picture.</p>\n", out);
    return;
  }
  make_segments(m, b, order, segments);
  double low = INFINITY, high = -INFINITY;
  for (int64_t k = 0; k < count; k++) {
    low = fmin(low, segments[k].order);
    high = fmax(high, segments[k].order);
  }
  const double near = segments[count - 1].depth, far = segments[0].depth;
  fprintf(out, "<svg viewBox=\"0 0 %.0f %.0f\" role=\"img\" aria-label=\"molecule\">\n", side,
          side);
  fprintf(out, "<g stroke-linecap=\"round\" stroke-width=\"%.2f\">\n",
          fmin(6, fmax(1, 90 / sqrt((double)m->atoms))));
  for (int64_t k = 0; k < count; k++) {
    const segment *s = &segments[k];
    const double nearness = near - far > 1 ? (s->depth - far) / (near - far) : 1;
    fprintf(out, "<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" stroke=\"", s->x[0],
            s->y[0], s->x[1], s->y[1]);
    write_colour(high - low > 1e-9 ? (s->order - low) / (high - low) : 0.5, out);
    fprintf(out,
            "\" opacity=\"%.2f\"><title>atoms %lld and %lld: pi bond order %.4f</title></line>\n",
            0.18 + 0.82 * nearness, (long long)s->i + 1, (long long)s->j + 1, s->order);
  }
  fputs("</g>\n</svg>\n<div class=\"scale\">", out);
  fprintf(out, "<span>%.3f</span><i style=\"background:linear-gradient(90deg,", low);
  write_colour(0, out);
  fputc(',', out);
  write_colour(1, out);
  fprintf(out,
          ")\"></i><span>%.3f</span></div>\n<p class=\"note\">pi bond order 2P<sub>ij</sub></p>\n",
          high);
  free(segments);
}
