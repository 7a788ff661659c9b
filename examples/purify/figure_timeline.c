#include <math.h>

#include "console.h"
#include "figures.h"

static const double width = 1080, left = 64, right = 186, lane = 26, gap = 9, bottom = 26;

/* What is drawn, from behind to the front. */
static const struct {
  dtensor_trace_kind kind;
  const char *css;
  double inset;
} layers[] = {
    {DTENSOR_TRACE_OP, "op", 0},
    {DTENSOR_TRACE_COMPUTE, "compute", 3},
    {DTENSOR_TRACE_TRANSFER, "transfer", 3},
};

typedef struct window {
  double begin, end;
} window;

static double x_of(window w, double time) {
  const double part = (time - w.begin) / (w.end - w.begin);
  return left + (width - left - right) * (part < 0 ? 0 : part > 1 ? 1 : part);
}

/* Neighbours that are too small to be told apart are drawn as one. */
typedef struct bar {
  double from, to;
  const timeline_event *event; /* NULL: several */
} bar;

static void write_bar(const bar *b, const char *css, double y, double inset, FILE *out) {
  fprintf(out, "<rect class=\"%s\" x=\"%.2f\" y=\"%.1f\" width=\"%.2f\" height=\"%.1f\"", css,
          b->from, y + inset, fmax(b->to - b->from, 0.3), lane - 2 * inset);
  if (!b->event) {
    fputs("/>\n", out);
    return;
  }
  char bytes[CONSOLE_BYTES];
  fprintf(out, "><title>%s, %.3f ms", b->event->name, 1e3 * (b->event->end - b->event->begin));
  if (b->event->bytes > 0) fprintf(out, ", %s", console_bytes((double)b->event->bytes, bytes));
  fputs("</title></rect>\n", out);
}

/* The events of one kind of one rank; returns the seconds they took inside of the window. */
static double write_layer(const timeline *t, window w, int rank, size_t layer, double y,
                          FILE *out) {
  double seconds = 0;
  bar open = {0};
  int is_open = 0;
  for (int64_t i = 0; i < t->count; i++) {
    const timeline_event *e = &t->events[i];
    if (e->rank != rank || e->kind != (int)layers[layer].kind) continue;
    if (e->end <= w.begin || e->begin >= w.end) continue;
    seconds += fmin(e->end, w.end) - fmax(e->begin, w.begin);
    const bar next = {x_of(w, e->begin), x_of(w, e->end), e};
    if (is_open && next.from - open.to < 0.3 && next.to - next.from < 1) {
      open.to = fmax(open.to, next.to);
      open.event = NULL;
      continue;
    }
    if (is_open) write_bar(&open, layers[layer].css, y, layers[layer].inset, out);
    open = next;
    is_open = 1;
  }
  if (is_open) write_bar(&open, layers[layer].css, y, layers[layer].inset, out);
  return seconds;
}

static void write_lane(const timeline *t, window w, int rank, FILE *out) {
  const double y = rank * (lane + gap), length = w.end - w.begin;
  double seconds[3];
  fprintf(out, "<text class=\"tick\" x=\"%.0f\" y=\"%.1f\" text-anchor=\"end\">rank %d</text>\n",
          left - 10, y + lane / 2 + 4, rank);
  fprintf(out, "<rect class=\"lane\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\"/>\n",
          left, y, width - left - right, lane);
  for (size_t layer = 0; layer < 3; layer++)
    seconds[layer] = write_layer(t, w, rank, layer, y, out);
  fprintf(out,
          "<text class=\"tick\" x=\"%.1f\" y=\"%.1f\"><tspan class=\"share1\">%.0f%%</tspan> "
          "computing, "
          "<tspan class=\"share2\">%.0f%%</tspan> moving</text>\n",
          width - right + 10, y + lane / 2 + 4, 100 * seconds[1] / length,
          100 * seconds[2] / length);
}

static void write_times(window w, double y, FILE *out) {
  const double length = w.end - w.begin, step = figure_nice_step(length, 6);
  const double unit = length < 1e-3 ? 1e-6 : length < 1 ? 1e-3 : 1;
  const char *name = length < 1e-3 ? "&micro;s" : length < 1 ? "ms" : "s";
  for (int i = 0; i * step <= length; i++)
    fprintf(out,
            "<text class=\"tick\" x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\">%.3g %s</text>\n",
            x_of(w, w.begin + i * step), y, i * step / unit, name);
}

void figure_timeline(const timeline *t, double begin, double end, FILE *out) {
  const window w = {begin, end > begin ? end : begin + 1e-9};
  const double height = t->ranks * (lane + gap) + bottom;
  fprintf(out, "<svg viewBox=\"0 0 %.0f %.0f\" role=\"img\" aria-label=\"time line\">\n", width,
          height);
  for (int rank = 0; rank < t->ranks; rank++) write_lane(t, w, rank, out);
  write_times(w, height - 8, out);
  fputs("</svg>\n", out);
}
