/* Local shapes and offsets against PyTorch's own answers, tests/oracle/layout.txt. */
#include <dtensor/placement.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dtensor/spec/layout.h"
#include "tests/harness/dtest.h"

/* "2x3" to {2, 3}; returns how many, and in *end what follows. */
static int read_sizes(const char *text, int64_t sizes[DTENSOR_MAX_NDIM], char **end) {
  int n = 0;
  for (;;) {
    sizes[n++] = strtoll(text, end, 10);
    if (**end != 'x' || n == DTENSOR_MAX_NDIM) return n;
    text = *end + 1;
  }
}

typedef struct group {
  int mesh_ndim, ndim;
  int64_t mesh[DTENSOR_MAX_NDIM], shape[DTENSOR_MAX_NDIM];
} group;

/* The rest of the line, after the placements, is being read by strtok. */
static bool check_row(const group *g, const char *placements) {
  dtensor_placement p[DTENSOR_MAX_NDIM];
  if (!EXPECT_OK(dtensor_placements_parse(placements, g->mesh_ndim, p))) return false;
  for (int64_t rank = 0; rank < dti_numel(g->mesh_ndim, g->mesh); rank++) {
    char *at = strtok(NULL, " \n");
    if (!EXPECT_NOT_NULL(at)) return false;
    int64_t want_shape[DTENSOR_MAX_NDIM], want_offset[DTENSOR_MAX_NDIM];
    if (!EXPECT_EQ(read_sizes(at, want_shape, &at), g->ndim) || !EXPECT_EQ(*at, '@') ||
        !EXPECT_EQ(read_sizes(at + 1, want_offset, &at), g->ndim))
      return false;

    int64_t coord[DTENSOR_MAX_NDIM], shape[DTENSOR_MAX_NDIM], offset[DTENSOR_MAX_NDIM];
    dti_mesh_unravel(g->mesh_ndim, g->mesh, rank, coord);
    if (!EXPECT_OK(dtensor_compute_local_shape_and_global_offset(
            g->mesh_ndim, g->mesh, coord, g->ndim, g->shape, p, shape, offset)) ||
        !EXPECT_MEMEQ(shape, want_shape, (size_t)g->ndim * sizeof *shape) ||
        !EXPECT_MEMEQ(offset, want_offset, (size_t)g->ndim * sizeof *offset))
      return false;
  }
  return EXPECT_NULL(strtok(NULL, " \n"));
}

DTEST(PyTorchLayout, EveryRow) {
  FILE *file = fopen("tests/oracle/layout.txt", "r");
  REQUIRE_NOT_NULL(file);
  group g = {0};
  int rows = 0, wrong = 0, number = 0;
  for (char line[4096]; fgets(line, sizeof line, file);) {
    number++;
    const char *word = line[0] == '#' ? NULL : strtok(line, " \n");
    if (!word) continue;
    char *end;
    if (strcmp(word, "mesh") == 0) {
      g.mesh_ndim = read_sizes(strtok(NULL, " \n"), g.mesh, &end);
    } else if (strcmp(word, "shape") == 0) {
      g.ndim = read_sizes(strtok(NULL, " \n"), g.shape, &end);
    } else {
      rows++;
      if (!check_row(&g, word)) {
        dtest_fail(__FILE__, __LINE__, "line %d: %s", number, word);
        if (++wrong == 10) break;
      }
    }
  }
  fclose(file);
  EXPECT_EQ(rows, 3340);
}
