#define _POSIX_C_SOURCE 200809L /* setenv */
/* DTENSOR_MACHINE: the figures that meshes plan with, from a file and without a call. */
#include <dtensor/plan.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/harness/world.h"

/* Of this process alone. */
static const char *file_name(char text[256]) {
  const char *folder = getenv("TEST_TMPDIR");
  snprintf(text, 256, "%s/figures-%ld.txt", folder ? folder : "/tmp", (long)getpid());
  return text;
}

static void write_file(const char *path, const char *text) {
  FILE *file = fopen(path, "w");
  if (!EXPECT_TRUE(file != NULL)) return;
  fputs(text, file);
  fclose(file);
}

/* On a communicator that has no mesh yet. */
static dtensor_status first_mesh(const test_world *w, MPI_Comm *own, dtensor_mesh **mesh) {
  *own = MPI_COMM_NULL;
  test_world fresh = *w;
  if (!w->sim) {
    MPI_Comm_dup(w->user, own);
    fresh.user = *own;
  }
  return world_mesh(&fresh, 1, (int64_t[]){-1}, NULL, mesh);
}

static void release(dtensor_mesh *mesh, MPI_Comm own) {
  dtensor_mesh_destroy(&mesh);
  if (own != MPI_COMM_NULL) MPI_Comm_free(&own);
}

static void expect_figures(const test_world *w) {
  dtensor_mesh *mesh = NULL;
  MPI_Comm own;
  if (EXPECT_OK(first_mesh(w, &own, &mesh))) {
    const dtensor_machine m = dtensor_machine_of(mesh), usual = dtensor_machine_default();
    EXPECT_EQ(m.latency, 7e-6);
    EXPECT_EQ(m.ranks_per_node, 3);
    EXPECT_EQ(m.copy, usual.copy); /* not named in the file */
  }
  release(mesh, own);
}

static void expect_default(const test_world *w) {
  dtensor_mesh *mesh = NULL;
  MPI_Comm own;
  if (EXPECT_OK(first_mesh(w, &own, &mesh)))
    EXPECT_EQ(dtensor_machine_of(mesh).latency, dtensor_machine_default().latency);
  release(mesh, own);
}

static dtensor_status expected;
static const char *message;

static void expect_error(const test_world *w) {
  dtensor_mesh *mesh = NULL;
  MPI_Comm own;
  EXPECT_STATUS(expected, first_mesh(w, &own, &mesh));
  EXPECT_NULL(mesh);
  if (w->rank == 0) EXPECT_CONTAINS(dtensor_last_error(), message);
  release(mesh, own);
}

static void each_with(const char *path, void (*body)(const test_world *)) {
  setenv("DTENSOR_MACHINE", path, 1);
  run_worlds(body);
  unsetenv("DTENSOR_MACHINE");
}

DTEST(Machine, IsThatOfTheFile) {
  char path[256];
  write_file(file_name(path), "latency 7 us\nranks_per_node 3 ranks\n");
  each_with(path, expect_figures);
  /* Only that of rank 0 counts. */
  if (dtest_comm() != MPI_COMM_NULL)
    each_with(dtest_rank() == 0 ? path : "/nowhere/figures.txt", expect_figures);
  remove(path);
  each_with("", expect_default);
  run_worlds(expect_default);
}

DTEST(Machine, BadFilesAreErrorsOnAllRanks) {
  char path[256];
  expected = DTENSOR_EIO;
  message = "DTENSOR_MACHINE=/nowhere/figures.txt cannot be opened";
  each_with("/nowhere/figures.txt", expect_error);
  write_file(file_name(path), "latency 7 us\nlatency 7 parsecs\n");
  expected = DTENSOR_EINVAL;
  message = ", line 2: latency a second time";
  each_with(path, expect_error);
  remove(path);
  run_worlds(expect_default); /* the next mesh is none the worse for it */
}
