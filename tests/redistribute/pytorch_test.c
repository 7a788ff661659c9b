/* Redistribution against PyTorch's own results, tests/oracle/redistribute.txt. */
#include <dtensor/redistribute.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/harness/dtest.h"

enum { RANKS_MAX = 6, TARGETS_MAX = 64, LINE_SIZE = 4096 };

/* One line, "in" or "to", cut into words. */
typedef struct row {
  char text[LINE_SIZE];
  const char *placements, *verdict;
  const char *local[RANKS_MAX];
} row;

/* An input and its targets. */
typedef struct example {
  int mesh_ndim, ndim, ranks, targets, line;
  int64_t mesh[DTENSOR_MAX_NDIM], shape[DTENSOR_MAX_NDIM];
  row in, to[TARGETS_MAX];
} example;

typedef struct array {
  int64_t shape[DTENSOR_MAX_NDIM], elements;
  double *data;
} array;

/* "2x3" to {2, 3}; returns how many, and in *end what follows. */
static int read_sizes(const char *text, int64_t sizes[DTENSOR_MAX_NDIM], char **end) {
  int n = 0;
  for (;;) {
    sizes[n++] = strtoll(text, end, 10);
    if (**end != 'x' || n == DTENSOR_MAX_NDIM) return n;
    text = *end + 1;
  }
}

/* "2x2@1:3,5" */
static bool read_array(const char *text, int ndim, array *a) {
  char *at;
  if (!text || read_sizes(text, a->shape, &at) != ndim || *at != '@') return false;
  int64_t room = 1;
  for (int d = 0; d < ndim; d++) room *= a->shape[d];
  a->elements = 0;
  a->data = malloc(((size_t)room + 1) * sizeof *a->data);
  while (*++at && a->elements < room) {
    const double first = strtod(at, &at), last = *at == ':' ? strtod(at + 1, &at) : first;
    for (double v = first; v <= last && a->elements < room; v++) a->data[a->elements++] = v;
    if (*at != ',') break;
  }
  return EXPECT_EQ(a->elements, room) && EXPECT_EQ(*at, 0);
}

static bool same_local(const dtensor *y, const array *want) {
  for (int d = 0; d < dtensor_ndim(y); d++)
    if (!EXPECT_EQ(dtensor_local_size(y, d), want->shape[d])) return false;
  return EXPECT_MEMEQ(dtensor_local_data(y), want->data,
                      (size_t)want->elements * sizeof *want->data);
}

/* What PyTorch refuses has a clear meaning: the global tensor does not change. */
static bool same_global(const dtensor *y) {
  const int64_t n = dtensor_size(y, -1);
  double *all = malloc(((size_t)n + 1) * sizeof *all);
  bool same = EXPECT_OK(dtensor_full_tensor(y, all));
  for (int64_t i = 0; same && i < n; i++) same = EXPECT_EQ(all[i], (double)(i + 1));
  free(all);
  return same;
}

static atomic_int matched, refused_there, mixed;

static void check_target(const example *ex, const row *to, const dtensor *x, int rank) {
  dtensor_placement p[DTENSOR_MAX_NDIM];
  dtensor *y = NULL;
  if (!EXPECT_OK(dtensor_placements_parse(to->placements, ex->mesh_ndim, p)) ||
      !EXPECT_OK(dtensor_redistribute(x, p, NULL, &y)))
    return;
  bool good;
  if (strcmp(to->verdict, "ok") == 0) {
    array want = {.data = NULL};
    good = read_array(to->local[rank], ex->ndim, &want) && same_local(y, &want);
    free(want.data);
  } else {
    good = same_global(y);
    refused_there += rank == 0;
  }
  if (good)
    matched++;
  else
    dtest_fail(__FILE__, __LINE__, "line %d: %s to %s", ex->line, ex->in.placements,
               to->placements);
  dtensor_destroy(&y);
}

static dtensor_status check_example(dtensor_sim *sim, void *ctx) {
  const example *ex = ctx;
  const int rank = dtensor_sim_rank(sim);
  dtest_set_sim_rank(rank, ex->ranks);
  dtensor_mesh *mesh = NULL;
  dtensor_placement p[DTENSOR_MAX_NDIM];
  array in;
  SIM_REQUIRE_OK(dtensor_sim_init_device_mesh(sim, ex->mesh_ndim, ex->mesh, NULL, &mesh));
  SIM_REQUIRE_OK(dtensor_placements_parse(ex->in.placements, ex->mesh_ndim, p));
  SIM_REQUIRE_TRUE(read_array(ex->in.local[rank], ex->ndim, &in));
  dtensor_local local = {.data = in.data, .ndim = ex->ndim};
  memcpy(local.shape, in.shape, sizeof in.shape);
  dtensor *x = NULL;
  const dtensor_status made = dtensor_from_local(mesh, DTENSOR_F64, &local, p, ex->shape, &x);
  free(in.data);
  if (strcmp(ex->to[0].verdict, "mixed") == 0) { /* no right answer: we say so */
    EXPECT_STATUS(DTENSOR_EPLACEMENT, made);
    if (rank == 0) mixed += ex->targets;
  } else {
    SIM_REQUIRE_OK(made);
    for (int i = 0; i < ex->targets; i++) check_target(ex, &ex->to[i], x, rank);
  }
  dtensor_destroy(&x);
  dtensor_mesh_destroy(&mesh);
  return DTENSOR_OK;
}

static void run_example(const example *ex) {
  if (ex->targets > 0) EXPECT_OK(dtensor_sim_run(ex->ranks, check_example, (void *)ex));
}

/* Cut a row behind its first word. */
static void cut_row(row *r, const char *rest, bool has_verdict) {
  *r = (row){.verdict = ""};
  snprintf(r->text, sizeof r->text, "%s", rest);
  r->placements = strtok(r->text, " \n");
  if (has_verdict) r->verdict = strtok(NULL, " \n");
  for (int i = 0; i < RANKS_MAX; i++) r->local[i] = strtok(NULL, " \n");
}

DTEST(PyTorchRedistribute, EveryRow) {
  FILE *file = fopen("tests/oracle/redistribute.txt", "r");
  REQUIRE_NOT_NULL(file);
  static example ex;
  int rows = 0, rows_times_ranks = 0, number = 0;
  char line[LINE_SIZE];
  while (fgets(line, sizeof line, file)) {
    char *end, *rest = strchr(line, ' ');
    number++;
    if (line[0] == '#' || !rest) continue;
    if (strncmp(line, "to ", 3) != 0) {
      run_example(&ex);
      ex.targets = 0;
    }
    if (strncmp(line, "mesh ", 5) == 0) {
      ex.mesh_ndim = read_sizes(rest, ex.mesh, &end);
      ex.ranks = 1;
      for (int m = 0; m < ex.mesh_ndim; m++) ex.ranks *= (int)ex.mesh[m];
    } else if (strncmp(line, "shape ", 6) == 0) {
      ex.ndim = read_sizes(rest, ex.shape, &end);
    } else if (strncmp(line, "in ", 3) == 0) {
      cut_row(&ex.in, rest, false);
      ex.line = number;
    } else if (EXPECT_TRUE(strncmp(line, "to ", 3) == 0 && ex.targets < TARGETS_MAX)) {
      cut_row(&ex.to[ex.targets++], rest, true);
      rows++;
      rows_times_ranks += ex.ranks;
    }
  }
  run_example(&ex);
  fclose(file);
  EXPECT_EQ(rows, 1714);
  EXPECT_EQ(refused_there, 569);
  EXPECT_EQ(mixed, 10);
  EXPECT_EQ(matched, rows_times_ranks - 10 * 4);
}
