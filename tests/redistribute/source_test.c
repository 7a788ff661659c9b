/* The source may be written again as soon as a redistribution returns, however small it is: of the
 * smallest the ranks of a node read copies, larger ones are waited for. */
#include <dtensor/ops.h>
#include <dtensor/redistribute.h>
#include <math.h>

#include "tests/harness/arange.h"
#include "tests/harness/world.h"

enum { TIMES = 10 };

/* From a few bytes, on both sides of what is posted itself and of what is copied, to what never is.
 */
static const int64_t rows[] = {3, 7, 12, 30, 45, 90, 200};
enum { SIZES = sizeof rows / sizeof *rows };

static void write_all(dtensor *x, const dtensor *values) {
  double *data = dtensor_local_data(x);
  const double *from = dtensor_local_data(values);
  for (int64_t i = 0; i < dtensor_local_size(x, -1); i++) data[i] = from[i];
}

static void spoil(dtensor *x) {
  double *data = dtensor_local_data(x);
  for (int64_t i = 0; i < dtensor_local_size(x, -1); i++) data[i] = NAN;
}

static void move_and_spoil(dtensor_mesh *mesh, int64_t n, const char *from, const char *to) {
  const int64_t shape[] = {n, n + 2};
  dtensor *values = NULL, *x = NULL, *y = NULL;
  dtensor_placement p[2];
  REQUIRE_OK(make_arange(mesh, 2, shape, from, &values));
  REQUIRE_OK(make_arange(mesh, 2, shape, from, &x));
  REQUIRE_OK(dtensor_placements_parse(to, 1, p));
  for (int i = 0; i < TIMES; i++) {
    write_all(x, values);
    REQUIRE_OK(dtensor_redistribute(x, p, NULL, &y));
    spoil(x);
    EXPECT_TRUE(holds_arange(y));
    dtensor_destroy(&y);
  }
  dtensor_destroy(&x);
  dtensor_destroy(&values);
}

DTEST_NODES(Source, IsWrittenAtOnce, {1, 1}, {2, 2}, {3, 1}, {4, 4}, {6, 3}, {6, 6}) {
  dtensor_mesh *mesh = NULL;
  REQUIRE_OK(world_line(world, &mesh));
  for (int i = 0; i < SIZES; i++) {
    move_and_spoil(mesh, rows[i], "S0", "S1");
    move_and_spoil(mesh, rows[i], "S1", "R");
    move_and_spoil(mesh, rows[i], "P", "S0");
    move_and_spoil(mesh, rows[i], "P", "R");
    move_and_spoil(mesh, rows[i], "R", "S1");
  }
  dtensor_mesh_destroy(&mesh);
}

/* Of a small one nobody waits until the others have read it. What they read afterwards are copies:
 * rank 0 has gone on and has written again by then. */
DTEST_NODES(Source, IsReadLate, {2, 2}, {3, 3}, {6, 6}) {
  static const struct { const char *from, *to; } moves[] = {{"S0", "S1"}, {"S1", "R"}, {"P", "S0"}};
  const int64_t shape[] = {7, 9}; /* more than is posted itself, of P at least */
  dtensor_mesh *mesh = NULL;
  REQUIRE_OK(world_line(world, &mesh));
  for (size_t i = 0; i < sizeof moves / sizeof *moves; i++)
    for (int k = 0; k < TIMES; k++) {
      dtensor *x = NULL, *y = NULL;
      dtensor_request *request = NULL;
      dtensor_placement to;
      REQUIRE_OK(make_arange(mesh, 2, shape, moves[i].from, &x));
      REQUIRE_OK(dtensor_placements_parse(moves[i].to, 1, &to));
      REQUIRE_OK(dtensor_redistribute_begin(x, &to, NULL, &request));
      if (world->rank > 0) world_barrier(world);
      EXPECT_OK(dtensor_request_wait(&request, &y));
      if (world->rank == 0) {
        spoil(x);
        world_barrier(world);
      }
      if (EXPECT_NOT_NULL(y)) EXPECT_TRUE(holds_arange(y));
      dtensor_destroy(&x);
      dtensor_destroy(&y);
    }
  dtensor_mesh_destroy(&mesh);
}

/* A transposed view, which lies without gaps but in another order. */
DTEST_NODES(Source, IsAView, {2, 2}, {3, 3}, {6, 6}) {
  dtensor_mesh *mesh = NULL;
  dtensor *x = NULL, *values = NULL, *view = NULL, *y = NULL, *back = NULL;
  const dtensor_placement to = dtensor_replicate();
  REQUIRE_OK(world_line(world, &mesh));
  for (int i = 0; i < SIZES; i++) {
    const int64_t shape[] = {rows[i], 9};
    REQUIRE_OK(make_arange(mesh, 2, shape, "S1", &values));
    REQUIRE_OK(make_arange(mesh, 2, shape, "S1", &x));
    REQUIRE_OK(dtensor_transpose(x, 0, 1, &view));
    for (int k = 0; k < TIMES; k++) {
      write_all(x, values);
      REQUIRE_OK(dtensor_redistribute(view, &to, NULL, &y));
      spoil(x);
      REQUIRE_OK(dtensor_transpose(y, 0, 1, &back));
      for (int64_t r = 0; r < rows[i]; r++)
        for (int64_t c = 0; c < 9; c++) {
          const double *at = dtensor_local_data(back);
          const double got =
              at[r * dtensor_local_stride(back, 0) + c * dtensor_local_stride(back, 1)];
          if (!EXPECT_EQ(got, (double)(r * 9 + c))) r = rows[i], c = 9;
        }
      dtensor_destroy(&back);
      dtensor_destroy(&y);
    }
    dtensor_destroy(&view);
    dtensor_destroy(&x);
    dtensor_destroy(&values);
  }
  dtensor_mesh_destroy(&mesh);
}

/* Several travel together: all are copied, or none. */
DTEST_NODES(Source, IsABatch, {2, 2}, {4, 2}, {6, 6}) {
  enum { N = 5 };
  dtensor_mesh *mesh = NULL;
  dtensor *values[N], *x[N], *y[N];
  const dtensor_placement to = dtensor_shard(1);
  const dtensor_placement *all_to[N];
  REQUIRE_OK(world_line(world, &mesh));
  for (int i = 0; i < N; i++) {
    const int64_t shape[] = {rows[i], rows[i] + 1};
    REQUIRE_OK(make_arange(mesh, 2, shape, "S0", &values[i]));
    REQUIRE_OK(make_arange(mesh, 2, shape, "S0", &x[i]));
    all_to[i] = &to;
  }
  for (int n = 1; n <= N; n++)
    for (int k = 0; k < TIMES; k++) {
      for (int i = 0; i < n; i++) write_all(x[i], values[i]);
      REQUIRE_OK(dtensor_redistribute_many(n, (const dtensor *const *)x, all_to, NULL, y));
      for (int i = 0; i < n; i++) spoil(x[i]);
      for (int i = 0; i < n; i++) {
        EXPECT_TRUE(holds_arange(y[i]));
        dtensor_destroy(&y[i]);
      }
    }
  for (int i = 0; i < N; i++) {
    dtensor_destroy(&x[i]);
    dtensor_destroy(&values[i]);
  }
  dtensor_mesh_destroy(&mesh);
}
