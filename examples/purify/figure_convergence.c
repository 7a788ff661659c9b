#include <float.h>
#include <math.h>

#include "figures.h"

static const double width = 520, height = 250;
static const double left = 62, right = 14, top = 12, bottom = 34;

/* A curve over the iterations, and one horizontal line to compare it with. */
typedef struct chart {
  const sp2_run *run;
  double (*value)(const sp2_step *step);
  double low, high; /* of the vertical axis */
  double goal;
  const char *goal_label;
} chart;

static double x_of(const chart *c, int i) {
  const int last = c->run->iterations > 1 ? c->run->iterations - 1 : 1;
  return left + (width - left - right) * i / last;
}

static double y_of(const chart *c, double value) {
  return top + (height - top - bottom) * (c->high - value) / (c->high - c->low);
}

static void write_grid_line(const chart *c, double value, const char *label, FILE *out) {
  fprintf(out,
          "<line class=\"grid\" x1=\"%.1f\" x2=\"%.1f\" y1=\"%.1f\" y2=\"%.1f\"/>"
          "<text class=\"tick\" x=\"%.1f\" y=\"%.1f\" text-anchor=\"end\">%s</text>\n",
          left, width - right, y_of(c, value), y_of(c, value), left - 8, y_of(c, value) + 4, label);
}

static void write_iterations(const chart *c, FILE *out) {
  const int step = c->run->iterations <= 12 ? 1 : c->run->iterations <= 60 ? 5 : 20;
  for (int i = 0; i < c->run->iterations; i++)
    if ((i + 1) % step == 0)
      fprintf(out, "<text class=\"tick\" x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\">%d</text>\n",
              x_of(c, i), height - bottom + 18, i + 1);
}

static void write_goal(const chart *c, FILE *out) {
  fprintf(out,
          "<line class=\"goal\" x1=\"%.1f\" x2=\"%.1f\" y1=\"%.1f\" y2=\"%.1f\"/>"
          "<text class=\"tick\" x=\"%.1f\" y=\"%.1f\" text-anchor=\"end\">%s</text>\n",
          left, width - right, y_of(c, c->goal), y_of(c, c->goal), width - right - 4,
          y_of(c, c->goal) - 6, c->goal_label);
}

static void write_curve(const chart *c, FILE *out) {
  fputs("<polyline class=\"curve\" points=\"", out);
  for (int i = 0; i < c->run->iterations; i++)
    fprintf(out, "%.1f,%.1f ", x_of(c, i), y_of(c, c->value(&c->run->steps[i])));
  fputs("\"/>\n", out);
  for (int i = 0; i < c->run->iterations; i++) {
    const sp2_step *step = &c->run->steps[i];
    fprintf(out, "<circle class=\"dot\" cx=\"%.1f\" cy=\"%.1f\" r=\"3\"><title>iteration %d: ",
            x_of(c, i), y_of(c, c->value(step)), i + 1);
    fprintf(out, "trace %.8f, error %.3e</title></circle>\n", step->trace, step->error);
  }
}

static void begin_svg(const char *name, FILE *out) {
  fprintf(out, "<svg viewBox=\"0 0 %.0f %.0f\" role=\"img\" aria-label=\"%s\">\n", width, height,
          name);
}

static void end_svg(const chart *c, FILE *out) {
  write_iterations(c, out);
  write_goal(c, out);
  write_curve(c, out);
  fputs("</svg>\n", out);
}

static double log_error(const sp2_step *step) {
  return log10(step->error > DBL_EPSILON / 10 ? step->error : DBL_EPSILON / 10);
}

void figure_error(const sp2_run *run, double tolerance, FILE *out) {
  double low = log10(tolerance), high = low + 1;
  for (int i = 0; i < run->iterations; i++) {
    low = fmin(low, log_error(&run->steps[i]));
    high = fmax(high, log_error(&run->steps[i]));
  }
  const chart c = {.run = run,
                   .value = log_error,
                   .low = floor(low),
                   .high = ceil(high),
                   .goal = log10(tolerance),
                   .goal_label = "tolerance"};
  begin_svg("idempotency error", out);
  const int decades = (int)(c.high - c.low), step = decades > 8 ? 4 : decades > 4 ? 2 : 1;
  for (int d = (int)c.high; d >= (int)c.low; d -= step) {
    char label[64];
    snprintf(label, sizeof label, "10<tspan dy=\"-5\" font-size=\"8\">%d</tspan>", d);
    write_grid_line(&c, d, label, out);
  }
  end_svg(&c, out);
}

static double trace_of(const sp2_step *step) { return step->trace; }

void figure_trace(const sp2_run *run, double occupied, FILE *out) {
  double low = occupied, high = occupied;
  for (int i = 0; i < run->iterations; i++) {
    low = fmin(low, run->steps[i].trace);
    high = fmax(high, run->steps[i].trace);
  }
  const double room = fmax(0.12 * (high - low), 0.02);
  const chart c = {.run = run,
                   .value = trace_of,
                   .low = low - room,
                   .high = high + room,
                   .goal = occupied,
                   .goal_label = "occupied orbitals"};
  begin_svg("trace", out);
  const double step = figure_nice_step(c.high - c.low, 4);
  for (double at = ceil(c.low / step) * step; at <= c.high; at += step) {
    char label[32];
    snprintf(label, sizeof label, "%.6g", at);
    write_grid_line(&c, at, label, out);
  }
  end_svg(&c, out);
}
