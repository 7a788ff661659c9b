#include <inttypes.h>
#include <string.h>

#include "dtensor/debug/picture.h"

/* Lengths in the units of the viewBox. */
static const double longest_side = 360, shortest_side = 48, margin = 46, caption_height = 26;
static const double ellipsis = 24;   /* what a cut axis gets for all that is not shown */
static const double character = 7.5; /* width of one in a label */
static const double label_height = 15, tick_distance = 14;

typedef struct svg_axis {
  const dti_picture_axis *bands;
  double origin, length; /* of what is shown */
  int is_cut;
} svg_axis;

static double position(const svg_axis *axis, int64_t index) {
  return axis->origin + axis->length * (double)index / (double)axis->bands->rest;
}

static double end_of(const svg_axis *axis) {
  return axis->origin + axis->length + (axis->is_cut ? ellipsis : 0);
}

/* True proportions, unless one side would get too thin to read. */
static void scale(svg_axis *x, svg_axis *y) {
  const double columns = (double)x->bands->rest, rows = (double)y->bands->rest;
  const double longest = columns > rows ? columns : rows;
  x->length = longest_side * columns / longest;
  y->length = longest_side * rows / longest;
  if (x->length < shortest_side) x->length = shortest_side;
  if (y->length < shortest_side) y->length = shortest_side;
}

/* Neighbouring ranks get colours far apart: the hue turns by the golden angle. */
static double hue(int64_t rank) { return (double)((rank % 3600 * 1375 + 2100) % 3600) / 10; }

static void write_block(const dti_picture *picture, const svg_axis *x, const svg_axis *y, int row,
                        int column, FILE *out) {
  char label[DTI_PICTURE_LABEL];
  int64_t first = 0;
  dti_picture_owners(picture, row, column, label, sizeof label, &first);
  const dti_picture_band *rows = &y->bands->band[row], *columns = &x->bands->band[column];
  const double left = position(x, columns->begin), right = position(x, columns->end);
  const double top = position(y, rows->begin), bottom = position(y, rows->end);
  fprintf(out,
          "<g><title>rank %s: rows %" PRId64 "-%" PRId64 ", columns %" PRId64 "-%" PRId64
          "</title><rect x=\"%.2f\" y=\"%.2f\" width=\"%.2f\" height=\"%.2f\" "
          "fill=\"hsl(%.0f,52%%,62%%)\"/>",
          label, rows->begin, rows->end - 1, columns->begin, columns->end - 1, left, top,
          right - left, bottom - top, hue(first));
  if (right - left >= character * (double)strlen(label) && bottom - top >= label_height)
    fprintf(out,
            "<text x=\"%.2f\" y=\"%.2f\" text-anchor=\"middle\" dominant-baseline=\"central\" "
            "fill=\"#10151c\" stroke=\"none\">%s</text>",
            (left + right) / 2, (top + bottom) / 2, label);
  fputs("</g>\n", out);
}

static void write_tick(double x, double y, int64_t index, const char *anchor, FILE *out) {
  fprintf(out,
          "<text x=\"%.2f\" y=\"%.2f\" text-anchor=\"%s\" dominant-baseline=\"central\" "
          "fill=\"currentColor\" opacity=\"0.7\" font-size=\"11\">%" PRId64 "</text>\n",
          x, y, anchor, index);
}

/* The first index of each band, where there is room for it. */
static void write_ticks(const svg_axis *x, const svg_axis *y, FILE *out) {
  double free_from = -1;
  for (int i = 0; i < x->bands->bands; i++) {
    const double at = position(x, x->bands->band[i].begin);
    if (at < free_from) continue;
    write_tick(at, y->origin - tick_distance / 1.4, x->bands->band[i].begin, "start", out);
    free_from = at + 4 * character;
  }
  free_from = -1;
  for (int i = 0; i < y->bands->bands; i++) {
    const double at = position(y, y->bands->band[i].begin);
    if (at < free_from) continue;
    write_tick(x->origin - 6, at + 6, y->bands->band[i].begin, "end", out);
    free_from = at + label_height;
  }
}

static void write_ellipsis(double x, double y, const char *dots, FILE *out) {
  fprintf(out,
          "<text x=\"%.2f\" y=\"%.2f\" text-anchor=\"middle\" dominant-baseline=\"central\" "
          "fill=\"currentColor\">%s</text>\n",
          x, y, dots);
}

void dti_picture_write_svg(const dti_picture *picture, const char *caption, FILE *out) {
  svg_axis x = {&picture->columns, margin, 0, picture->columns.rest < picture->columns.size};
  svg_axis y = {&picture->rows, margin / 2, 0, picture->rows.rest < picture->rows.size};
  const int is_empty = picture->rows.bands == 0 || picture->columns.bands == 0;
  if (is_empty)
    x.length = y.length = shortest_side;
  else
    scale(&x, &y);

  double width = end_of(&x) + 8;
  const double caption_width = 16 + character * (double)strlen(caption);
  if (caption_width > width) width = caption_width;
  const double height = end_of(&y) + caption_height;
  fprintf(out,
          "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%.0f\" height=\"%.0f\" "
          "viewBox=\"0 0 %.2f %.2f\" role=\"img\" font-family=\"system-ui, sans-serif\" "
          "font-size=\"13\">\n<title>%s</title>\n",
          width, height, width, height, caption);
  if (!is_empty) {
    fputs("<g stroke=\"#10151c\" stroke-opacity=\"0.35\" stroke-width=\"0.75\">\n", out);
    for (int row = 0; row < y.bands->bands; row++)
      for (int column = 0; column < x.bands->bands; column++)
        write_block(picture, &x, &y, row, column, out);
    fputs("</g>\n", out);
    write_ticks(&x, &y, out);
    if (x.is_cut)
      write_ellipsis(end_of(&x) - ellipsis / 2, y.origin + y.length / 2, "&#8943;", out);
    if (y.is_cut)
      write_ellipsis(x.origin + x.length / 2, end_of(&y) - ellipsis / 2, "&#8942;", out);
  }
  fprintf(out,
          "<text x=\"8\" y=\"%.2f\" fill=\"currentColor\" dominant-baseline=\"central\">%s</text>\n"
          "</svg>\n",
          height - caption_height / 2 + 3, caption);
}
