#include "dtensor/mesh/build.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dtensor/base/fail.h"
#include "dtensor/comm/check.h"
#include "dtensor/mesh/machine.h"

/* "(2,-1)" */
static const char *shape_text(int ndim, const int64_t shape[], char *text, size_t size) {
  size_t at = 0;
  for (int i = 0; i < ndim && at < size; i++)
    at += (size_t)snprintf(text + at, size - at, "%c%" PRId64, i ? ',' : '(', shape[i]);
  if (at < size) snprintf(text + at, size - at, ")");
  return text;
}

/* The sizes with the -1 filled in, and their product: all ranks, or with a list at most all. */
static dtensor_status resolve_shape(const dti_mesh_args *args, int ranks, int64_t shape[],
                                    int64_t *product) {
  char text[256];
  shape_text(args->ndim, args->shape, text, sizeof text);
  int inferred = -1;
  int64_t size = 1;
  for (int i = 0; i < args->ndim; i++) {
    shape[i] = args->shape[i];
    if (shape[i] == -1 && inferred < 0 && !args->chosen) {
      inferred = i;
      continue;
    }
    DTI_CHECK(shape[i] >= 1, DTENSOR_EINVAL, "mesh shape %s: size %" PRId64 " of dimension %d%s",
              text, shape[i], i,
              shape[i] == -1 && !args->chosen ? "; only one may be inferred" : "");
    DTI_CHECK(shape[i] <= ranks / size, DTENSOR_EINVAL,
              "mesh shape %s needs more ranks than the %d of the communicator", text, ranks);
    size *= shape[i];
  }
  if (inferred >= 0) {
    DTI_CHECK(ranks % size == 0, DTENSOR_EINVAL,
              "mesh shape %s: %d ranks cannot be divided by %" PRId64, text, ranks, size);
    shape[inferred] = ranks / size;
    size = ranks;
  }
  DTI_CHECK(args->chosen || size == ranks, DTENSOR_EINVAL,
            "mesh shape %s needs %" PRId64 " ranks, the communicator has %d", text, size, ranks);
  *product = size;
  return DTENSOR_OK;
}

static dtensor_status check_ranks(int64_t n, const int ranks[], int size) {
  char *seen = calloc((size_t)size, 1);
  DTI_CHECK(seen, DTENSOR_ENOMEM, "a table of %d ranks", size);
  dtensor_status status = DTENSOR_OK;
  for (int64_t i = 0; i < n && status == DTENSOR_OK; i++) {
    if (ranks[i] < 0 || ranks[i] >= size)
      status = DTI_FAIL(DTENSOR_EINVAL, "rank %d in the list is not one of the communicator's %d",
                        ranks[i], size);
    else if (seen[ranks[i]]++)
      status = DTI_FAIL(DTENSOR_EINVAL, "rank %d is listed twice", ranks[i]);
  }
  free(seen);
  return status;
}

/* What the ranks compare. Of v and ~v, the minima over the ranks tell the smallest and the largest
 * v. */
enum { NDIM, SHAPE, RANKS, NAMES, FACTS, STATUS = FACTS, FAILED, WORDS };
static const char *const fact_names[FACTS] = {
    [NDIM] = "numbers of mesh dimensions",
    [SHAPE] = "mesh shapes",
    [RANKS] = "lists of ranks",
    [NAMES] = "dimension names",
};

/* What this rank can do alone. Leaves a hash of every argument that can be read. */
static dtensor_status build_alone(dti_comm *root, const dti_mesh_args *args, uint64_t hash[FACTS],
                                  dtensor_mesh **mesh) {
  const int ranks = dti_comm_size(root);
  int64_t shape[DTENSOR_MAX_NDIM], size = 0;
  hash[NDIM] = (uint64_t)args->ndim;
  DTI_CHECK(args->ndim >= 1 && args->ndim <= DTENSOR_MAX_NDIM, DTENSOR_EINVAL,
            "a mesh of %d dimensions; there are 1 to %d", args->ndim, DTENSOR_MAX_NDIM);
  DTI_CHECK(args->shape, DTENSOR_EINVAL, "the mesh has no shape");
  DTI_CHECK(!args->chosen || args->ranks, DTENSOR_EINVAL, "the mesh has no list of ranks");
  hash[SHAPE] = dti_hash(0, args->shape, (size_t)args->ndim * sizeof *args->shape);
  const char *const *names = args->opts ? args->opts->dim_names : NULL;
  for (int i = 0; names && i < args->ndim && names[i]; i++)
    hash[NAMES] = dti_hash(hash[NAMES], names[i], strlen(names[i]) + 1);
  DTI_TRY(resolve_shape(args, ranks, shape, &size));
  if (args->ranks) hash[RANKS] = dti_hash(0, args->ranks, (size_t)size * sizeof *args->ranks);

  if (args->ranks) DTI_TRY(check_ranks(size, args->ranks, ranks));
  if (names) DTI_TRY(dti_mesh_check_names(args->ndim, names));
  DTI_CHECK(!args->opts || args->opts->threads >= 0, DTENSOR_EINVAL, "%d threads",
            args->opts->threads);
  DTI_CHECK(mesh, DTENSOR_EINVAL, "there is no place for the mesh");
  return dti_mesh_create(root, args->ndim, shape, args->ranks, names, mesh);
}

/* One all-reduce tells every rank whether all were called alike and whether all have succeeded. */
static dtensor_status compare(dti_comm *root, const uint64_t hash[FACTS], dtensor_status mine) {
  int64_t pair[WORDS][2];
  for (int i = 0; i < FACTS; i++) memcpy(&pair[i][0], &hash[i], sizeof hash[i]);
  pair[STATUS][0] = (int64_t)mine;
  pair[FAILED][0] = dti_agree_value(mine, dti_comm_rank(root));
  for (int i = 0; i < WORDS; i++) pair[i][1] = ~pair[i][0];
  DTI_TRY(dti_comm_allreduce(root, &pair[0][0], 2 * WORDS, DTI_COMM_MIN));

  const int same_status = pair[STATUS][0] == ~pair[STATUS][1];
  if (same_status && mine != DTENSOR_OK) return mine;
  for (int i = 0; i < FACTS; i++)
    DTI_CHECK(pair[i][0] == ~pair[i][1], DTENSOR_EDIVERGED, "the ranks gave different %s%s%s",
              fact_names[i],
              mine == DTENSOR_OK ? "" : "; here: ", mine == DTENSOR_OK ? "" : dtensor_last_error());
  return dti_agree_verdict(mine, pair[FAILED][0]);
}

static dtensor_status set_threads(dti_comm *root, const dtensor_mesh_opts *opts,
                                  dtensor_mesh *mesh) {
  int on_node; /* asked on every rank: it is collective, and options may differ */
  DTI_TRY(dti_comm_node_size(root, &on_node));
  mesh->threads = opts && opts->threads > 0 ? opts->threads : dti_mesh_default_threads(on_node);
  return DTENSOR_OK;
}

dtensor_status dti_mesh_build(dti_comm *root, const dti_mesh_args *args, dtensor_mesh **out) {
  uint64_t hash[FACTS] = {0};
  dtensor_mesh *mesh = NULL;
  dtensor_status status = build_alone(root, args, hash, out ? &mesh : NULL);
  status = compare(root, hash, status);
  if (status == DTENSOR_OK) status = dti_mesh_machine_init(root);
  if (status == DTENSOR_OK) status = set_threads(root, args->opts, mesh);
  if (status != DTENSOR_OK) dtensor_mesh_destroy(&mesh);
  dti_comm_release(&root);
  if (out) *out = mesh;
  return status;
}
