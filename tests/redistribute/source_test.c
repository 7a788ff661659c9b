/* The source may be written again as soon as a redistribution returns, however small it is: of the
 * smallest the ranks of a node read copies, larger ones are waited for, then or, where nobody can
 * write unseen, when somebody is about to. */
#define _POSIX_C_SOURCE 200809L /* nanosleep */
#include <dtensor/matmul.h>
#include <dtensor/ops.h>
#include <dtensor/redistribute.h>
#include <math.h>
#include <time.h>

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

/* ---- Sources that nobody has a pointer to: a known redistribution returns while neighbours read
 * them, and whoever wants to write waits then. */

/* Ways to change what x holds, or held: each leaves x destroyed. */
typedef enum change { WRITE, WRITE_LOCAL, WRITE_BY_VIEW, REUSE, CHANGES } change;

static void spoil_by(change how, dtensor **x) {
  const int64_t shape[] = {dtensor_size(*x, 0), dtensor_size(*x, 1)};
  dtensor *other = NULL;
  dtensor_local local;
  if (how == WRITE) {
    spoil(*x);
  } else if (how == WRITE_LOCAL) {
    if (!EXPECT_OK(dtensor_to_local(*x, &local))) return;
    for (int64_t i = 0; i < dtensor_local_size(*x, -1); i++) ((double *)local.data)[i] = NAN;
  } else if (how == WRITE_BY_VIEW) {
    EXPECT_OK(dtensor_transpose(*x, 0, 1, &other));
    dtensor_destroy(x); /* the elements stay */
    spoil(other);
  } else {
    const dtensor_placement p[] = {dtensor_placement_of(*x, 0)};
    dtensor_mesh *mesh = dtensor_mesh_retain(dtensor_mesh_of(*x));
    dtensor_destroy(x);
    EXPECT_OK(dtensor_full(mesh, DTENSOR_F64, 2, shape, dtensor_real(NAN), p, &other));
    dtensor_mesh_destroy(&mesh);
  }
  dtensor_destroy(x);
  dtensor_destroy(&other);
}

static void lend_and_spoil(dtensor_mesh *mesh, int64_t n, const char *from, const char *to) {
  const int64_t shape[] = {n, n + 2};
  dtensor_placement p;
  REQUIRE_OK(dtensor_placements_parse(to, 1, &p));
  for (int i = 0; i < 3 * CHANGES; i++) {
    dtensor *x = NULL, *y = NULL;
    REQUIRE_OK(make_arange(mesh, 2, shape, from, &x));
    dtensor_local_done(x);
    REQUIRE_OK(dtensor_redistribute(x, &p, NULL, &y));
    spoil_by((change)(i % CHANGES), &x);
    EXPECT_TRUE(holds_arange(y));
    dtensor_destroy(&y);
  }
}

DTEST_NODES(Source, IsLent, {1, 1}, {2, 2}, {3, 1}, {4, 4}, {6, 3}, {6, 6}) {
  dtensor_mesh *mesh = NULL;
  REQUIRE_OK(world_line(world, &mesh));
  for (int i = 0; i < SIZES; i++) {
    lend_and_spoil(mesh, rows[i], "S0", "S1");
    lend_and_spoil(mesh, rows[i], "S1", "R");
    lend_and_spoil(mesh, rows[i], "P", "S0");
    lend_and_spoil(mesh, rows[i], "P", "R");
  }
  dtensor_mesh_destroy(&mesh);
}

/* Long enough for the others to do harm, if they can. */
static void look_away(void) { nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL); }

/* The others have come, and read only when rank 0 has returned: in time for what it does then. */
DTEST_NODES(Source, IsLentToTheLate, {2, 2}, {3, 3}, {6, 6}) {
  const int64_t shape[] = {300, 200};
  const dtensor_placement to = dtensor_shard(1);
  dtensor_mesh *mesh = NULL;
  REQUIRE_OK(world_line(world, &mesh));
  for (int how = 0; how < CHANGES; how++) {
    dtensor *x = NULL, *y = NULL;
    dtensor_request *request = NULL;
    REQUIRE_OK(make_arange(mesh, 2, shape, "S0", &x));
    dtensor_local_done(x);
    REQUIRE_OK(dtensor_redistribute(x, &to, NULL, &y)); /* from now on it is known */
    dtensor_destroy(&y);
    if (world->rank == 0) {
      EXPECT_OK(dtensor_redistribute(x, &to, NULL, &y));
      world_barrier(world);
      spoil_by((change)how, &x);
    } else {
      EXPECT_OK(dtensor_redistribute_begin(x, &to, NULL, &request));
      world_barrier(world); /* would not return if rank 0 waited for this one */
      look_away();
      EXPECT_OK(dtensor_request_wait(&request, &y));
    }
    if (EXPECT_NOT_NULL(y)) EXPECT_TRUE(holds_arange(y));
    dtensor_destroy(&x);
    dtensor_destroy(&y);
  }
  dtensor_mesh_destroy(&mesh);
}

/* It is lent again while another has come to the first call and not read yet: both are waited for.
 */
DTEST_NODES(Source, IsLentTwice, {2, 2}, {3, 3}, {6, 6}) {
  const int64_t shape[] = {300, 200};
  const dtensor_placement to = dtensor_shard(1);
  dtensor_mesh *mesh = NULL;
  dtensor *x = NULL, *y = NULL, *again = NULL;
  REQUIRE_OK(world_line(world, &mesh));
  REQUIRE_OK(make_arange(mesh, 2, shape, "S0", &x));
  dtensor_local_done(x);
  REQUIRE_OK(dtensor_redistribute(x, &to, NULL, &y)); /* from now on it is known */
  dtensor_destroy(&y);
  if (world->rank == 0) {
    EXPECT_OK(dtensor_redistribute(x, &to, NULL, &y));
    EXPECT_OK(dtensor_redistribute(x, &to, NULL, &again));
    spoil(x);
  } else {
    dtensor_request *request = NULL;
    EXPECT_OK(dtensor_redistribute_begin(x, &to, NULL, &request));
    look_away(); /* rank 0 is there, so the second call need not wait, and does not read the first
                  */
    EXPECT_OK(dtensor_redistribute(x, &to, NULL, &again));
    look_away();
    EXPECT_OK(dtensor_request_wait(&request, &y));
  }
  if (EXPECT_NOT_NULL(y)) EXPECT_TRUE(holds_arange(y));
  if (EXPECT_NOT_NULL(again)) EXPECT_TRUE(holds_arange(again));
  dtensor_destroy(&y);
  dtensor_destroy(&again);
  dtensor_destroy(&x);
  dtensor_mesh_destroy(&mesh);
}

/* A product goes into a tensor that neighbours may still read. */
DTEST_NODES(Source, IsTheNextResult, {2, 2}, {3, 3}, {6, 6}) {
  enum { N = 90 };
  const int64_t shape[] = {N, N};
  const dtensor_placement rows_of = dtensor_shard(0), columns_of = dtensor_shard(1);
  dtensor_mesh *mesh = NULL;
  dtensor *x = NULL, *y = NULL, *eye = NULL, *values = NULL;
  REQUIRE_OK(world_line(world, &mesh));
  REQUIRE_OK(dtensor_eye(mesh, DTENSOR_F64, 2, shape, &rows_of, &eye));
  REQUIRE_OK(make_arange(mesh, 2, shape, "S0", &values));
  REQUIRE_OK(make_arange(mesh, 2, shape, "S0", &x));
  for (int i = 0; i < TIMES; i++) {
    const double sign = i % 2 ? -1 : 1;
    dtensor_local_done(x);
    REQUIRE_OK(dtensor_redistribute(x, &columns_of, NULL, &y));
    REQUIRE_OK(dtensor_matmul_ex(
        values, eye, &(dtensor_matmul_opts){.out = x, .alpha = dtensor_real(-sign)}, NULL));
    const double *got = dtensor_local_read(y);
    const int64_t width = dtensor_local_size(y, 1), first = dtensor_local_offset(y, 1);
    for (int64_t e = 0; e < N * width; e++)
      if (!EXPECT_EQ(got[e], sign * (double)(e / width * N + first + e % width))) break;
    dtensor_destroy(&y);
  }
  dtensor_destroy(&x);
  dtensor_destroy(&values);
  dtensor_destroy(&eye);
  dtensor_mesh_destroy(&mesh);
}

/* A promise about an array of the user's own counts for nothing: who wrote it before can do so
 * again without asking. Here it lies where the neighbours can read it in place. */
DTEST_NODES(Source, IsBorrowed, {2, 2}, {3, 3}, {6, 6}) {
  dtensor_mesh *mesh = NULL;
  REQUIRE_OK(world_line(world, &mesh));
  const dtensor_placement from = dtensor_shard(0), to = dtensor_shard(1);
  for (int i = 0; i < SIZES; i++) {
    const int64_t shape[] = {rows[i], rows[i] + 2};
    dtensor *values = NULL, *owner = NULL, *x = NULL, *y = NULL;
    dtensor_local local;
    REQUIRE_OK(make_arange(mesh, 2, shape, "S0", &values));
    REQUIRE_OK(make_arange(mesh, 2, shape, "S0", &owner));
    REQUIRE_OK(dtensor_to_local(owner, &local));
    REQUIRE_OK(dtensor_from_local(mesh, DTENSOR_F64, &local, &from, NULL, &x));
    for (int k = 0; k < TIMES; k++) {
      write_all(owner, values);
      dtensor_local_done(x);
      REQUIRE_OK(dtensor_redistribute(x, &to, NULL, &y));
      spoil(owner);
      EXPECT_TRUE(holds_arange(y));
      dtensor_destroy(&y);
    }
    dtensor_destroy(&x);
    dtensor_destroy(&owner);
    dtensor_destroy(&values);
  }
  dtensor_mesh_destroy(&mesh);
}
