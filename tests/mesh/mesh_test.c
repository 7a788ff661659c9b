/* Device meshes on MPI and on simulated ranks: making them, asking them, refusing them. */
#include "dtensor/mesh/mesh.h"

#include <dtensor/mesh.h>
#include <stdlib.h>
#include <string.h>

#include "dtensor/base/event.h"
#include "tests/harness/world.h"

static const char *const xyz[] = {"x", "y", "z"};

/* 1 x p and p x 1 and, for an even p, p/2 x 2: coordinates are row-major. */
static void check_2d(const test_world *w, int64_t rows, int64_t columns, int infer) {
  int64_t shape[2] = {rows, columns};
  if (infer >= 0) shape[infer] = -1;
  dtensor_mesh *mesh;
  if (!EXPECT_OK(world_mesh(w, 2, shape, &(dtensor_mesh_opts){.dim_names = xyz}, &mesh))) return;
  EXPECT_EQ(dtensor_mesh_ndim(mesh), 2);
  EXPECT_EQ(dtensor_mesh_size(mesh, 0), rows);
  EXPECT_EQ(dtensor_mesh_size(mesh, 1), columns);
  EXPECT_EQ(dtensor_mesh_size(mesh, -1), w->size);
  EXPECT_EQ(dtensor_mesh_size(mesh, 2), 0);
  EXPECT_EQ(dtensor_mesh_coordinate(mesh, 0), w->rank / columns);
  EXPECT_EQ(dtensor_mesh_coordinate(mesh, 1), w->rank % columns);
  EXPECT_EQ(dtensor_mesh_coordinate(mesh, -1), w->rank);
  EXPECT_EQ(dtensor_mesh_coordinate(mesh, 2), -1);
  EXPECT_STREQ(dtensor_mesh_dim_name(mesh, 1), "y");
  EXPECT_NULL(dtensor_mesh_dim_name(mesh, 2));
  EXPECT_EQ(dtensor_mesh_dim(mesh, "y"), 1);
  EXPECT_EQ(dtensor_mesh_dim(mesh, "z"), -1);
  EXPECT_GE(dtensor_mesh_threads(mesh), 1);

  for (int dim = 0; dim < 2; dim++) {
    dti_comm *line;
    if (!EXPECT_OK(dti_mesh_line(mesh, dim, &line))) continue;
    EXPECT_EQ(dti_comm_size(line), dtensor_mesh_size(mesh, dim));
    EXPECT_EQ(dti_comm_rank(line), dtensor_mesh_coordinate(mesh, dim));
    int64_t lowest = w->rank;
    EXPECT_OK(dti_comm_allreduce(line, &lowest, 1, DTI_COMM_MIN));
    EXPECT_EQ(lowest, dim == 0 ? w->rank % columns : w->rank - w->rank % columns);
    EXPECT_EQ(dtensor_mesh_comm(mesh, dim) == MPI_COMM_NULL, w->sim != NULL);
  }
  dti_comm *whole;
  EXPECT_OK(dti_mesh_comm(mesh, &whole));
  EXPECT_TRUE(whole == w->comm);
  dtensor_mesh *second = dtensor_mesh_retain(mesh);
  dtensor_mesh_destroy(&mesh);
  EXPECT_NULL(mesh);
  EXPECT_EQ(dtensor_mesh_ndim(second), 2);
  dtensor_mesh_destroy(&second);
  dtensor_mesh_destroy(&second);
  dtensor_mesh_destroy(NULL);
}

static void two_dims(const test_world *w) {
  for (int infer = -1; infer < 2; infer++) {
    check_2d(w, 1, w->size, infer);
    check_2d(w, w->size, 1, infer);
    if (w->size % 2 == 0) check_2d(w, w->size / 2, 2, infer);
  }
}
DTEST(Mesh, RowMajor) { run_worlds(two_dims); }

static void eight_dims(const test_world *w) {
  const int64_t shape[DTENSOR_MAX_NDIM] = {1, 1, 1, -1, 1, 1, 1, 1};
  dtensor_mesh *mesh;
  EXPECT_OK(world_mesh(w, DTENSOR_MAX_NDIM, shape, NULL, &mesh));
  EXPECT_EQ(dtensor_mesh_coordinate(mesh, 3), w->rank);
  EXPECT_EQ(dtensor_mesh_coordinate(mesh, 7), 0);
  EXPECT_NULL(dtensor_mesh_dim_name(mesh, 0));
  dtensor_mesh_destroy(&mesh);
}
DTEST(Mesh, EightDimensions) { run_worlds(eight_dims); }

/* Every rank but the first, backwards. */
static void chosen(const test_world *w) {
  if (w->size < 2) return;
  const int n = w->size - 1;
  int *ranks = malloc((size_t)n * sizeof *ranks);
  for (int i = 0; i < n; i++) ranks[i] = n - i;
  dtensor_mesh *mesh, *again;
  if (EXPECT_OK(world_mesh_from_ranks(w, 1, (int64_t[]){n}, ranks, NULL, &mesh))) {
    const int64_t place = w->rank == 0 ? -1 : n - w->rank;
    EXPECT_EQ(dtensor_mesh_coordinate(mesh, 0), place);
    EXPECT_EQ(dtensor_mesh_coordinate(mesh, -1), place);
    EXPECT_EQ(dtensor_mesh_size(mesh, -1), n);
    EXPECT_EQ(dti_mesh_is_member(mesh), w->rank > 0);
    for (int i = 0; i < n; i++) EXPECT_EQ(dti_mesh_root_rank(mesh, i), n - i);
    EXPECT_EQ(dti_mesh_place(mesh, 0), -1);
    EXPECT_EQ(dti_mesh_place(mesh, n), 0);
    dti_comm *comm;
    if (w->rank == 0) {
      EXPECT_STATUS(DTENSOR_EMESH, dti_mesh_comm(mesh, &comm));
      EXPECT_TRUE(dtensor_mesh_comm(mesh, -1) == MPI_COMM_NULL);
    } else if (EXPECT_OK(dti_mesh_comm(mesh, &comm))) {
      EXPECT_EQ(dti_comm_rank(comm), place);
      EXPECT_EQ(dti_comm_size(comm), n);
      EXPECT_OK(dti_comm_agree(comm, DTENSOR_OK));
    }
    EXPECT_OK(world_mesh_from_ranks(w, 1, (int64_t[]){n}, ranks, NULL, &again));
    EXPECT_TRUE(dti_mesh_same(mesh, again));
    dtensor_mesh_destroy(&again);
    EXPECT_OK(world_mesh(w, 1, (int64_t[]){-1}, NULL, &again));
    EXPECT_FALSE(dti_mesh_same(mesh, again));
    dtensor_mesh_destroy(&again);
    dtensor_mesh_destroy(&mesh);
  }
  free(ranks);
}
DTEST(Mesh, ChosenRanks) { run_worlds(chosen); }

/* The list of all ranks in order is the mesh of all ranks. */
static void all_listed(const test_world *w) {
  int *ranks = malloc((size_t)w->size * sizeof *ranks);
  for (int i = 0; i < w->size; i++) ranks[i] = i;
  dtensor_mesh *listed, *all;
  EXPECT_OK(world_mesh_from_ranks(w, 1, (int64_t[]){w->size}, ranks, NULL, &listed));
  EXPECT_OK(world_mesh(w, 1, (int64_t[]){-1}, NULL, &all));
  EXPECT_TRUE(dti_mesh_same(listed, all));
  dti_comm *comm;
  EXPECT_OK(dti_mesh_comm(listed, &comm));
  EXPECT_TRUE(comm == w->comm);
  dtensor_mesh_destroy(&listed);
  dtensor_mesh_destroy(&all);
  free(ranks);
}
DTEST(Mesh, AllRanksListed) { run_worlds(all_listed); }

typedef struct refusal {
  int ndim;
  int64_t shape[3];
  const char *names[2];
  const char *message;
} refusal;

/* On four ranks. */
static const refusal refusals[] = {
    {0, {4}, {0}, "a mesh of 0 dimensions; there are 1 to 8"},
    {9, {4}, {0}, "a mesh of 9 dimensions"},
    {1, {3}, {0}, "mesh shape (3) needs 3 ranks, the communicator has 4"},
    {2, {2, 3}, {0}, "mesh shape (2,3) needs more ranks than the 4 of the communicator"},
    {2, {-1, 3}, {0}, "mesh shape (-1,3): 4 ranks cannot be divided by 3"},
    {2, {-1, -1}, {0}, "mesh shape (-1,-1): size -1 of dimension 1; only one may be inferred"},
    {2, {0, 4}, {0}, "mesh shape (0,4): size 0 of dimension 0"},
    {1, {-4}, {0}, "mesh shape (-4): size -4 of dimension 0"},
    {3, {INT64_MAX, INT64_MAX, 2}, {0}, "needs more ranks than the 4"},
    {2, {2, 2}, {"x", "x"}, "mesh dimensions 0 and 1 have the same name 'x'"},
    {2, {2, 2}, {"x", ""}, "the name of mesh dimension 1 is empty"},
    {2, {2, 2}, {"x", NULL}, "the name of mesh dimension 1 is empty"},
};

static void refused(const test_world *w) {
  for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++) {
    const refusal *r = &refusals[i];
    const dtensor_mesh_opts opts = {.dim_names = r->names[0] ? r->names : NULL};
    dtensor_mesh *mesh = (dtensor_mesh *)&opts;
    EXPECT_STATUS(DTENSOR_EINVAL, world_mesh(w, r->ndim, r->shape, &opts, &mesh));
    EXPECT_CONTAINS(dtensor_last_error(), r->message);
    EXPECT_NULL(mesh);
  }
  dtensor_mesh *mesh;
  EXPECT_STATUS(DTENSOR_EINVAL, world_mesh(w, 1, NULL, NULL, &mesh));
  EXPECT_STATUS(DTENSOR_EINVAL, world_mesh(w, 1, (int64_t[]){4}, NULL, NULL));
  const dtensor_mesh_opts opts = {.threads = -1};
  EXPECT_STATUS(DTENSOR_EINVAL, world_mesh(w, 1, (int64_t[]){4}, &opts, &mesh));
}
DTEST(Mesh, Refused) { run_worlds_of(4, refused); }

static void refused_ranks(const test_world *w) {
  static const struct {
    int64_t n;
    int ranks[4];
    const char *message;
  } lists[] = {
      {2, {1, 4}, "rank 4 in the list is not one of the communicator's 4"},
      {2, {-1, 1}, "rank -1 in the list"},
      {3, {2, 1, 2}, "rank 2 is listed twice"},
      {5, {0, 1, 2, 3}, "mesh shape (5) needs more ranks than the 4"},
      {-1, {0, 1, 2, 3}, "mesh shape (-1): size -1 of dimension 0"},
  };
  dtensor_mesh *mesh;
  for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
    EXPECT_STATUS(DTENSOR_EINVAL,
                  world_mesh_from_ranks(w, 1, &lists[i].n, lists[i].ranks, NULL, &mesh));
    EXPECT_CONTAINS(dtensor_last_error(), lists[i].message);
  }
  EXPECT_STATUS(DTENSOR_EINVAL, world_mesh_from_ranks(w, 1, (int64_t[]){4}, NULL, NULL, &mesh));
  EXPECT_CONTAINS(dtensor_last_error(), "no list of ranks");
}
DTEST(Mesh, RefusedRanks) { run_worlds_of(4, refused_ranks); }

/* Rank 1 differs: nobody hangs, everybody is told. */
static void diverged(const test_world *w) {
  const int odd = w->rank == 1;
  dtensor_mesh *mesh;
  EXPECT_STATUS(DTENSOR_EDIVERGED,
                world_mesh(w, 2, odd ? (int64_t[]){4, 1} : (int64_t[]){2, 2}, NULL, &mesh));
  EXPECT_CONTAINS(dtensor_last_error(), "the ranks gave different mesh shapes");
  EXPECT_NULL(mesh);
  EXPECT_STATUS(DTENSOR_EDIVERGED, world_mesh(w, odd ? 1 : 2, (int64_t[]){4, 1}, NULL, &mesh));
  EXPECT_CONTAINS(dtensor_last_error(), "the ranks gave different numbers of mesh dimensions");
  EXPECT_STATUS(DTENSOR_EDIVERGED,
                world_mesh(w, 1, (int64_t[]){4},
                           &(dtensor_mesh_opts){.dim_names = odd ? xyz : xyz + 1}, &mesh));
  EXPECT_CONTAINS(dtensor_last_error(), "the ranks gave different dimension names");
  EXPECT_STATUS(DTENSOR_EDIVERGED,
                world_mesh_from_ranks(w, 1, (int64_t[]){2}, odd ? (int[]){0, 1} : (int[]){1, 0},
                                      NULL, &mesh));
  EXPECT_CONTAINS(dtensor_last_error(), "the ranks gave different lists of ranks");
  /* One rank alone finds its argument wrong: it is told that too. */
  EXPECT_STATUS(DTENSOR_EDIVERGED, world_mesh(w, 1, (int64_t[]){odd ? 3 : 4}, NULL, &mesh));
  if (odd) EXPECT_CONTAINS(dtensor_last_error(), "mesh shape (3) needs 3 ranks");
  /* All find theirs wrong. */
  EXPECT_STATUS(DTENSOR_EINVAL, world_mesh(w, 1, (int64_t[]){odd ? 3 : 5}, NULL, &mesh));
  /* Something else than the compared arguments is wrong on one rank. */
  EXPECT_STATUS(DTENSOR_EINVAL, world_mesh(w, 1, (int64_t[]){4},
                                           &(dtensor_mesh_opts){.threads = odd ? -1 : 1}, &mesh));
  EXPECT_CONTAINS(dtensor_last_error(), odd ? "-1 threads" : "rank 1 failed with DTENSOR_EINVAL");
  EXPECT_OK(world_mesh(w, 1, (int64_t[]){4}, NULL, &mesh));
  dtensor_mesh_destroy(&mesh);
}
DTEST(Mesh, RanksDiffer) { run_worlds_of(4, diverged); }

/* The first mesh of a communicator also finds out who shares a node. */
static void one_agreement(const test_world *w) {
  dtensor_mesh *mesh;
  EXPECT_OK(world_mesh(w, 1, (int64_t[]){-1}, NULL, &mesh));
  dtensor_mesh_destroy(&mesh);
  const dti_counters before = *dti_event_counters();
  EXPECT_OK(world_mesh(w, 1, (int64_t[]){-1}, NULL, &mesh));
  EXPECT_EQ(dti_event_counters()->agreements - before.agreements, 1);
  EXPECT_EQ(dti_event_counters()->messages_sent, before.messages_sent);
  dtensor_mesh_destroy(&mesh);
}
DTEST(Mesh, CostsOneAllReduce) { run_worlds(one_agreement); }

static void fortran(const test_world *w) {
  if (w->sim) return;
  dtensor_mesh *mesh, *same;
  const MPI_Fint user = MPI_Comm_c2f(w->user);
  EXPECT_OK(dtensor_init_device_mesh_f(user, 1, (int64_t[]){-1}, NULL, &mesh));
  EXPECT_OK(world_mesh(w, 1, (int64_t[]){-1}, NULL, &same));
  EXPECT_TRUE(dti_mesh_same(mesh, same));
  dtensor_mesh_destroy(&mesh);
  dtensor_mesh_destroy(&same);
  EXPECT_OK(dtensor_mesh_from_ranks_f(user, 1, (int64_t[]){1}, (int[]){0}, NULL, &mesh));
  EXPECT_EQ(dtensor_mesh_coordinate(mesh, 0), w->rank == 0 ? 0 : -1);
  dtensor_mesh_destroy(&mesh);
}
DTEST(Mesh, Fortran) { run_worlds(fortran); }

DTEST(Mesh, NullHasNoDimensions) {
  EXPECT_NULL(dtensor_mesh_retain(NULL));
  EXPECT_EQ(dtensor_mesh_ndim(NULL), 0);
  EXPECT_EQ(dtensor_mesh_size(NULL, -1), 0);
  EXPECT_EQ(dtensor_mesh_coordinate(NULL, -1), -1);
  EXPECT_NULL(dtensor_mesh_dim_name(NULL, 0));
  EXPECT_EQ(dtensor_mesh_dim(NULL, "x"), -1);
  EXPECT_EQ(dtensor_mesh_threads(NULL), 0);
  EXPECT_TRUE(dtensor_mesh_comm(NULL, -1) == MPI_COMM_NULL);
}
