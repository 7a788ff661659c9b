/* Meshes of some dimensions, on MPI and on simulated ranks. */
#include <dtensor/mesh.h>

#include "dtensor/mesh/mesh.h"
#include "tests/harness/world.h"

#define NAMES(...) ((const char *const[]){__VA_ARGS__})

static const dtensor_mesh_opts named = {.dim_names = NAMES("dp", "cp", "tp"), .threads = 3};

/* Six ranks as 3 x 1 x 2. */
static void sub(const test_world *w) {
  dtensor_mesh *mesh, *s;
  if (!EXPECT_OK(world_mesh(w, 3, (int64_t[]){3, 1, 2}, &named, &mesh))) return;
  EXPECT_OK(dtensor_mesh_sub(mesh, 1, NAMES("dp"), &s));
  EXPECT_EQ(dtensor_mesh_ndim(s), 1);
  EXPECT_EQ(dtensor_mesh_size(s, 0), 3);
  EXPECT_EQ(dtensor_mesh_coordinate(s, 0), w->rank / 2);
  EXPECT_STREQ(dtensor_mesh_dim_name(s, 0), "dp");
  EXPECT_EQ(dtensor_mesh_threads(s), 3);
  for (int i = 0; i < 3; i++) EXPECT_EQ(dti_mesh_root_rank(s, i), 2 * i + w->rank % 2);
  dti_comm *whole, *line, *parents;
  EXPECT_OK(dti_mesh_comm(s, &whole));
  EXPECT_OK(dti_mesh_line(s, 0, &line));
  EXPECT_OK(dti_mesh_line(mesh, 0, &parents));
  EXPECT_TRUE(whole == line && line == parents); /* no communicator is made twice */
  int64_t sum = w->rank;
  EXPECT_OK(dti_comm_allreduce(whole, &sum, 1, DTI_COMM_SUM));
  EXPECT_EQ(sum, 6 + 3 * (w->rank % 2));
  dtensor_mesh_destroy(&s);

  EXPECT_OK(dtensor_mesh_sub(mesh, 2, NAMES("cp", "tp"), &s));
  EXPECT_EQ(dtensor_mesh_size(s, 0), 1);
  EXPECT_EQ(dtensor_mesh_size(s, 1), 2);
  EXPECT_EQ(dtensor_mesh_coordinate(s, 1), w->rank % 2);
  dtensor_mesh *inner;
  EXPECT_OK(dtensor_mesh_sub(s, 1, NAMES("tp"), &inner));
  dtensor_mesh_destroy(&mesh); /* in any order */
  dtensor_mesh_destroy(&s);
  EXPECT_EQ(dti_mesh_root_rank(inner, 1), w->rank / 2 * 2 + 1);
  dtensor_mesh_destroy(&inner);
}
DTEST(SubMesh, OfSomeDimensions) { run_worlds_of(6, sub); }

static void all_names(const test_world *w) {
  dtensor_mesh *mesh, *s;
  EXPECT_OK(world_mesh(w, 3, (int64_t[]){1, -1, 1}, &named, &mesh));
  EXPECT_OK(dtensor_mesh_sub(mesh, 3, NAMES("dp", "cp", "tp"), &s));
  EXPECT_TRUE(s == mesh);
  dtensor_mesh_destroy(&s);
  EXPECT_EQ(dtensor_mesh_ndim(mesh), 3);
  dtensor_mesh_destroy(&mesh);
}
DTEST(SubMesh, OfAllDimensionsIsItself) { run_worlds(all_names); }

static void flatten(const test_world *w) {
  dtensor_mesh *mesh, *flat;
  if (!EXPECT_OK(world_mesh(w, 3, (int64_t[]){3, 1, 2}, &named, &mesh))) return;
  EXPECT_OK(dtensor_mesh_flatten(mesh, 2, NAMES("dp", "tp"), NULL, &flat));
  EXPECT_EQ(dtensor_mesh_ndim(flat), 1);
  EXPECT_EQ(dtensor_mesh_size(flat, 0), 6);
  EXPECT_EQ(dtensor_mesh_coordinate(flat, 0), w->rank);
  EXPECT_STREQ(dtensor_mesh_dim_name(flat, 0), "dp_tp");
  dti_comm *comm;
  EXPECT_OK(dti_mesh_comm(flat, &comm));
  EXPECT_TRUE(comm == w->comm);
  dtensor_mesh_destroy(&flat);
  EXPECT_OK(dtensor_mesh_flatten(mesh, 2, NAMES("dp", "cp"), "data", &flat));
  EXPECT_EQ(dtensor_mesh_size(flat, 0), 3);
  EXPECT_EQ(dtensor_mesh_coordinate(flat, 0), w->rank / 2);
  EXPECT_STREQ(dtensor_mesh_dim_name(flat, 0), "data");
  dtensor_mesh_destroy(&flat);
  EXPECT_STATUS(DTENSOR_EINVAL, dtensor_mesh_flatten(mesh, 2, NAMES("dp", "cp"), "", &flat));
  EXPECT_NULL(flat);
  dtensor_mesh_destroy(&mesh);
}
DTEST(SubMesh, Flattened) { run_worlds_of(6, flatten); }

/* Rank 0 is not in the mesh of 1, 2, 3, nor in any part of it. */
static void outside(const test_world *w) {
  dtensor_mesh *mesh, *s;
  EXPECT_OK(world_mesh_from_ranks(w, 2, (int64_t[]){3, 1}, (int[]){3, 2, 1}, &named, &mesh));
  EXPECT_OK(dtensor_mesh_sub(mesh, 1, NAMES("dp"), &s));
  EXPECT_EQ(dtensor_mesh_coordinate(s, 0), w->rank == 0 ? -1 : 3 - w->rank);
  EXPECT_EQ(dtensor_mesh_size(s, 0), 3);
  EXPECT_EQ(dti_mesh_is_member(s), w->rank != 0);
  dtensor_mesh_destroy(&s);
  EXPECT_OK(dtensor_mesh_flatten(mesh, 2, NAMES("dp", "cp"), NULL, &s));
  EXPECT_EQ(dtensor_mesh_coordinate(s, -1), w->rank == 0 ? -1 : 3 - w->rank);
  dtensor_mesh_destroy(&s);
  dtensor_mesh_destroy(&mesh);
}
DTEST(SubMesh, OutsideOfIt) { run_worlds_of(4, outside); }

static void refused(const test_world *w) {
  static const struct {
    int n;
    const char *names[4];
    const char *message;
  } cases[] = {
      {1, {"q"}, "no mesh dimension is named 'q'; there are 'dp', 'cp', 'tp'"},
      {1, {NULL}, "no mesh dimension is named ''"},
      {2, {"dp", "dp"}, "'dp' is named twice"},
      {2,
       {"tp", "dp"},
       "'dp' comes before 'tp' in the mesh; its dimensions in order are 'dp', 'cp', 'tp'"},
      {0, {NULL}, "0 names for a mesh of dimensions 'dp', 'cp', 'tp'"},
      {4, {"dp", "cp", "tp", "q"}, "4 names for"},
  };
  dtensor_mesh *mesh, *s;
  EXPECT_OK(world_mesh(w, 3, (int64_t[]){1, 1, -1}, &named, &mesh));
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    EXPECT_STATUS(DTENSOR_EINVAL, dtensor_mesh_sub(mesh, cases[i].n, cases[i].names, &s));
    EXPECT_NULL(s);
    EXPECT_CONTAINS(dtensor_last_error(), cases[i].message);
    EXPECT_STATUS(DTENSOR_EINVAL, dtensor_mesh_flatten(mesh, cases[i].n, cases[i].names, NULL, &s));
    EXPECT_CONTAINS(dtensor_last_error(), cases[i].message);
  }
  EXPECT_STATUS(DTENSOR_EINVAL, dtensor_mesh_sub(NULL, 1, NAMES("dp"), &s));
  EXPECT_STATUS(DTENSOR_EINVAL, dtensor_mesh_sub(mesh, 1, NULL, &s));
  EXPECT_STATUS(DTENSOR_EINVAL, dtensor_mesh_sub(mesh, 1, NAMES("dp"), NULL));
  EXPECT_STATUS(DTENSOR_EINVAL, dtensor_mesh_flatten(NULL, 1, NAMES("dp"), NULL, &s));
  EXPECT_STATUS(DTENSOR_EINVAL, dtensor_mesh_flatten(mesh, 1, NULL, NULL, &s));
  EXPECT_STATUS(DTENSOR_EINVAL, dtensor_mesh_flatten(mesh, 1, NAMES("dp"), NULL, NULL));
  dtensor_mesh_destroy(&mesh);
  EXPECT_OK(world_mesh(w, 1, (int64_t[]){-1}, NULL, &mesh));
  EXPECT_STATUS(DTENSOR_EINVAL, dtensor_mesh_sub(mesh, 1, NAMES("dp"), &s));
  EXPECT_CONTAINS(dtensor_last_error(), "no dimension names");
  dtensor_mesh_destroy(&mesh);
}
DTEST(SubMesh, Refused) { run_worlds(refused); }
