#include <inttypes.h>
#include <math.h>

#include "figures.h"
#include "png.h"

/* Elements from 1e-4 to 1 get a colour of their own. */
static const double decades = 4;

/* Dark blue, teal, yellow: brightness grows evenly. */
static const uint8_t stops[5][3] = {
    {13, 18, 43}, {32, 64, 120}, {30, 126, 137}, {96, 189, 104}, {250, 231, 82}};

static void make_palette(uint8_t palette[256][3]) {
  for (int i = 0; i < 256; i++) {
    const double at = i / 255.0 * 4;
    const int low = at < 4 ? (int)at : 3;
    for (int c = 0; c < 3; c++)
      palette[i][c] =
          (uint8_t)lround(stops[low][c] + (at - low) * (stops[low + 1][c] - stops[low][c]));
  }
}

static uint8_t colour_of(float value) {
  const double level = 1 + log10((double)value) / decades; /* 0 gives minus infinity */
  return level <= 0 ? 0 : level >= 1 ? 255 : (uint8_t)(level * 255);
}

void figure_density(const heat_map *map, int64_t atoms, FILE *out) {
  static uint8_t pixels[HEAT_MAP_SIDE * HEAT_MAP_SIDE], palette[256][3];
  make_palette(palette);
  for (int i = 0; i < map->side * map->side; i++) pixels[i] = colour_of(map->cell[i]);

  fputs("<img class=\"heat\" alt=\"density matrix\" src=\"", out);
  png_write_data_uri(map->side, map->side, pixels, (const uint8_t(*)[3])palette, out);
  fputs(
      "\">\n<div class=\"scale\"><span>10<sup>-4</sup></span><i "
      "style=\"background:linear-gradient(90deg",
      out);
  for (int i = 0; i < 5; i++) fprintf(out, ",rgb(%d,%d,%d)", stops[i][0], stops[i][1], stops[i][2]);
  fprintf(out,
          ")\"></i><span>1</span></div>\n<p class=\"note\">|P<sub>ij</sub>|, %" PRId64
          " &times; %" PRId64 "%s</p>\n",
          atoms, atoms, atoms > map->side ? "; each pixel shows the largest element in it" : "");
}
