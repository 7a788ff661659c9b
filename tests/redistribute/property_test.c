#define _DEFAULT_SOURCE /* pthread_barrier_t */
/* Every pair of layouts on a mesh, on every arrangement of its ranks on nodes: the values, and the
 * bytes that move against the least possible and against what dtensor_explain() promises. */
#include <dtensor/debug.h>
#include <dtensor/memory.h>
#include <dtensor/plan.h>
#include <dtensor/redistribute.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dtensor/spec/planner.h"
#include "tests/harness/dtest.h"
#include "tests/redistribute/ownership.h"

/* What all steps are forced to be, where they can; -1: as the planner sees fit. */
#ifndef PROPERTY_TEST_ENGINE
#define PROPERTY_TEST_ENGINE -1
#endif

enum { LAYOUTS_MAX = 128, RANKS_MAX = 8, NAME_SIZE = 64 };

typedef struct family {
  int mesh_ndim, ndim;
  int64_t mesh[DTENSOR_MAX_NDIM], shape[DTENSOR_MAX_NDIM];
  bool few_bytes;  /* reduced in one step, whatever it costs */
  int turn, turns; /* pairs that are tried: each, or one of so many */
  int layouts;
  char name[LAYOUTS_MAX][NAME_SIZE];
  ownership own[LAYOUTS_MAX];
  pthread_barrier_t barrier;
  /* of the pair at hand, one entry per rank */
  const double *result[RANKS_MAX];
  dtensor_comm_counts counts[RANKS_MAX];
} family;

/* Explicit sizes have no text. */
static bool explicit_sizes(const char *word, dtensor_placement *p) {
  static const int64_t halves[] = {5, 5}, uneven[] = {2, 3}, all[] = {10, 0}, columns[] = {4, 7};
  const struct {
    const char *word;
    int dim;
    const int64_t *sizes;
  } known[] = {
      {"halves", 0, halves}, {"uneven", 0, uneven}, {"all", 0, all}, {"columns", 1, columns}};
  for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
    if (strcmp(word, known[i].word) != 0) continue;
    *p = dtensor_shard_sizes(known[i].dim, known[i].sizes);
    return true;
  }
  return false;
}

/* All combinations of the words, one per mesh dimension; explicit sizes fit in some of them only.
 */
static void add_layouts(family *f, int n, const char *const words[]) {
  int digit[DTENSOR_MAX_NDIM] = {0};
  for (;;) {
    dtensor_placement p[DTENSOR_MAX_NDIM];
    char *name = f->name[f->layouts];
    bool may_not_fit = false;
    name[0] = 0;
    for (int m = 0; m < f->mesh_ndim; m++) {
      const char *word = words[digit[m]];
      snprintf(name + strlen(name), NAME_SIZE - strlen(name), "%s%s", m ? "," : "", word);
      if (explicit_sizes(word, &p[m]))
        may_not_fit = true;
      else
        EXPECT_OK(dtensor_placements_parse(word, 1, &p[m]));
    }
    if (ownership_make(f->mesh_ndim, f->mesh, f->ndim, f->shape, p, &f->own[f->layouts]))
      f->layouts++;
    else if (!may_not_fit)
      dtest_fail(__FILE__, __LINE__, "%s does not fit", name);
    int m = f->mesh_ndim - 1;
    while (m >= 0 && ++digit[m] == n) digit[m--] = 0;
    if (m < 0) return;
  }
}

static dtensor_status make_source(dtensor_mesh *mesh, const ownership *o, dtensor **x) {
  const int64_t rank = dtensor_mesh_coordinate(mesh, -1);
  dtensor_local local = {.ndim = o->ndim};
  memcpy(local.shape, o->local_shape + rank * DTENSOR_MAX_NDIM, sizeof local.shape);
  double *data = malloc(((size_t)ownership_local_size(o, rank) + 1) * sizeof *data);
  local.data = data;
  for (int64_t e = 0; e < o->elements; e++) {
    const int64_t at = ownership_local(o, rank, e);
    if (at >= 0) data[at] = ownership_contribution(o, rank, e);
  }
  const dtensor_status status = dtensor_from_local(mesh, DTENSOR_F64, &local, o->p, o->shape, x);
  free(data);
  return status;
}

static void check_values(const family *f, int from, int to) {
  const ownership *o = &f->own[to];
  for (int64_t rank = 0; rank < o->ranks; rank++) {
    for (int64_t e = 0; e < o->elements && ownership_is_first_of_line(o, rank); e++) {
      if (ownership_local(o, rank, e) < 0) continue;
      const double value = ownership_combined(o, f->result, rank, e);
      if (value == ownership_value(e)) continue;
      dtest_fail(__FILE__, __LINE__, "%s -> %s: element %lld is %g on rank %lld, should be %g",
                 f->name[from], f->name[to], (long long)e, value, (long long)rank,
                 ownership_value(e));
      return;
    }
  }
}

static bool is_shard(dtensor_placement p) {
  return p.kind != DTENSOR_REPLICATE && p.kind != DTENSOR_PARTIAL;
}

/* A sum that several ranks want is built in pieces, one rank each, and passed on. The rank that
 * builds a piece follows from a layout in between. It is one that has a contribution wherever the
 * source's pieces can be kept there. They cannot where a mesh dimension was a shard and is none in
 * the target, and the target splits the same tensor dimension by another one, or an earlier split
 * of it is gone: there an element may take one more trip. */
static bool may_take_one_more(const ownership *from, const ownership *to) {
  for (int m = 0; m < from->mesh_ndim; m++) {
    if (!is_shard(from->p[m]) || is_shard(to->p[m])) continue;
    const int dim = from->p[m].dim;
    for (int other = 0; other < to->mesh_ndim; other++) {
      if (is_shard(to->p[other]) && to->p[other].dim == dim) return true;
      const bool splits_before = other < m && is_shard(from->p[other]) && from->p[other].dim == dim;
      if (splits_before && is_shard(to->p[other])) return true;
    }
  }
  return false;
}

static void check_bytes(const family *f, int from, int to) {
  const ownership *a = &f->own[from], *b = &f->own[to];
  const bool reduces = ownership_reduces(a, b);
  int64_t messages = 0, bytes = 0, received = 0;
  for (int64_t rank = 0; rank < a->ranks; rank++) {
    const dtensor_comm_counts *c = &f->counts[rank];
    messages += c->messages_sent - c->messages_received;
    bytes += c->bytes_sent - c->bytes_received;
    received += c->bytes_received / 8;
    if (c->messages_received > (reduces ? 2 : 1) * (a->ranks - 1))
      dtest_fail(__FILE__, __LINE__, "%s -> %s: rank %lld receives %lld messages", f->name[from],
                 f->name[to], (long long)rank, (long long)c->messages_received);
    const int64_t least = ownership_least_received(a, b, rank);
    if (!reduces && c->bytes_received != 8 * least)
      dtest_fail(__FILE__, __LINE__, "%s -> %s: rank %lld receives %lld bytes, needs %lld",
                 f->name[from], f->name[to], (long long)rank, (long long)c->bytes_received,
                 (long long)least * 8);
  }
  if (messages != 0 || bytes != 0)
    dtest_fail(__FILE__, __LINE__, "%s -> %s: what is sent is not what is received", f->name[from],
               f->name[to]);
  if (!reduces || f->few_bytes) return;
  const int64_t least = ownership_least_total(a, b);
  const int64_t most = least + (may_take_one_more(a, b) ? a->elements : 0);
  if (received < least || received > most)
    dtest_fail(__FILE__, __LINE__, "%s -> %s: %lld elements are received, needed are %lld",
               f->name[from], f->name[to], (long long)received, (long long)least);
}

static void check_promise(const family *f, int from, int to, const dtensor_plan_info *promised,
                          const dtensor_comm_counts *counted) {
  if (promised->bytes_received == counted->bytes_received &&
      promised->bytes_sent == counted->bytes_sent)
    return;
  dtest_fail(__FILE__, __LINE__, "%s -> %s: promised %lld and %lld bytes, counted %lld and %lld",
             f->name[from], f->name[to], (long long)promised->bytes_received,
             (long long)promised->bytes_sent, (long long)counted->bytes_received,
             (long long)counted->bytes_sent);
}

static dtensor_status all_pairs(dtensor_sim *sim, void *ctx) {
  family *f = ctx;
  const int rank = dtensor_sim_rank(sim);
  dtest_set_sim_rank(rank, dtensor_sim_size(sim));
  dti_route_force_engine(PROPERTY_TEST_ENGINE);
  dtensor_mesh *mesh = NULL;
  SIM_REQUIRE_OK(dtensor_sim_init_device_mesh(sim, f->mesh_ndim, f->mesh,
                                              &(dtensor_mesh_opts){.threads = 1}, &mesh));
  for (int from = 0; from < f->layouts; from++) {
    dtensor *x = NULL;
    SIM_REQUIRE_OK(make_source(mesh, &f->own[from], &x));
    for (int to = 0; to < f->layouts; to++) {
      if ((from + to) % f->turns != f->turn) continue;
      dtensor *y = NULL;
      dtensor_plan_info info;
      SIM_REQUIRE_OK(dtensor_explain(x, f->own[to].p, NULL, &info, NULL, 0));
      dtensor_comm_stats_reset();
      const dtensor_status status = dtensor_redistribute(x, f->own[to].p, NULL, &y);
      dtensor_comm_stats(&f->counts[rank]);
      if (status != DTENSOR_OK)
        dtest_fail(__FILE__, __LINE__, "%s -> %s: %s", f->name[from], f->name[to],
                   dtensor_last_error());
      SIM_REQUIRE_OK(status); /* the same on every rank */
      check_promise(f, from, to, &info, &f->counts[rank]);
      EXPECT_EQ(dtensor_local_size(y, -1), ownership_local_size(&f->own[to], rank));
      f->result[rank] = dtensor_local_data(y);
      pthread_barrier_wait(&f->barrier);
      if (rank == to % f->own[0].ranks) check_values(f, from, to);
      if (rank == (to + 1) % f->own[0].ranks) check_bytes(f, from, to);
      pthread_barrier_wait(&f->barrier);
      dtensor_destroy(&y);
    }
    dtensor_destroy(&x);
  }
  dtensor_mesh_destroy(&mesh);
  return DTENSOR_OK;
}

static void run(int mesh_ndim, const int64_t mesh[], int ndim, const int64_t shape[], int n,
                const char *const words[]) {
  family *f = calloc(1, sizeof *f);
  f->mesh_ndim = mesh_ndim;
  f->ndim = ndim;
  memcpy(f->mesh, mesh, (size_t)mesh_ndim * sizeof *mesh);
  memcpy(f->shape, shape, (size_t)ndim * sizeof *shape);
  add_layouts(f, n, words);
  f->few_bytes = f->own[0].elements * 8 <= 512;
  const int ranks = (int)f->own[0].ranks;
  pthread_barrier_init(&f->barrier, NULL, (unsigned)ranks);
  f->turns = f->layouts * f->layouts / 150 + 1;
  for (int per_node = 1; per_node <= 3 && per_node < ranks; per_node++) {
    f->turn = per_node % f->turns;
    EXPECT_OK(dtensor_sim_run_nodes(ranks, per_node, all_pairs, f));
  }
  f->turns = f->layouts * f->layouts / 1500 + 1;
  f->turn = 0;
  EXPECT_OK(dtensor_sim_run(ranks, all_pairs, f));
  pthread_barrier_destroy(&f->barrier);
  for (int i = 0; i < f->layouts; i++) ownership_free(&f->own[i]);
  free(f);
}

#define SIZES(...) \
  (int)(sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t)), ((int64_t[]){__VA_ARGS__})
#define WORDS(words) (int)(sizeof words / sizeof *words), words

static const char *const line_words[] = {"R",      "S0",      "S1",      "SB(0)",
                                         "SB(1)",  "SC(0,2)", "SC(1,3)", "SS(0,2)",
                                         "P(sum)", "P(max)",  "P(avg)"};
static const char *const grid_words[] = {"R",       "S0",      "S1",     "SB(0)",
                                         "SC(0,2)", "SS(1,2)", "P(sum)", "P(avg)"};
static const char *const cube_words[] = {"R", "S0", "S1", "P(sum)"};
static const char *const deep_words[] = {"R", "S0", "S1", "S2", "SC(2,2)", "P(max)"};
static const char *const sizes_words[] = {"R",      "S0",     "SC(1,2)", "P(sum)",
                                          "halves", "uneven", "all",     "columns"};
static const char *const nested_sizes_words[] = {"R", "S1", "P(sum)", "halves", "uneven"};
static const char *const vector_words[] = {"R", "S0", "SB(0)", "SC(0,1)", "P(sum)", "P(avg)"};
static const char *const scalar_words[] = {"R", "P(sum)", "P(avg)"};

DTEST(RedistributeProperty, Line) {
  run(SIZES(1), SIZES(9, 11), WORDS(line_words));
  run(SIZES(2), SIZES(9, 11), WORDS(line_words));
  run(SIZES(3), SIZES(9, 11), WORDS(line_words));
  run(SIZES(4), SIZES(9, 11), WORDS(line_words));
  run(SIZES(6), SIZES(9, 11), WORDS(line_words));
}
DTEST(RedistributeProperty, Grid2x2) { run(SIZES(2, 2), SIZES(9, 11), WORDS(grid_words)); }
DTEST(RedistributeProperty, Grid2x3) { run(SIZES(2, 3), SIZES(9, 11), WORDS(grid_words)); }
DTEST(RedistributeProperty, Grid3x1) { run(SIZES(3, 1), SIZES(9, 11), WORDS(grid_words)); }
DTEST(RedistributeProperty, Cube) { run(SIZES(2, 2, 2), SIZES(9, 11), WORDS(cube_words)); }

/* Fewer indices than ranks, no indices at all, sizes of one. */
DTEST(RedistributeProperty, FewIndices) {
  run(SIZES(4), SIZES(3, 40), WORDS(line_words));
  run(SIZES(6), SIZES(1, 70), WORDS(line_words));
  run(SIZES(2, 3), SIZES(2, 35), WORDS(grid_words));
  run(SIZES(3), SIZES(0, 4), WORDS(line_words));
  run(SIZES(2, 2), SIZES(5, 0), WORDS(cube_words));
}

DTEST(RedistributeProperty, ThreeDimensions) {
  run(SIZES(3), SIZES(4, 5, 7), WORDS(deep_words));
  run(SIZES(2, 3), SIZES(4, 5, 7), WORDS(deep_words));
}

/* Sizes that fit only together with the splits before them must not be taken out of their place. */
DTEST(RedistributeProperty, ExplicitSizes) {
  run(SIZES(2), SIZES(10, 11), WORDS(sizes_words));
  run(SIZES(2, 2), SIZES(10, 11), WORDS(sizes_words));
  run(SIZES(2, 2, 2), SIZES(10, 11), WORDS(nested_sizes_words));
}

/* Few bytes are reduced in one gather per mesh dimension. */
DTEST(RedistributeProperty, FewBytes) {
  run(SIZES(4), SIZES(5), WORDS(vector_words));
  run(SIZES(7), SIZES(5), WORDS(vector_words));
  run(SIZES(2, 3), SIZES(4), WORDS(vector_words));
  run(SIZES(5), 0, ((int64_t[]){1}), WORDS(scalar_words));
  run(SIZES(2, 3), 0, ((int64_t[]){1}), WORDS(scalar_words));
}
