/* Redistribution onto other meshes of the same communicator. */
#include <dtensor/debug.h>
#include <dtensor/redistribute.h>
#include <stdlib.h>

#include "tests/harness/arange.h"
#include "tests/harness/world.h"

enum { MESHES_MAX = 8 };

/* Meshes that overlap in all ways: all ranks, all backwards, two halves, one rank, grids. */
static int make_meshes(const test_world *world, dtensor_mesh *meshes[MESHES_MAX]) {
  const int p = world->size, half = (p + 1) / 2;
  int forwards[64], backwards[64], odd_first[64];
  for (int i = 0; i < p; i++) {
    forwards[i] = i;
    backwards[i] = p - 1 - i;
    odd_first[i] = i < p / 2 ? 2 * i + 1 : 2 * (i - p / 2);
  }
  const struct {
    int ndim;
    int64_t shape[2];
    const int *ranks;
  } list[] = {
      {1, {p}, NULL},
      {1, {p}, backwards},
      {1, {half}, forwards},
      {1, {p - half}, forwards + half}, /* no rank in common with the one before */
      {1, {1}, backwards},
      {2, {p % 2 == 0 ? 2 : 1, p % 2 == 0 ? p / 2 : p}, odd_first},
      {2, {half, 1}, backwards},
  };
  int n = 0;
  for (size_t i = 0; i < sizeof list / sizeof *list; i++) {
    if (list[i].shape[0] == 0) continue;
    meshes[n] = NULL;
    EXPECT_OK(list[i].ranks ? world_mesh_from_ranks(world, list[i].ndim, list[i].shape,
                                                    list[i].ranks, NULL, &meshes[n])
                            : world_line(world, &meshes[n]));
    n += meshes[n] != NULL;
  }
  return n;
}

static const char *const placements[3][6] = {
    {NULL},
    {"R", "S0", "S1", "SC(0,2)", "P(sum)", NULL},
    {"R,R", "S0,S1", "SC(0,1),R", "S1,P", "P,SB(0)", NULL},
};

static void move(const dtensor *x, dtensor_mesh *to, const char *text) {
  dtensor_placement p[DTENSOR_MAX_NDIM];
  dtensor *y = NULL, *back = NULL;
  EXPECT_OK(dtensor_placements_parse(text, dtensor_mesh_ndim(to), p));
  dtensor_comm_stats_reset();
  if (!EXPECT_OK(dtensor_redistribute_to(x, to, p, NULL, &y))) return;
  EXPECT_TRUE(dtensor_mesh_of(y) == to);
  dtensor_comm_counts counts;
  dtensor_comm_stats(&counts);
  bool replicated = true; /* then nobody needs to ask another for what it has itself */
  for (int m = 0; m < dtensor_mesh_ndim(dtensor_mesh_of(x)); m++)
    replicated &= dtensor_placement_of(x, m).kind == DTENSOR_REPLICATE;
  if (replicated && dtensor_local_data(x)) EXPECT_EQ(counts.bytes_received, 0);
  if (!dtensor_local_data(y)) {
    EXPECT_EQ(dtensor_local_size(y, -1), 0);
    EXPECT_EQ(counts.bytes_received, 0);
  }
  for (int m = 0; m < dtensor_mesh_ndim(to); m++)
    p[m] = p[m].kind == DTENSOR_PARTIAL ? dtensor_replicate() : p[m];
  EXPECT_OK(dtensor_redistribute(y, p, NULL, &back)); /* what is Partial is added up */
  if (back) EXPECT_TRUE(holds_arange(back));
  dtensor_destroy(&back);
  dtensor_destroy(&y);
}

DTEST_WORLD(RedistributeTo, EveryPairOfMeshes, 1, 2, 3, 4, 6) {
  dtensor_mesh *meshes[MESHES_MAX];
  const int n = make_meshes(world, meshes);
  int turn = 0;
  for (int from = 0; from < n; from++) {
    for (int i = 0; placements[dtensor_mesh_ndim(meshes[from])][i]; i++) {
      const int64_t *shape = turn++ % 2 ? (int64_t[]){7, 5} : (int64_t[]){9, 11};
      dtensor *x = NULL;
      REQUIRE_OK(
          make_arange(meshes[from], 2, shape, placements[dtensor_mesh_ndim(meshes[from])][i], &x));
      for (int to = 0; to < n; to++)
        for (int k = 0; placements[dtensor_mesh_ndim(meshes[to])][k]; k++)
          move(x, meshes[to], placements[dtensor_mesh_ndim(meshes[to])][k]);
      dtensor_destroy(&x);
    }
  }
  for (int i = 0; i < n; i++) dtensor_mesh_destroy(&meshes[i]);
}

/* A second mesh of the same ranks is the same mesh to a redistribution. */
DTEST_WORLD(RedistributeTo, SameRanksAreTheSameMesh, 1, 4) {
  dtensor_mesh *a = NULL, *b = NULL;
  REQUIRE_OK(world_line(world, &a));
  REQUIRE_OK(world_line(world, &b));
  dtensor *x = NULL, *y = NULL;
  REQUIRE_OK(make_arange(a, 2, (int64_t[]){8, 9}, "P", &x));
  dtensor_comm_stats_reset();
  REQUIRE_OK(
      dtensor_redistribute_to(x, b, (dtensor_placement[]){dtensor_partial(DTENSOR_SUM)}, NULL, &y));
  dtensor_comm_counts counts;
  dtensor_comm_stats(&counts);
  EXPECT_EQ(counts.bytes_received, 0);
  EXPECT_MEMEQ(dtensor_local_data(x), dtensor_local_data(y), 72 * sizeof(double));
  dtensor_destroy(&x);
  dtensor_destroy(&y);
  dtensor_mesh_destroy(&a);
  dtensor_mesh_destroy(&b);
}

/* Ranks outside of the mesh have handles and take no part. */
DTEST_WORLD(RedistributeTo, RanksOutside, 2, 4) {
  dtensor_mesh *mesh = NULL;
  const int last = world->size - 1;
  REQUIRE_OK(world_mesh_from_ranks(world, 1, (int64_t[]){1}, &last, NULL, &mesh));
  dtensor *x = NULL, *y = NULL;
  REQUIRE_OK(make_arange(mesh, 1, (int64_t[]){6}, "S0", &x));
  REQUIRE_OK(dtensor_redistribute(x, (dtensor_placement[]){dtensor_replicate()}, NULL, &y));
  const bool member = world->rank == last;
  EXPECT_EQ(dtensor_local_size(y, 0), member ? 6 : 0);
  EXPECT_EQ(dtensor_local_data(y) != NULL, member);
  EXPECT_EQ(dtensor_size(y, 0), 6);
  double all[6];
  EXPECT_STATUS(member ? DTENSOR_OK : DTENSOR_EMESH, dtensor_full_tensor(y, all));
  dtensor_request *request = NULL;
  dtensor *z = NULL;
  int done = 0;
  EXPECT_OK(dtensor_redistribute_begin(x, (dtensor_placement[]){dtensor_shard(0)}, NULL, &request));
  EXPECT_OK(dtensor_request_test(request, &done));
  EXPECT_TRUE(done);
  EXPECT_OK(dtensor_request_wait(&request, &z));
  EXPECT_NOT_NULL(z);
  dtensor_destroy(&x);
  dtensor_destroy(&y);
  dtensor_destroy(&z);
  dtensor_mesh_destroy(&mesh);
}

/* Two communicators: no way from one to the other. */
DTEST(RedistributeTo, OtherCommunicator) {
  if (dtest_comm() == MPI_COMM_NULL) return;
  MPI_Comm other;
  MPI_Comm_dup(dtest_comm(), &other);
  dtensor_mesh *a = NULL, *b = NULL;
  dtensor *x = NULL, *y = NULL;
  REQUIRE_OK(dtensor_init_device_mesh(dtest_comm(), 1, (int64_t[]){-1}, NULL, &a));
  REQUIRE_OK(dtensor_init_device_mesh(other, 1, (int64_t[]){-1}, NULL, &b));
  REQUIRE_OK(make_arange(a, 1, (int64_t[]){6}, "S0", &x));
  EXPECT_STATUS(DTENSOR_EMESH,
                dtensor_redistribute_to(x, b, (dtensor_placement[]){dtensor_shard(0)}, NULL, &y));
  EXPECT_NULL(y);
  dtensor_destroy(&x);
  dtensor_mesh_destroy(&a);
  dtensor_mesh_destroy(&b);
  MPI_Comm_free(&other);
}
