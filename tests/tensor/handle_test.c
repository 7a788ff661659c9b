/* The handle: what can be asked of it, and how long it lives. */
#include <dtensor/memory.h>
#include <dtensor/redistribute.h>
#include <stdlib.h>
#include <string.h>

#include "tests/harness/arange.h"
#include "tests/harness/world.h"

static dtensor_status on_two_by_three(dtensor_sim *sim, void *ctx) {
  (void)ctx;
  const int rank = dtensor_sim_rank(sim);
  dtest_set_sim_rank(rank, 6);
  dtensor_mesh *mesh = NULL;
  dtensor *x = NULL;
  SIM_REQUIRE_OK(dtensor_sim_init_device_mesh(sim, 2, (int64_t[]){2, 3}, NULL, &mesh));
  const dtensor_placement p[] = {dtensor_shard(0), dtensor_shard_cyclic(-1, 2)};
  SIM_REQUIRE_OK(dtensor_arange(mesh, DTENSOR_I32, 2, (int64_t[]){5, 7}, p, &x));
  EXPECT_EQ(dtensor_ndim(x), 2);
  EXPECT_EQ(dtensor_size(x, 0), 5);
  EXPECT_EQ(dtensor_size(x, 1), 7);
  EXPECT_EQ(dtensor_size(x, -1), 35);
  EXPECT_EQ(dtensor_size(x, 2), 0);
  EXPECT_EQ(dtensor_dtype_of(x), DTENSOR_I32);
  EXPECT_TRUE(dtensor_mesh_of(x) == mesh);
  EXPECT_TRUE(dtensor_placement_equal(dtensor_placement_of(x, 0), p[0]));
  EXPECT_TRUE(dtensor_placement_equal(dtensor_placement_of(x, 1), dtensor_shard_cyclic(1, 2)));
  EXPECT_TRUE(dtensor_placement_equal(dtensor_placement_of(x, 2), dtensor_replicate()));
  char text[32], small[4];
  EXPECT_OK(dtensor_placements_of(x, text, sizeof text));
  EXPECT_STREQ(text, "S(0),SC(1,2)");
  EXPECT_STATUS(DTENSOR_EINVAL, dtensor_placements_of(x, small, sizeof small));
  EXPECT_STATUS(DTENSOR_EINVAL, dtensor_placements_of(x, NULL, 0));

  /* Rows 0-2 and 3-4; columns 0 1 6, 2 3, 4 5. */
  static const int64_t rows[] = {3, 2}, columns[] = {3, 2, 2};
  const int64_t r = rank / 3, c = rank % 3;
  EXPECT_EQ(dtensor_local_size(x, 0), rows[r]);
  EXPECT_EQ(dtensor_local_size(x, 1), columns[c]);
  EXPECT_EQ(dtensor_local_size(x, -1), rows[r] * columns[c]);
  EXPECT_EQ(dtensor_local_size(x, 7), 0);
  EXPECT_EQ(dtensor_local_stride(x, 0), columns[c]);
  EXPECT_EQ(dtensor_local_stride(x, 1), 1);
  EXPECT_EQ(dtensor_local_offset(x, 0), 3 * r);
  EXPECT_EQ(dtensor_local_offset(x, 1), 2 * c);
  EXPECT_EQ(dtensor_global_index(x, 1, 2), c == 0 ? 6 : -1);
  EXPECT_EQ(dtensor_global_index(x, 1, 1), 2 * c + 1);
  EXPECT_EQ(dtensor_global_index(x, 0, 1), 3 * r + 1);
  EXPECT_EQ(dtensor_global_index(x, 0, -1), -1);
  EXPECT_EQ(dtensor_global_index(x, 2, 0), -1);
  const int32_t *data = dtensor_local_data(x);
  EXPECT_EQ(data[columns[c]], 7 * (3 * r + 1) + 2 * c);

  dtensor_local view;
  SIM_REQUIRE_OK(dtensor_to_local(x, &view));
  EXPECT_TRUE(view.data == (void *)data && view.ndim == 2 && view.own == DTENSOR_BORROW);
  EXPECT_EQ(view.shape[1], columns[c]);
  EXPECT_EQ(view.stride[0], columns[c]);
  EXPECT_STATUS(DTENSOR_EINVAL, dtensor_to_local(x, NULL));
  EXPECT_STATUS(DTENSOR_EINVAL, dtensor_to_local(NULL, &view));
  dtensor_destroy(&x);
  dtensor_mesh_destroy(&mesh);
  return DTENSOR_OK;
}

DTEST(Handle, Getters) { EXPECT_OK(dtensor_sim_run(6, on_two_by_three, NULL)); }

DTEST(Handle, NullHasNoDimensions) {
  EXPECT_EQ(dtensor_ndim(NULL), 0);
  EXPECT_EQ(dtensor_size(NULL, -1), 0);
  EXPECT_EQ((int)dtensor_dtype_of(NULL), 0);
  EXPECT_TRUE(dtensor_mesh_of(NULL) == NULL);
  EXPECT_EQ((int)dtensor_placement_of(NULL, 0).kind, (int)DTENSOR_REPLICATE);
  EXPECT_NULL(dtensor_local_data(NULL));
  EXPECT_EQ(dtensor_local_size(NULL, -1), 0);
  EXPECT_EQ(dtensor_local_stride(NULL, 0), 0);
  EXPECT_EQ(dtensor_local_offset(NULL, 0), 0);
  EXPECT_EQ(dtensor_global_index(NULL, 0, 0), -1);
}

DTEST_WORLD(Handle, Lifetime, 1, 3) {
  dtensor_mesh *mesh = NULL;
  REQUIRE_OK(world_line(world, &mesh));
  dtensor *x = NULL, *none = NULL;
  REQUIRE_OK(make_arange(mesh, 1, (int64_t[]){10}, "S0", &x));
  dtensor_mesh_destroy(&mesh); /* the tensor keeps it */
  EXPECT_EQ(dtensor_mesh_size(dtensor_mesh_of(x), -1), world->size);
  dtensor *y = dtensor_retain(x);
  EXPECT_TRUE(x == y);
  dtensor_destroy(&x);
  EXPECT_NULL(x);
  EXPECT_TRUE(holds_arange(y));
  dtensor_destroy(&y);
  dtensor_destroy(&none);
  dtensor_destroy(NULL);
  EXPECT_NULL(dtensor_retain(NULL));
}

/* A tensor has a copy of the sizes that its placement was given. */
DTEST_WORLD(Handle, OwnsItsSizes, 1, 3) {
  dtensor_mesh *mesh = NULL;
  dtensor *x = NULL;
  REQUIRE_OK(world_line(world, &mesh));
  int64_t *sizes = calloc((size_t)world->size, sizeof *sizes);
  sizes[0] = 4;
  REQUIRE_OK(dtensor_zeros(mesh, DTENSOR_U8, 1, (int64_t[]){4},
                           (dtensor_placement[]){dtensor_shard_sizes(0, sizes)}, &x));
  sizes[0] = 77;
  EXPECT_EQ(dtensor_placement_of(x, 0).sizes[0], 4);
  free(sizes);
  EXPECT_EQ(dtensor_placement_of(x, 0).count, world->size);
  EXPECT_EQ(dtensor_local_size(x, 0), world->rank == 0 ? 4 : 0);
  dtensor_destroy(&x);
  dtensor_mesh_destroy(&mesh);
}

DTEST_WORLD(Handle, OutsideOfTheMesh, 2, 3) {
  dtensor_mesh *mesh = NULL;
  dtensor *x = NULL;
  REQUIRE_OK(world_mesh_from_ranks(world, 1, (int64_t[]){1}, (int[]){0}, NULL, &mesh));
  REQUIRE_OK(make_arange(mesh, 2, (int64_t[]){4, 3}, "S0", &x));
  EXPECT_EQ(dtensor_size(x, 0), 4);
  if (world->rank > 0) {
    dtensor_local view;
    EXPECT_NULL(dtensor_local_data(x));
    EXPECT_EQ(dtensor_local_size(x, 0), 0);
    EXPECT_EQ(dtensor_local_size(x, -1), 0);
    EXPECT_EQ(dtensor_local_offset(x, 0), 0);
    EXPECT_EQ(dtensor_local_stride(x, 0), 0);
    EXPECT_EQ(dtensor_global_index(x, 0, 0), -1);
    EXPECT_STATUS(DTENSOR_EMESH, dtensor_to_local(x, &view));
  }
  dtensor *y = NULL;
  dtensor_local local = {.ndim = 1, .shape = {2}, .data = (double[]){1, 2}};
  const dtensor_placement whole[] = {dtensor_replicate()};
  EXPECT_OK(dtensor_from_local(mesh, DTENSOR_F64, &local, whole, (int64_t[]){2}, &y));
  EXPECT_EQ(dtensor_size(y, 0), 2);
  dtensor_destroy(&y);
  EXPECT_STATUS(world->rank > 0 ? DTENSOR_EMESH : DTENSOR_OK,
                dtensor_from_local(mesh, DTENSOR_F64, &local, whole, NULL, &y));
  dtensor_destroy(&y);
  dtensor_destroy(&x);
  dtensor_mesh_destroy(&mesh);
}
