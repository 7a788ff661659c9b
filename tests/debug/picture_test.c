/* Sharding pictures: exact text for small layouts, and what SVG must hold. */
#define _POSIX_C_SOURCE 200809L /* open_memstream */
#include <dtensor/dtensor.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/harness/dtest.h"

/* The picture of a tensor of that shape, to be freed; NULL if the tensor or the picture failed. */
static char *picture_of(dtensor_sim *sim, int mesh_ndim, const int64_t mesh_shape[], int ndim,
                        const int64_t shape[], const char *placements, dtensor_picture format) {
  dtensor_placement p[DTENSOR_MAX_NDIM];
  dtensor_mesh *mesh = NULL;
  dtensor *x = NULL;
  char *text = NULL;
  size_t size = 0;
  FILE *out = open_memstream(&text, &size);
  const int made =
      EXPECT_OK(dtensor_placements_parse(placements, mesh_ndim, p)) &&
      EXPECT_OK(dtensor_sim_init_device_mesh(sim, mesh_ndim, mesh_shape, NULL, &mesh)) &&
      EXPECT_OK(dtensor_empty(mesh, DTENSOR_U8, ndim, shape, p, &x)) &&
      EXPECT_OK(dtensor_visualize_sharding(x, format, out));
  fclose(out);
  dtensor_destroy(&x);
  dtensor_mesh_destroy(&mesh);
  if (made) return text;
  free(text);
  return NULL;
}

static int64_t count(const char *text, const char *word) {
  int64_t n = 0;
  for (; (text = strstr(text, word)); text++) n++;
  return n;
}

typedef struct text_case {
  int mesh_ndim;
  int64_t mesh[3];
  int ndim;
  int64_t shape[3];
  const char *placements, *text;
} text_case;

static const text_case text_cases[] = {
    {2,
     {2, 3},
     2,
     {8, 9},
     "S(0),S(1)",
     "         Col 0-2  Col 3-5  Col 6-8\n"
     "-------  -------  -------  -------\n"
     "Row 0-3  0        1        2\n"
     "Row 4-7  3        4        5\n"},
    {2,
     {2, 3},
     2,
     {8, 9},
     "R,S(0)", /* replicas stand together */
     "         Col 0-8\n"
     "-------  -------\n"
     "Row 0-2  0,3\n"
     "Row 3-5  1,4\n"
     "Row 6-7  2,5\n"},
    {2,
     {2, 3},
     2,
     {8, 9},
     "P,S(1)", /* and so do the terms of a sum */
     "         Col 0-2  Col 3-5  Col 6-8\n"
     "-------  -------  -------  -------\n"
     "Row 0-7  0,3      1,4      2,5\n"},
    {2,
     {2, 3},
     1,
     {7},
     "R,S(0)", /* a vector is one row */
     "         Col 0-2  Col 3-5  Col 6-6\n"
     "-------  -------  -------  -------\n"
     "Row 0-0  0,3      1,4      2,5\n"},
    {1,
     {6},
     1,
     {4},
     "S(0)", /* empty shards own nothing */
     "         Col 0-0  Col 1-1  Col 2-2  Col 3-3\n"
     "-------  -------  -------  -------  -------\n"
     "Row 0-0  0        1        2        3\n"},
    {2,
     {2, 3},
     2,
     {2, 12},
     "S(1),S(1)", /* nested: two halves, each in three */
     "         Col 0-1  Col 2-3  Col 4-5  Col 6-7  Col 8-9  Col 10-11\n"
     "-------  -------  -------  -------  -------  -------  ---------\n"
     "Row 0-1  0        1        2        3        4        5\n"},
    {2,
     {3, 2},
     2,
     {5, 2},
     "SC(0,1),R",
     "         Col 0-1\n"
     "-------  -------\n"
     "Row 0-0  0,1\n"
     "Row 1-1  2,3\n"
     "Row 2-2  4,5\n"
     "Row 3-3  0,1\n"
     "Row 4-4  2,3\n"},
    {3,
     {3, 1, 2},
     3,
     {4, 4, 4},
     "S(2),SC(0,1),S(0)", /* the third dimension is left out */
     "         Col 0-3\n"
     "-------  -------\n"
     "Row 0-1  0,2,4\n"
     "Row 2-3  1,3,5\n"},
    {1,
     {6},
     2,
     {0, 3},
     "S(0)",
     "  Col 0-2\n"
     "  -------\n"},
};

DTEST_SIM(Picture, Text, 6) {
  for (size_t i = 0; i < sizeof text_cases / sizeof text_cases[0]; i++) {
    const text_case *c = &text_cases[i];
    char *text = picture_of(sim, c->mesh_ndim, c->mesh, c->ndim, c->shape, c->placements,
                            DTENSOR_PICTURE_TEXT);
    if (EXPECT_NOT_NULL((void *)text)) EXPECT_STREQ(text, c->text);
    free(text);
  }
}

DTEST_SIM(Picture, ManyReplicasAreCut, 64) {
  char *text = picture_of(sim, 1, (int64_t[]){64}, 1, (int64_t[]){10}, "R", DTENSOR_PICTURE_TEXT);
  if (EXPECT_NOT_NULL((void *)text)) EXPECT_CONTAINS(text, "0,1,2,3,4,...,63\n");
  free(text);
}

/* A million blocks per axis: cut, and at once. */
DTEST_SIM(Picture, BigCyclicLayoutsAreCut, 4) {
  const int64_t mesh[] = {4}, shape[] = {1, 1000000};
  char *text = picture_of(sim, 1, mesh, 2, shape, "SC(1,1)", DTENSOR_PICTURE_TEXT);
  if (EXPECT_NOT_NULL((void *)text)) {
    EXPECT_CONTAINS(text, "Col 63-63  ...\n");
    EXPECT_EQ(count(text, "Col"), (int64_t)64);
  }
  free(text);
  text = picture_of(sim, 1, mesh, 2, shape, "SC(1,1)", DTENSOR_PICTURE_SVG);
  if (EXPECT_NOT_NULL((void *)text)) {
    EXPECT_EQ(count(text, "<rect"), (int64_t)64);
    EXPECT_CONTAINS(text, "&#8943;");
  }
  free(text);
}

DTEST_SIM(Picture, Svg, 6) {
  char *text =
      picture_of(sim, 2, (int64_t[]){2, 3}, 2, (int64_t[]){8, 9}, "S(0),S(1)", DTENSOR_PICTURE_SVG);
  if (EXPECT_NOT_NULL((void *)text)) {
    EXPECT_EQ(strncmp(text, "<svg ", 5), 0);
    EXPECT_EQ(count(text, "<svg"), (int64_t)1);
    EXPECT_EQ(count(text, "</svg>"), (int64_t)1);
    EXPECT_EQ(count(text, "<rect"), (int64_t)6);
    EXPECT_EQ(count(text, "href"), (int64_t)0);
    EXPECT_CONTAINS(text, "rank 4: rows 4-7, columns 3-5");
    EXPECT_CONTAINS(text, "S(0),S(1)");
  }
  free(text);
  text = picture_of(sim, 1, (int64_t[]){6}, 2, (int64_t[]){0, 3}, "R", DTENSOR_PICTURE_SVG);
  if (EXPECT_NOT_NULL((void *)text)) EXPECT_EQ(count(text, "<rect"), (int64_t)0);
  free(text);
}

DTEST_SIM(Picture, Errors, 2) {
  const dtensor_placement p[] = {dtensor_replicate()};
  const int64_t shape[] = {4};
  dtensor_mesh *mesh = NULL;
  dtensor *x = NULL, *scalar = NULL;
  FILE *full = fopen("/dev/full", "w");
  EXPECT_OK(dtensor_sim_init_device_mesh(sim, 1, (int64_t[]){2}, NULL, &mesh));
  EXPECT_OK(dtensor_empty(mesh, DTENSOR_F64, 1, shape, p, &x));
  EXPECT_OK(dtensor_empty(mesh, DTENSOR_F64, 0, NULL, p, &scalar));
  EXPECT_STATUS(DTENSOR_EINVAL, dtensor_visualize_sharding(NULL, DTENSOR_PICTURE_TEXT, stdout));
  EXPECT_STATUS(DTENSOR_EINVAL, dtensor_visualize_sharding(x, DTENSOR_PICTURE_TEXT, NULL));
  EXPECT_STATUS(DTENSOR_EINVAL, dtensor_visualize_sharding(x, (dtensor_picture)7, stdout));
  EXPECT_STATUS(DTENSOR_ESHAPE, dtensor_visualize_sharding(scalar, DTENSOR_PICTURE_SVG, stdout));
  if (full) {
    EXPECT_STATUS(DTENSOR_EIO, dtensor_visualize_sharding(x, DTENSOR_PICTURE_TEXT, full));
    fclose(full);
  }
  dtensor_destroy(&x);
  dtensor_destroy(&scalar);
  dtensor_mesh_destroy(&mesh);
}
