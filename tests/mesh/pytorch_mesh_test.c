#define _POSIX_C_SOURCE 200809L /* strtok_r */
/* Coordinates and sub-meshes against PyTorch's own answers, tests/oracle/mesh.txt. */
#include <dtensor/mesh.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dtensor/mesh/mesh.h"
#include "tests/harness/dtest.h"

static const char *const names[] = {"x", "y", "z"};

/* "2x3" or "2,3" to {2, 3}; returns how many. */
static int read_list(const char *text, int64_t values[DTENSOR_MAX_NDIM]) {
  int n = 0;
  for (char *end; n < DTENSOR_MAX_NDIM; text = end + 1) {
    values[n++] = strtoll(text, &end, 10);
    if (*end == '\0') break;
  }
  return n;
}

static dtensor_status make(dtensor_sim *sim, const char *shape_text, const char *ranks_text,
                           dtensor_mesh **mesh) {
  const dtensor_mesh_opts opts = {.dim_names = names};
  int64_t shape[DTENSOR_MAX_NDIM], list[DTENSOR_MAX_NDIM];
  const int ndim = read_list(shape_text, shape);
  if (!ranks_text) return dtensor_sim_init_device_mesh(sim, ndim, shape, &opts, mesh);
  int ranks[DTENSOR_MAX_NDIM];
  const int n = read_list(ranks_text, list);
  for (int i = 0; i < n; i++) ranks[i] = (int)list[i];
  return dtensor_sim_mesh_from_ranks(sim, ndim, shape, ranks, &opts, mesh);
}

/* The rest of this rank's row is being read by strtok_r. */
static dtensor_status check_row(dtensor_mesh *mesh, char **rest) {
  const char *text = strtok_r(NULL, " \n", rest);
  int64_t want[DTENSOR_MAX_NDIM];
  SIM_REQUIRE_NOT_NULL(text);
  if (strcmp(text, "-") == 0) {
    for (int dim = -1; dim < dtensor_mesh_ndim(mesh); dim++)
      EXPECT_EQ(dtensor_mesh_coordinate(mesh, dim), -1);
    return DTENSOR_OK;
  }
  SIM_REQUIRE_EQ(read_list(text, want), dtensor_mesh_ndim(mesh));
  for (int dim = 0; dim < dtensor_mesh_ndim(mesh); dim++)
    EXPECT_EQ(dtensor_mesh_coordinate(mesh, dim), want[dim]);
  for (int dim = 0; (text = strtok_r(NULL, " \n", rest)); dim++) {
    dtensor_mesh *sub;
    SIM_REQUIRE_OK(dtensor_mesh_sub(mesh, 1, &names[dim], &sub));
    const int n = read_list(text, want);
    EXPECT_EQ(dtensor_mesh_size(sub, 0), n);
    EXPECT_EQ(dtensor_mesh_coordinate(sub, 0), dtensor_mesh_coordinate(mesh, dim));
    for (int i = 0; i < n; i++) EXPECT_EQ(dti_mesh_root_rank(sub, i), want[i]);
    dtensor_mesh_destroy(&sub);
  }
  return DTENSOR_OK;
}

static dtensor_status every_row(dtensor_sim *sim, void *ctx) {
  (void)ctx;
  dtest_set_sim_rank(dtensor_sim_rank(sim), dtensor_sim_size(sim));
  FILE *file = fopen("tests/oracle/mesh.txt", "r");
  SIM_REQUIRE_NOT_NULL(file);
  dtensor_mesh *mesh = NULL;
  int rows = 0;
  for (char line[256]; fgets(line, sizeof line, file);) {
    char *rest, *word = line[0] == '#' ? NULL : strtok_r(line, " \n", &rest);
    if (!word) continue;
    if (strcmp(word, "mesh") == 0) {
      dtensor_mesh_destroy(&mesh);
      const char *shape = strtok_r(NULL, " \n", &rest);
      EXPECT_OK(make(sim, shape, strtok_r(NULL, " \n", &rest), &mesh));
    } else if (atoi(word) == dtensor_sim_rank(sim)) {
      EXPECT_OK(check_row(mesh, &rest));
      rows++;
    }
  }
  dtensor_mesh_destroy(&mesh);
  fclose(file);
  EXPECT_EQ(rows, 8);
  return DTENSOR_OK;
}

DTEST(PyTorchMesh, EveryRow) { EXPECT_OK(dtensor_sim_run(4, every_row, NULL)); }
