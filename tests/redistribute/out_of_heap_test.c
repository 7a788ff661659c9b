/* One rank has no heap: malloc and calloc fail there, one call after the other. */
#include <dtensor/plan.h>
#include <dtensor/redistribute.h>
#include <stdlib.h>

#include "dtensor/mesh/mesh.h"
#include "tests/harness/arange.h"
#include "tests/harness/world.h"

static _Thread_local int fail_after = -1;
static _Thread_local int failed;

void *__real_malloc(size_t bytes);
void *__real_calloc(size_t n, size_t bytes);
void *__wrap_malloc(size_t bytes);
void *__wrap_calloc(size_t n, size_t bytes);

/* Once: what comes after it is there again. */
static int fails(void) {
  if (fail_after < 0 || fail_after-- > 0) return 0;
  failed = 1;
  return 1;
}
void *__wrap_malloc(size_t bytes) { return fails() ? NULL : __real_malloc(bytes); }
void *__wrap_calloc(size_t n, size_t bytes) { return fails() ? NULL : __real_calloc(n, bytes); }

static const struct {
  int64_t shape[2], max_bytes;
  const char *from, *to;
} cases[] = {{{9, 11}, 0, "S0", "S1"}, {{40, 30}, 0, "P", "R"},  {{40, 30}, 6000, "S0", "S1"},
             {{2, 3}, 0, "P", "R"},    {{40, 30}, 0, "S1", "R"}, {{9, 11}, 0, "P", "SC(1,2)"}};
enum { CASES = sizeof cases / sizeof *cases, MANY = 3 };

static dtensor_status call(const dtensor *x, const dtensor_placement *to, int which, int by,
                           dtensor *y[]) {
  const dtensor_redistribute_opts opts = {.max_bytes = cases[which].max_bytes};
  const dtensor *xs[] = {x, x, x};
  const dtensor_placement *tos[] = {to, to, to};
  for (int i = 0; i < MANY; i++) y[i] = NULL;
  return by ? dtensor_redistribute_many(MANY, xs, tos, &opts, y)
            : dtensor_redistribute(x, to, &opts, y);
}

DTEST_NODES(OutOfHeap, OnOneRank, {2, 2}, {2, 1}, {4, 2}, {3, 2}) {
  if (world->size == 1) return;
  dtensor_mesh *mesh = NULL;
  REQUIRE_OK(world_line(world, &mesh));
  for (int which = 0; which < CASES; which++)
    for (int by = 0; by < 2; by++) {
      dtensor *x = NULL, *y[MANY];
      dtensor_placement to;
      REQUIRE_OK(make_arange(mesh, 2, cases[which].shape, cases[which].from, &x));
      REQUIRE_OK(dtensor_placements_parse(cases[which].to, 1, &to));
      REQUIRE_OK(call(x, &to, which, by, y));
      for (int i = 0; i < MANY; i++) dtensor_destroy(&y[i]);
      int n = 0;
      for (;; n++) {
        dtensor_plan_cache_clear();
        failed = 0;
        if (world->rank == which % world->size) fail_after = n;
        const dtensor_status status = call(x, &to, which, by, y);
        fail_after = -1;
        for (int i = 0; i < (by ? MANY : 1) && status == DTENSOR_OK; i++)
          EXPECT_TRUE(holds_arange(y[i]));
        for (int i = 0; i < MANY; i++) dtensor_destroy(&y[i]);
        if (status != DTENSOR_OK && !EXPECT_STATUS(DTENSOR_ENOMEM, status))
          dtest_fail(__FILE__, __LINE__, "%s -> %s, allocation %d", cases[which].from,
                     cases[which].to, n);
        int64_t any = failed; /* some calls do without the memory that they were refused */
        EXPECT_OK(dti_comm_allreduce(mesh->root, &any, 1, DTI_COMM_MAX));
        if (status == DTENSOR_OK && !any) break;
        if (!EXPECT_LT(n, 400)) break;
      }
      EXPECT_GE(n, 5);
      dtensor_destroy(&x);
    }
  dtensor_mesh_destroy(&mesh);
}
