#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "dtensor/debug/picture.h"

/* Long enough for "Col " and two 64-bit indices. */
enum { HEADING = 64 };

static void write_heading(const char *word, const dti_picture_band *band, char *text) {
  snprintf(text, HEADING, "%s %" PRId64 "-%" PRId64, word, band->begin, band->end - 1);
}

static int is_cut(const dti_picture_axis *axis) { return axis->rest < axis->size; }

/* The text of a cell: row and column -1 are the headings, `bands` is the ellipsis of a cut axis. */
static void write_cell(const dti_picture *picture, int row, int column, char *text, size_t size) {
  const dti_picture_axis *rows = &picture->rows, *columns = &picture->columns;
  text[0] = '\0';
  if (row == rows->bands || column == columns->bands)
    snprintf(text, size, "...");
  else if (row < 0 && column >= 0)
    write_heading("Col", &columns->band[column], text);
  else if (row >= 0 && column < 0)
    write_heading("Row", &rows->band[row], text);
  else if (row >= 0)
    dti_picture_owners(picture, row, column, text, size, NULL);
}

void dti_picture_write_text(const dti_picture *picture, FILE *out) {
  const int row_end = picture->rows.bands + is_cut(&picture->rows);
  const int column_end = picture->columns.bands + is_cut(&picture->columns);
  int width[DTI_PICTURE_BANDS + 2] = {0}; /* the headings of rows stand at 0 */
  char text[DTI_PICTURE_LABEL];
  for (int column = -1; column < column_end; column++) {
    for (int row = -1; row < row_end; row++) {
      write_cell(picture, row, column, text, sizeof text);
      const int length = (int)strlen(text);
      if (length > width[column + 1]) width[column + 1] = length;
    }
  }
  for (int row = -1; row < row_end; row++) {
    for (int column = -1; column < column_end; column++) {
      write_cell(picture, row, column, text, sizeof text);
      const int last = column == column_end - 1;
      fprintf(out, "%-*s%s", last ? 0 : width[column + 1], text, last ? "\n" : "  ");
    }
    if (row >= 0) continue;
    for (int column = -1; column < column_end; column++) {
      for (int i = 0; i < width[column + 1]; i++) fputc('-', out);
      fputs(column == column_end - 1 ? "\n" : "  ", out);
    }
  }
}
