#define _DEFAULT_SOURCE /* pthread_barrier_t */
/* Transfers of boxes: random boxes between arrays of other shapes and any layouts, element by
 * element. What lies outside of the box must not change by a bit. */
#include <dtensor/debug.h>
#include <dtensor/memory.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "dtensor/redistribute/transfer.h"
#include "tests/harness/dtest.h"
#include "tests/redistribute/ownership.h"

enum { RANKS_MAX = 8, CASES = 120, NAME_SIZE = 64 };

typedef struct box_case {
  ownership from, to;
  dti_box box;
  char text[2 * NAME_SIZE];
  dti_run runs[3]; /* that the box borrows, if it does */
  bool column_major[2];
} box_case;

typedef struct box_world {
  int mesh_ndim, ndim;
  int64_t mesh[DTENSOR_MAX_NDIM];
  box_case *cases;
  pthread_barrier_t barrier;
  const double *result[RANKS_MAX];
} box_world;

/* A fixed sequence: xorshift. */
static uint64_t random_state;
static int64_t random_below(int64_t n) {
  random_state ^= random_state << 13;
  random_state ^= random_state >> 7;
  random_state ^= random_state << 17;
  return (int64_t)(random_state % (uint64_t)n);
}

static dtensor_placement random_placement(int ndim, int64_t ranks, const int64_t shape[],
                                          int64_t sizes[], bool reduces_by_max) {
  const int dim = (int)random_below(ndim);
  switch (random_below(9)) {
    case 0:
      return dtensor_replicate();
    case 1:
      return dtensor_shard_balanced(dim);
    case 2:
      return dtensor_shard_cyclic(dim, 1 + random_below(3));
    case 3:
      return dtensor_strided_shard(dim, 1 + random_below(3));
    case 4: {
      int64_t rest = shape[dim];
      for (int64_t r = 0; r + 1 < ranks; r++) rest -= sizes[r] = random_below(rest + 1);
      sizes[ranks - 1] = rest;
      return dtensor_shard_sizes(dim, sizes);
    }
    case 5:
    case 6:
      return dtensor_partial(reduces_by_max ? DTENSOR_MAX : DTENSOR_SUM);
    case 7:
      return dtensor_partial(reduces_by_max ? DTENSOR_MAX : DTENSOR_AVG);
    default:
      return dtensor_shard(dim);
  }
}

/* Explicit sizes borrow their array, so those of all cases live as long as the test. */
static int64_t sizes_room[CASES][2][DTENSOR_MAX_NDIM][RANKS_MAX];

static void random_side(const box_world *w, int at, int side, ownership *o) {
  dtensor_placement p[DTENSOR_MAX_NDIM];
  do {
    int64_t shape[DTENSOR_MAX_NDIM];
    const bool by_max = random_below(4) == 0;
    for (int d = 0; d < w->ndim; d++) shape[d] = random_below(12) ? 1 + random_below(24) : 0;
    for (int m = 0; m < w->mesh_ndim; m++)
      p[m] = random_placement(w->ndim, w->mesh[m], shape, sizes_room[at][side][m], by_max);
    if (ownership_make(w->mesh_ndim, w->mesh, w->ndim, shape, p, o)) return;
  } while (true); /* nested explicit sizes seldom fit */
}

/* Only what comes from so far along a line, where it is split at the source and takes one step. */
static void draw_line(const box_world *w, box_case *c) {
  const int line = (int)random_below(w->mesh_ndim);
  if (c->from.p[line].kind == DTENSOR_REPLICATE || random_below(2)) return;
  for (int m = 0; m < w->mesh_ndim; m++)
    if (c->from.p[m].kind == DTENSOR_PARTIAL || c->to.p[m].kind == DTENSOR_PARTIAL) return;
  c->box.line = line;
  c->box.first_peer = random_below(w->mesh[line]);
  c->box.end_peer = c->box.first_peer + 1 + random_below(w->mesh[line] - c->box.first_peer);
}

static void draw(box_world *w, int at) {
  box_case *c = &w->cases[at];
  random_side(w, at, 0, &c->from);
  random_side(w, at, 1, &c->to);
  for (int d = 0; d < w->ndim; d++) {
    const int64_t a = c->from.shape[d], b = c->to.shape[d];
    c->box.shape[d] = random_below((a < b ? a : b) + 1);
    c->box.from[d] = random_below(a - c->box.shape[d] + 1);
    c->box.to[d] = random_below(b - c->box.shape[d] + 1);
  }
  if (random_below(2)) {
    c->box.cut_dim = (int)random_below(w->ndim);
    c->box.runs = c->runs;
    for (int64_t i = 0, end = c->box.shape[c->box.cut_dim]; i < end && c->box.cuts < 3;) {
      const int64_t begin = i + random_below(end - i), length = 1 + random_below(end - begin);
      c->runs[c->box.cuts++] = (dti_run){begin, length};
      i = begin + length + 1;
    }
  }
  for (int side = 0; side < 2; side++) c->column_major[side] = random_below(3) == 0;
  const size_t n = (size_t)w->mesh_ndim;
  char text[2][NAME_SIZE] = {"", ""};
  EXPECT_OK(dtensor_placements_format(c->from.p, (int)n, text[0], NAME_SIZE));
  EXPECT_OK(dtensor_placements_format(c->to.p, (int)n, text[1], NAME_SIZE));
  strcpy(c->text, text[0]);
  strcat(strcat(c->text, " -> "), text[1]);
}

static void strides_of(const ownership *o, int64_t rank, bool column_major, int64_t stride[]) {
  const int64_t *shape = o->local_shape + rank * DTENSOR_MAX_NDIM;
  int64_t step = 1;
  for (int i = 0; i < o->ndim; i++) {
    const int d = column_major ? i : o->ndim - 1 - i;
    stride[d] = step;
    step *= shape[d];
  }
}

/* The place in a strided array of row-major local index `at`. */
static int64_t place(const ownership *o, int64_t rank, const int64_t stride[], int64_t at) {
  const int64_t *shape = o->local_shape + rank * DTENSOR_MAX_NDIM;
  int64_t offset = 0;
  for (int d = o->ndim - 1; d >= 0; d--) {
    offset += at % shape[d] * stride[d];
    at /= shape[d];
  }
  return offset;
}

/* An array that holds o's contributions to values that all differ from those of the other side. */
static double *fill(const ownership *o, int64_t rank, const int64_t stride[], double factor) {
  double *data = malloc(((size_t)ownership_local_size(o, rank) + 1) * sizeof *data);
  for (int64_t e = 0; e < o->elements; e++) {
    const int64_t at = ownership_local(o, rank, e);
    if (at >= 0) data[place(o, rank, stride, at)] = factor * ownership_contribution(o, rank, e);
  }
  return data;
}

static bool is_cut_out(const dti_box *box, int64_t index) {
  for (int64_t i = 0; i < box->cuts; i++)
    if (index >= box->runs[i].begin && index < box->runs[i].begin + box->runs[i].length)
      return false;
  return box->runs != NULL;
}

/* The element of the source that becomes this one of the target, or -1. */
static int64_t source_of(const box_case *c, int64_t element) {
  int64_t index[DTENSOR_MAX_NDIM], source = 0;
  for (int d = c->to.ndim - 1; d >= 0; d--) {
    index[d] = element % c->to.shape[d] - c->box.to[d];
    element /= c->to.shape[d];
    if (index[d] < 0 || index[d] >= c->box.shape[d]) return -1;
    if (d == c->box.cut_dim && is_cut_out(&c->box, index[d])) return -1;
  }
  for (int d = 0; d < c->to.ndim; d++)
    source = source * c->from.shape[d] + index[d] + c->box.from[d];
  return source;
}

/* Whether what `rank` gets of an element of the source is of the box. */
static bool is_of_line(const box_case *c, int64_t source, int64_t rank) {
  const dti_box *box = &c->box;
  if (box->end_peer == 0 || source < 0) return true;
  const int64_t owner = c->from.owner[source * DTENSOR_MAX_NDIM + box->line],
                size = c->from.mesh[box->line],
                distance = (owner - ownership_coordinate(&c->to, rank, box->line) + size) % size;
  return box->first_peer <= distance && distance < box->end_peer;
}

static void check(const box_world *w, const box_case *c) {
  const ownership *o = &c->to;
  for (int64_t rank = 0; rank < o->ranks; rank++)
    for (int64_t e = 0; e < o->elements; e++) {
      const int64_t at = ownership_local(o, rank, e);
      int64_t source = source_of(c, e);
      if (at < 0) continue;
      if (!is_of_line(c, source, rank)) source = -1;
      double is = w->result[rank][at], want = 4096 * ownership_contribution(o, rank, e);
      if (source >= 0 && !ownership_is_first_of_line(o, rank)) continue;
      if (source >= 0) {
        is = ownership_combined(o, w->result, rank, e);
        want = ownership_value(source);
      }
      if (is == want) continue;
      dtest_fail(__FILE__, __LINE__, "%s: element %lld is %g on rank %lld, should be %g (%s)",
                 c->text, (long long)e, is, (long long)rank, want, source < 0 ? "outside" : "box");
      return;
    }
}

static dtensor_status transfer_cases(dtensor_sim *sim, void *ctx) {
  box_world *w = ctx;
  const int64_t rank = dtensor_sim_rank(sim);
  dtest_set_sim_rank((int)rank, dtensor_sim_size(sim));
  dtensor_mesh *mesh = NULL;
  SIM_REQUIRE_OK(dtensor_sim_init_device_mesh(sim, w->mesh_ndim, w->mesh,
                                              &(dtensor_mesh_opts){.threads = 1}, &mesh));
  for (int i = 0; i < CASES; i++) {
    const box_case *c = &w->cases[i];
    int64_t stride[2][DTENSOR_MAX_NDIM];
    strides_of(&c->from, rank, c->column_major[0], stride[0]);
    strides_of(&c->to, rank, c->column_major[1], stride[1]);
    double *source = fill(&c->from, rank, stride[0], 1);
    double *target = fill(&c->to, rank, stride[1], 4096);
    dti_layout from, to;
    SIM_REQUIRE_OK(
        dti_layout_init(&from, w->ndim, c->from.shape, w->mesh_ndim, w->mesh, c->from.p));
    SIM_REQUIRE_OK(dti_layout_init(&to, w->ndim, c->to.shape, w->mesh_ndim, w->mesh, c->to.p));
    const dti_transfer_end ends[] = {{mesh, &from, source, stride[0]},
                                     {mesh, &to, target, stride[1]}};
    const dti_transfer_item item = {
        .from = ends[0], .to = ends[1], .box = &c->box, .dtype = DTENSOR_F64};
    SIM_REQUIRE_OK(dti_transfer_run(1, &item, NULL, DTENSOR_OK));
    double *packed = malloc(((size_t)ownership_local_size(&c->to, rank) + 1) * sizeof *packed);
    for (int64_t at = 0; at < ownership_local_size(&c->to, rank); at++)
      packed[at] = target[place(&c->to, rank, stride[1], at)];
    w->result[rank] = packed;
    pthread_barrier_wait(&w->barrier);
    if (rank == i % dtensor_sim_size(sim)) check(w, c);
    pthread_barrier_wait(&w->barrier);
    free(packed);
    free(target);
    free(source);
  }
  dtensor_mesh_destroy(&mesh);
  return DTENSOR_OK;
}

/* per_node 0: all ranks on one. */
static void run(int ndim, int mesh_ndim, const int64_t mesh[], int per_node) {
  static box_world w;
  int64_t ranks = 1;
  w = (box_world){.mesh_ndim = mesh_ndim, .ndim = ndim};
  for (int m = 0; m < mesh_ndim; m++) ranks *= w.mesh[m] = mesh[m];
  w.cases = calloc(CASES, sizeof *w.cases);
  random_state = (uint64_t)(2026 + 10 * ranks + mesh_ndim + 1000 * per_node);
  for (int i = 0; i < CASES; i++) draw(&w, i);
  for (int i = 0; i < CASES; i++) draw_line(&w, &w.cases[i]);
  pthread_barrier_init(&w.barrier, NULL, (unsigned)ranks);
  EXPECT_OK(
      dtensor_sim_run_nodes((int)ranks, per_node > 0 ? per_node : (int)ranks, transfer_cases, &w));
  pthread_barrier_destroy(&w.barrier);
  for (int i = 0; i < CASES; i++) {
    ownership_free(&w.cases[i].from);
    ownership_free(&w.cases[i].to);
  }
  free(w.cases);
}

DTEST(Box, OfMatricesOnALine) {
  run(2, 1, (int64_t[]){1}, 0);
  for (int per_node = 0; per_node < 3; per_node++) {
    run(2, 1, (int64_t[]){2}, per_node);
    run(2, 1, (int64_t[]){3}, per_node);
    run(2, 1, (int64_t[]){6}, per_node);
  }
}

DTEST(Box, OfMatricesOnAGrid) {
  for (int per_node = 0; per_node < 4; per_node++) {
    run(2, 2, (int64_t[]){2, 2}, per_node);
    run(2, 2, (int64_t[]){3, 2}, per_node);
  }
}

DTEST(Box, OfVectorsAndCubes) {
  for (int per_node = 0; per_node < 4; per_node++) {
    run(1, 2, (int64_t[]){2, 2}, per_node);
    run(3, 2, (int64_t[]){2, 3}, per_node);
    run(3, 3, (int64_t[]){2, 2, 2}, per_node);
  }
}
