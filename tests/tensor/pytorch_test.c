/* Tensors against PyTorch's own, tests/oracle/tensor.txt. */
#include <dtensor/redistribute.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/harness/dtest.h"

enum { RANKS = 4, LINE_SIZE = 2048 };

typedef struct row {
  char text[LINE_SIZE];
  const char *function, *placements, *local[RANKS];
  int mesh_ndim, ndim;
  int64_t mesh[DTENSOR_MAX_NDIM], shape[DTENSOR_MAX_NDIM];
} row;

/* "2x3" to {2, 3}; returns how many, and in *end what follows. */
static int read_sizes(const char *text, int64_t sizes[DTENSOR_MAX_NDIM], char **end) {
  int n = 0;
  for (;;) {
    sizes[n++] = strtoll(text, end, 10);
    if (**end != 'x' || n == DTENSOR_MAX_NDIM) return n;
    text = *end + 1;
  }
}

/* "2x2@1:3,5" to its shape and elements; returns how many elements, -1 for "2x2@?". */
static int64_t read_array(const char *text, int64_t shape[DTENSOR_MAX_NDIM], double data[64]) {
  char *at;
  int64_t n = 0;
  read_sizes(text, shape, &at);
  if (strcmp(at, "@?") == 0) return -1;
  while (*++at && n < 64) {
    const double first = strtod(at, &at), last = *at == ':' ? strtod(at + 1, &at) : first;
    for (double v = first; v <= last && n < 64; v++) data[n++] = v;
    if (*at != ',') break;
  }
  return n;
}

static dtensor_status make(const row *r, dtensor_mesh *mesh, const dtensor_placement p[],
                           dtensor **x) {
  double global[64], local_data[64] = {0};
  for (int i = 0; i < 64; i++) global[i] = i;
  if (strcmp(r->function, "distribute_tensor") == 0)
    return dtensor_distribute_tensor(mesh, DTENSOR_F64, r->ndim, r->shape, global, 0, p, x);
  if (strcmp(r->function, "from_local") == 0) {
    dtensor_local local = {.data = local_data, .ndim = r->ndim};
    const char *mine = r->local[dtensor_mesh_coordinate(mesh, -1)];
    memcpy(local.shape, r->shape, sizeof local.shape);
    if (mine) read_array(mine, local.shape, local_data);
    return dtensor_from_local(mesh, DTENSOR_F64, &local, p, NULL, x);
  }
  if (strcmp(r->function, "full") == 0)
    return dtensor_full(mesh, DTENSOR_F64, r->ndim, r->shape, dtensor_real(2.5), p, x);
  return (strcmp(r->function, "zeros") == 0 ? dtensor_zeros
          : strcmp(r->function, "ones") == 0
              ? dtensor_ones
              : dtensor_empty)(mesh, DTENSOR_F64, r->ndim, r->shape, p, x);
}

/* A Partial target of distribute_tensor has a clear meaning; other refusals are errors here too. */
static void check_refused(const row *r, dtensor_status status, const dtensor *x) {
  if (!strchr(r->placements, 'P')) {
    EXPECT_STATUS(DTENSOR_EPLACEMENT, status);
    return;
  }
  double all[64];
  EXPECT_OK(status);
  EXPECT_OK(dtensor_full_tensor(x, all));
  for (int64_t i = 0; i < dtensor_size(x, -1); i++) EXPECT_EQ(all[i], (double)i);
}

static void check_local(const row *r, const dtensor *x, int rank) {
  int64_t shape[DTENSOR_MAX_NDIM];
  double want[64];
  const int64_t n = read_array(r->local[rank], shape, want);
  for (int d = 0; d < r->ndim; d++) {
    EXPECT_EQ(dtensor_local_size(x, d), shape[d]);
    EXPECT_EQ(dtensor_size(x, d), r->shape[d]);
  }
  if (n >= 0 && EXPECT_EQ(dtensor_local_size(x, -1), n))
    EXPECT_MEMEQ(dtensor_local_data(x), want, (size_t)n * sizeof *want);
}

static dtensor_status check_row(dtensor_sim *sim, void *ctx) {
  const row *r = ctx;
  const int rank = dtensor_sim_rank(sim);
  dtest_set_sim_rank(rank, RANKS);
  dtensor_mesh *mesh = NULL;
  dtensor *x = NULL;
  dtensor_placement p[DTENSOR_MAX_NDIM];
  SIM_REQUIRE_OK(dtensor_sim_init_device_mesh(sim, r->mesh_ndim, r->mesh, NULL, &mesh));
  SIM_REQUIRE_OK(dtensor_placements_parse(r->placements, r->mesh_ndim, p));
  const dtensor_status status = make(r, mesh, p, &x);
  if (!r->local[0]) {
    check_refused(r, status, x);
  } else {
    SIM_REQUIRE_OK(status);
    check_local(r, x, rank);
  }
  dtensor_destroy(&x);
  dtensor_mesh_destroy(&mesh);
  return DTENSOR_OK;
}

DTEST(PyTorchTensor, EveryRow) {
  FILE *file = fopen("tests/oracle/tensor.txt", "r");
  REQUIRE_NOT_NULL(file);
  int rows = 0;
  char line[LINE_SIZE], *end;
  while (fgets(line, sizeof line, file)) {
    if (line[0] == '#') continue;
    row r = {.ndim = 0};
    memcpy(r.text, line, sizeof line);
    r.function = strtok(r.text, " \n");
    r.mesh_ndim = read_sizes(strtok(NULL, " \n"), r.mesh, &end);
    r.ndim = read_sizes(strtok(NULL, " \n"), r.shape, &end);
    r.placements = strtok(NULL, " \n");
    for (int i = 0; i < RANKS; i++) r.local[i] = strtok(NULL, " \n");
    if (r.local[0] && strcmp(r.local[0], "refused") == 0) r.local[0] = NULL;
    if (!EXPECT_OK(dtensor_sim_run(RANKS, check_row, &r)))
      dtest_fail(__FILE__, __LINE__, "%s of %s", r.function, r.placements);
    rows++;
  }
  fclose(file);
  EXPECT_EQ(rows, 21);
}
