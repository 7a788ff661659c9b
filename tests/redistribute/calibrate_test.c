/* Measured figures: the same on every rank, saved, read, and planned with. */
#include <dtensor/debug.h>
#include <dtensor/plan.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/harness/world.h"

/* A name that all ranks know: those of one launch are children of one process. */
static const char *file_name(const test_world *world, char text[256]) {
  const char *folder = getenv("TEST_TMPDIR");
  const long number = world->sim ? (long)getpid() : (long)getppid();
  snprintf(text, 256, "%s/machine-%ld-%d.txt", folder ? folder : "/tmp", number, world->size);
  return text;
}

static bool is_positive(double value) { return isfinite(value) && value > 0; }

/* Every rank holds rank 0's numbers, to the last bit. */
static bool is_everywhere(dtensor_mesh *mesh) {
  const dtensor_machine m = dtensor_machine_of(mesh);
  const double figure[] = {m.latency, m.overhead, m.byte, m.node_latency, m.node_byte,
                           m.meeting, m.copy,     m.pack, m.reduce,       m.flops};
  enum { FIGURES = sizeof figure / sizeof *figure };
  dtensor *x = NULL;
  const dtensor_placement rows = dtensor_shard(0);
  const int64_t p = dtensor_mesh_size(mesh, -1);
  if (!EXPECT_OK(dtensor_empty(mesh, DTENSOR_F64, 2, (int64_t[]){p, FIGURES}, &rows, &x)))
    return false;
  memcpy(dtensor_local_data(x), figure, sizeof figure);
  double *all = malloc((size_t)p * sizeof figure);
  bool same = all && EXPECT_OK(dtensor_full_tensor(x, all));
  for (int64_t i = 0; same && i < p; i++)
    same = memcmp(all + i * FIGURES, figure, sizeof figure) == 0;
  free(all);
  dtensor_destroy(&x);
  return same;
}

DTEST_WORLD(Calibrate, MeasuresAndAgrees, 1, 3) {
  char path[256];
  dtensor_mesh *mesh = NULL, *later = NULL;
  REQUIRE_OK(world_line(world, &mesh));
  EXPECT_EQ(dtensor_machine_of(mesh).latency, dtensor_machine_default().latency);
  dtensor_comm_stats_reset();
  dtensor_machine m;
  REQUIRE_OK(dtensor_calibrate(mesh, file_name(world, path), &m));
  dtensor_comm_counts counts;
  dtensor_comm_stats(&counts);
  EXPECT_EQ(counts.messages_sent + counts.bytes_received, 0); /* the user has moved nothing */
  EXPECT_TRUE(is_positive(m.copy));
  EXPECT_TRUE(is_positive(m.pack));
  EXPECT_TRUE(is_positive(m.reduce));
  EXPECT_TRUE(is_positive(m.flops));
  EXPECT_TRUE(is_positive(m.meeting));
  EXPECT_TRUE(is_positive(m.overhead));
  EXPECT_TRUE(is_everywhere(mesh));
  REQUIRE_OK(world_line(world, &later)); /* all meshes of the communicator */
  EXPECT_EQ(dtensor_machine_of(later).copy, m.copy);

  REQUIRE_OK(dtensor_machine_load(mesh, path));
  EXPECT_NEAR(dtensor_machine_of(mesh).copy / m.copy, 1, 1e-8);
  EXPECT_NEAR(dtensor_machine_of(mesh).flops / m.flops, 1, 1e-8);
  EXPECT_TRUE(is_everywhere(mesh));
  world_barrier(world);
  if (world->rank == 0) remove(path);
  dtensor_mesh_destroy(&mesh);
  dtensor_mesh_destroy(&later);
}

/* Plans are made with the figures that hold now. */
DTEST_WORLD(Calibrate, NewFiguresNewPlans, 4) {
  if (world->size < 4) return;
  char path[256];
  dtensor_mesh *mesh = NULL;
  dtensor *x = NULL;
  REQUIRE_OK(world_line(world, &mesh));
  const dtensor_placement rows = dtensor_shard(0), all = dtensor_replicate();
  REQUIRE_OK(dtensor_zeros(mesh, DTENSOR_F64, 2, (int64_t[]){64, 64}, &rows, &x));
  dtensor_plan_info before, after;
  EXPECT_OK(dtensor_explain(x, &all, NULL, &before, NULL, 0));
  file_name(world, path);
  FILE *file = world->rank == 0 ? fopen(path, "w") : NULL;
  if (file) {
    fprintf(file, "copy 1e-3 s/B\nlatency 1 s\nnode_latency 1 s\nranks_per_node 2 ranks\n");
    fclose(file);
  }
  REQUIRE_OK(dtensor_machine_load(mesh, path));
  dtensor_plan_cache_info cache[2];
  dtensor_plan_cache_stats(&cache[0]);
  EXPECT_OK(dtensor_explain(x, &all, NULL, &after, NULL, 0));
  dtensor_plan_cache_stats(&cache[1]);
  EXPECT_EQ(cache[1].misses, cache[0].misses + 1);
  EXPECT_GT(after.seconds, 1.0);
  EXPECT_EQ(after.ranks_per_node, 2);
  EXPECT_LT(before.seconds, 1.0);
  EXPECT_EQ(before.bytes_received, after.bytes_received);
  world_barrier(world);
  if (world->rank == 0) remove(path);
  dtensor_destroy(&x);
  dtensor_mesh_destroy(&mesh);
}

DTEST_WORLD(Calibrate, FilesThatCannotBe, 1, 2) {
  dtensor_mesh *mesh = NULL;
  REQUIRE_OK(world_line(world, &mesh));
  const dtensor_machine before = dtensor_machine_of(mesh);
  EXPECT_STATUS(DTENSOR_EIO, dtensor_calibrate(mesh, "/nowhere/machine.txt", NULL));
  EXPECT_EQ(dtensor_machine_of(mesh).copy, before.copy);
  EXPECT_STATUS(DTENSOR_EIO, dtensor_machine_load(mesh, "/nowhere/machine.txt"));
  EXPECT_STATUS(DTENSOR_EINVAL, dtensor_machine_load(mesh, NULL));
  EXPECT_STATUS(DTENSOR_EINVAL, dtensor_machine_load(NULL, "machine.txt"));
  EXPECT_STATUS(DTENSOR_EINVAL, dtensor_calibrate(NULL, NULL, NULL));
  dtensor_mesh_destroy(&mesh);
}
