/* Panels that come from one rank after another. */
#include <stdlib.h>
#include <string.h>

#include "dtensor/dtensor.h"
#include "dtensor/ops/matmul_job.h"
#include "tests/harness/world.h"

/* Every grain of every rank is in one panel, and those of a rank come in order. */
DTEST(Turns, BringEverythingOnce) {
  for (int64_t ranks = 3; ranks <= 40; ranks++)
    for (int64_t most = 1; most <= 20; most++) {
      dti_matmul_job job = {.panels = 0};
      dti_matmul_cut_turns(&job, ranks, most);
      REQUIRE_TRUE(job.panels >= 2 && job.panels <= DTI_MATMUL_PANELS);
      int64_t peer = 1, begin = 0;
      for (int64_t i = 0; i < job.panels; i++) {
        const dti_panel *panel = &job.panel[i];
        /* What a rank has itself comes with the first of the others. */
        EXPECT_EQ(panel->first_peer, peer == 1 ? 0 : peer);
        EXPECT_GT(panel->end_peer, peer);
        EXPECT_EQ(panel->begin, begin);
        EXPECT_TRUE(panel->end > begin && panel->end <= job.grains);
        if (panel->end_peer > peer + 1) EXPECT_EQ(panel->end, job.grains);
        begin = panel->end;
        if (begin < job.grains) continue;
        begin = 0;
        peer = panel->end_peer;
      }
      EXPECT_EQ(peer, ranks);
      EXPECT_EQ(begin, 0);
    }
}

/* Small integers, so that every order of summing gives the same. */
static dtensor *numbers(dtensor_mesh *mesh, const dtensor_placement p[], int64_t rows,
                        int64_t columns, int64_t step, double global[]) {
  dtensor *x = NULL;
  for (int64_t i = 0; i < rows * columns; i++) global[i] = (double)(i * step % 11) - 5;
  EXPECT_OK(dtensor_distribute_tensor(mesh, DTENSOR_F64, 2, (int64_t[]){rows, columns}, global, -1,
                                      p, &x));
  return x;
}

enum { LONG = 90, SHORT = 5, K = 53 };

/* One operand is long and stays, the other one is short and comes to all. panels: from each rank;
 * expected: in all. */
static void expect_product(dtensor_mesh *mesh, bool a_stays, dtensor_placement a_at,
                           dtensor_placement b_at, int64_t panels, int64_t expected) {
  static _Thread_local double a_all[LONG * K], b_all[K * LONG], c_all[LONG * SHORT];
  const int64_t m = a_stays ? LONG : SHORT, n = a_stays ? SHORT : LONG;
  dtensor *a = numbers(mesh, &a_at, m, K, 3, a_all), *b = numbers(mesh, &b_at, K, n, 7, b_all), *c;
  dtensor_matmul_info info;
  dtensor_comm_counts counts;
  dti_matmul_force_turns(panels);
  EXPECT_OK(dtensor_explain_matmul(a, b, NULL, &info, NULL, 0));
  EXPECT_EQ(info.panels, expected);
  dtensor_comm_stats_reset();
  REQUIRE_OK(dtensor_matmul(a, b, &c));
  dtensor_comm_stats(&counts);
  dti_matmul_force_turns(0);
  EXPECT_EQ(counts.bytes_received, info.bytes_a + info.bytes_b);
  EXPECT_OK(dtensor_full_tensor(c, c_all));
  for (int64_t i = 0; i < m; i++)
    for (int64_t j = 0; j < n; j++) {
      double sum = 0;
      for (int64_t l = 0; l < K; l++) sum += a_all[i * K + l] * b_all[l * n + j];
      EXPECT_EQ(c_all[i * n + j], sum);
    }
  dtensor_destroy(&c);
  dtensor_destroy(&b);
  dtensor_destroy(&a);
}

/* Blocks, rows in turn, and sizes that the user gives. */
DTEST_NODES(Turns, Products, {3, 1}, {4, 1}, {6, 1}, {4, 0}, {6, 2}) {
  if (world->size < 3) return;
  dtensor_mesh *mesh = NULL;
  REQUIRE_OK(world_line(world, &mesh));
  int64_t sizes[8], few[8];
  for (int r = 0; r < world->size; r++) {
    sizes[r] = K / world->size + (r == 1) - (r == 2);
    few[r] = r == 0 ? K : 0;
  }
  sizes[0] += K % world->size;
  const dtensor_placement rows = dtensor_shard(0), columns = dtensor_shard(1);
  for (int64_t panels = 1; panels <= 3; panels++) {
    dti_matmul_job job = {.panels = 0};
    dti_matmul_cut_turns(&job, world->size, panels);
    const int64_t n = job.panels;
    expect_product(mesh, true, rows, rows, panels, n);
    expect_product(mesh, true, rows, dtensor_shard_cyclic(0, 2), panels, n);
    expect_product(mesh, true, rows, dtensor_shard_sizes(0, sizes), panels, n);
    expect_product(mesh, false, columns, columns, panels, n);
    /* One rank has all: it cannot send that to all of the others in turn. */
    expect_product(mesh, true, rows, dtensor_shard_sizes(0, few), panels, panels);
  }
  dtensor_mesh_destroy(&mesh);
}
