/* With DTENSOR_CHECK=1 (the BUILD file sets it) ranks that call differently hear of it at once. */
#include <dtensor/node_shared.h>
#include <dtensor/redistribute.h>
#include <stdlib.h>

#include "tests/harness/arange.h"
#include "tests/harness/world.h"

typedef struct scene {
  bool odd; /* this rank is the one that calls differently */
  dtensor_mesh *mesh;
  dtensor *x, *other_shape, *other_dtype;
  double *global;
} scene;

static const dtensor_placement rows = {.kind = DTENSOR_SHARD, .dim = 0};
static const dtensor_placement columns = {.kind = DTENSOR_SHARD, .dim = 1};
static const dtensor_placement whole = {.kind = DTENSOR_REPLICATE};
static const dtensor_placement missing = {.kind = DTENSOR_SHARD, .dim = 5};

static dtensor_status other_target(const scene *s, dtensor **y) {
  return dtensor_redistribute(s->x, s->odd ? &columns : &whole, NULL, y);
}
static dtensor_status other_target_without_communication(const scene *s, dtensor **y) {
  return dtensor_redistribute(s->x, s->odd ? &columns : &rows, NULL, y);
}
/* The same once all ranks remember a plan for it. */
static dtensor_status other_target_as_before(const scene *s, dtensor **y) {
  EXPECT_OK(dtensor_redistribute(s->x, &rows, NULL, y));
  dtensor_destroy(y);
  return other_target_without_communication(s, y);
}
static dtensor_status other_shape(const scene *s, dtensor **y) {
  return dtensor_redistribute(s->odd ? s->other_shape : s->x, &columns, NULL, y);
}
static dtensor_status other_dtype(const scene *s, dtensor **y) {
  return dtensor_redistribute(s->odd ? s->other_dtype : s->x, &columns, NULL, y);
}
static dtensor_status other_budget(const scene *s, dtensor **y) {
  return dtensor_redistribute(
      s->x, &columns, &(dtensor_redistribute_opts){.max_bytes = s->odd ? 1 << 20 : 1 << 21}, y);
}
static dtensor_status other_function(const scene *s, dtensor **y) {
  *y = NULL;
  return s->odd ? dtensor_full_tensor(s->x, s->global)
                : dtensor_redistribute(s->x, &whole, NULL, y);
}
static dtensor_status other_source(const scene *s, dtensor **y) {
  return dtensor_distribute_tensor(s->mesh, DTENSOR_F64, 2, (int64_t[]){9, 11}, s->global,
                                   s->odd ? 1 : 0, &rows, y);
}
static dtensor_status begun_elsewhere(const scene *s, dtensor **y) {
  dtensor_request *request;
  *y = NULL;
  const dtensor_status status =
      dtensor_redistribute_begin(s->x, s->odd ? &columns : &whole, NULL, &request);
  EXPECT_NULL(request);
  return status;
}
static dtensor_status other_node_shared(const scene *s, dtensor **y) {
  return dtensor_share_node(s->odd ? s->other_shape : s->x, y);
}
static dtensor_status shared_with_bad_placement(const scene *s, dtensor **y) {
  return dtensor_empty_node_shared(s->mesh, DTENSOR_F64, 2, (int64_t[]){9, 11},
                                   s->odd ? &missing : &rows, y);
}
static dtensor_status other_end(const scene *s, dtensor **y) {
  dtensor *shared = NULL;
  EXPECT_OK(dtensor_share_node(s->x, &shared));
  const dtensor_status status =
      dtensor_redistribute_consume(&shared, s->odd ? &columns : &whole, NULL, y);
  EXPECT_NOT_NULL(shared);
  dtensor_destroy(&shared);
  return status;
}
static dtensor_status bad_on_one_rank(const scene *s, dtensor **y) {
  return dtensor_redistribute(s->x, s->odd ? &missing : &columns, NULL, y);
}

static const struct {
  dtensor_status (*call)(const scene *, dtensor **);
  const char *names;
} cases[] = {
    {other_target, "the layout asked for differs"},
    {other_target_without_communication, "the layout asked for differs"},
    {other_target_as_before, "the layout asked for differs"},
    {other_shape, "the layout of the source differs"},
    {other_dtype, "the dtype differs"},
    {other_budget, "max_bytes differs"},
    {other_function, "not all of them are in"},
    {other_source, "the layout of the source differs"},
    {begun_elsewhere, "the layout asked for differs"},
    {other_node_shared, "the layout of the source differs"},
    {shared_with_bad_placement, "whether the arguments are good differs"},
    {other_end, "the layout asked for differs"},
    {bad_on_one_rank, "whether the arguments are good differs"},
};

DTEST_WORLD(Diverged, EveryRankHearsOfIt, 2, 3, 6) {
  if (world->size == 1) return;
  scene s = {.odd = world->rank == 1, .global = calloc(99, sizeof(double))};
  REQUIRE_OK(world_line(world, &s.mesh));
  const int64_t shape[] = {9, 11};
  REQUIRE_OK(make_arange(s.mesh, 2, shape, "S0", &s.x));
  REQUIRE_OK(make_arange(s.mesh, 2, (int64_t[]){9, 12}, "S0", &s.other_shape));
  REQUIRE_OK(dtensor_zeros(s.mesh, DTENSOR_I64, 2, shape, &rows, &s.other_dtype));
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    dtensor *y = (dtensor *)&y;
    EXPECT_STATUS(DTENSOR_EDIVERGED, cases[i].call(&s, &y));
    EXPECT_NULL(y);
    EXPECT_CONTAINS(dtensor_last_error(), cases[i].names);
    EXPECT_OK(dtensor_redistribute(s.x, &whole, NULL, &y)); /* and all is well again */
    if (y) EXPECT_TRUE(holds_arange(y));
    dtensor_destroy(&y);
  }
  free(s.global);
  dtensor_destroy(&s.x);
  dtensor_destroy(&s.other_shape);
  dtensor_destroy(&s.other_dtype);
  dtensor_mesh_destroy(&s.mesh);
}

/* What all ranks do wrong together is no divergence. */
DTEST_WORLD(Diverged, SameMistakeEverywhere, 1, 3) {
  dtensor_mesh *mesh = NULL;
  dtensor *x = NULL, *y = NULL;
  REQUIRE_OK(world_line(world, &mesh));
  REQUIRE_OK(make_arange(mesh, 2, (int64_t[]){9, 11}, "S0", &x));
  EXPECT_STATUS(DTENSOR_EPLACEMENT, dtensor_redistribute(x, &missing, NULL, &y));
  EXPECT_STATUS(DTENSOR_EINVAL,
                dtensor_redistribute(x, &rows, &(dtensor_redistribute_opts){.max_bytes = -1}, &y));
  dtensor_destroy(&x);
  dtensor_mesh_destroy(&mesh);
}
