#include <stdlib.h>

#include "dtensor/base/fail.h"
#include "dtensor/redistribute/alike.h"
#include "dtensor/redistribute/end.h"
#include "dtensor/redistribute/redistribute.h"

/* Tensors that travel in one transfer. More are several transfers, all in flight together: what a
 * group needs fits on the stack, so that nothing is allocated before the ranks can agree. */
enum { GROUP = 64 };

struct dtensor_request {
  int n, groups;
  dtensor **x, **y;
  dti_transfer **transfer; /* of each group; NULL on ranks outside of the mesh */
  void *room[];
};

static int groups_of(int n) { return (n - 1) / GROUP + 1; }

static dtensor_request *new_request(int n) {
  const int groups = groups_of(n);
  dtensor_request *r = calloc(1, sizeof *r + (2 * (size_t)n + (size_t)groups) * sizeof(void *));
  if (!r) return NULL;
  r->n = n;
  r->groups = groups;
  r->x = (dtensor **)r->room;
  r->y = r->x + n;
  r->transfer = (dti_transfer **)(r->room + 2 * n);
  return r;
}

/* Complete what is in flight; the first failure. */
static dtensor_status complete(dtensor_request *r) {
  dtensor_status status = DTENSOR_OK;
  for (int g = 0; g < r->groups; g++) {
    if (!r->transfer[g]) continue;
    const dtensor_status outcome = dti_transfer_wait(&r->transfer[g]);
    if (status == DTENSOR_OK) status = outcome;
  }
  return status;
}

static void count_request(const dtensor *x, int more) {
  if (x && x->storage) x->storage->requests += more;
}

static void free_request(dtensor_request *r) {
  for (int i = 0; r && i < r->n; i++) {
    count_request(r->x[i], -1);
    dtensor_destroy(&r->x[i]);
    dtensor_destroy(&r->y[i]);
  }
  free(r);
}

static dtensor_status check(int n, const dtensor *const x[], const dtensor_placement *const to[],
                            const dtensor_redistribute_opts *opts) {
  dti_layout layout;
  for (int i = 0; i < n; i++) {
    DTI_CHECK(dti_mesh_same(x[i]->mesh, x[0]->mesh), DTENSOR_EMESH,
              "tensors 0 and %d are on different meshes", i);
    DTI_TRY(dti_redistribute_check(x[i], x[0]->mesh, to[i], opts, &layout));
    DTI_TRY(dti_tensor_check(x[i]->dtype, &layout));
  }
  return DTENSOR_OK;
}

/* Start the tensors of a group. Without a request (`mine` is a failure then) nothing is left to
 * hold the transfer: the others are told, and that is all. */
static dtensor_status begin_group(dtensor_request *r, int first, int n, const dtensor *const x[],
                                  const dtensor_placement *const to[],
                                  const dtensor_redistribute_opts *opts, dtensor_status mine) {
  dti_layout layout[GROUP];
  dti_transfer_item item[GROUP];
  dtensor_mesh *mesh = x[first]->mesh;
  for (int i = 0; i < n; i++) {
    const dtensor *from = x[first + i];
    dtensor *y = NULL;
    (void)dti_layout_with(&from->layout, to[first + i], &layout[i]); /* was checked */
    if (mine == DTENSOR_OK) mine = dti_tensor_create(mesh, from->dtype, &layout[i], &y);
    item[i] = dti_transfer_item_of(from, mesh, &layout[i], y);
    if (!r) continue;
    r->x[first + i] = dtensor_retain((dtensor *)from);
    count_request(from, 1);
    r->y[first + i] = y;
  }
  if (!dti_mesh_is_member(mesh)) return mine;
  dti_transfer *transfer;
  DTI_TRY(dti_transfer_begin(n, item, opts, mine, &transfer));
  if (!r) return dti_transfer_wait(&transfer);
  r->transfer[first / GROUP] = transfer;
  return DTENSOR_OK;
}

dtensor_status dtensor_redistribute_many_begin(int n, const dtensor *const x[],
                                               const dtensor_placement *const to[],
                                               const dtensor_redistribute_opts *opts,
                                               dtensor_request **request) {
  DTI_API();
  DTI_CHECK(request, DTENSOR_EINVAL, "request must not be NULL");
  *request = NULL;
  DTI_CHECK(n >= 1 && x && to, DTENSOR_EINVAL, "there must be at least one tensor");
  for (int i = 0; i < n; i++) DTI_CHECK(x[i], DTENSOR_EINVAL, "tensor %d is NULL", i);
  const dtensor_status verdict = check(n, x, to, opts);
  if (verdict != DTENSOR_OK) return dti_alike_refuse(x[0]->mesh, x[0]->mesh, verdict);

  dtensor_request *r = new_request(n);
  dtensor_status mine = r ? DTENSOR_OK : DTI_FAIL(DTENSOR_ENOMEM, "no memory for a request");
  dtensor_status status = DTENSOR_OK;
  for (int first = 0; first < n; first += GROUP) {
    const int in_group = n - first < GROUP ? n - first : GROUP;
    const dtensor_status begun = begin_group(r, first, in_group, x, to, opts, mine);
    if (mine == DTENSOR_OK) mine = begun;
    if (status == DTENSOR_OK) status = begun;
  }
  if (status != DTENSOR_OK && r) (void)complete(r);
  if (status != DTENSOR_OK) free_request(r);
  if (status == DTENSOR_OK) *request = r;
  return status;
}

dtensor_status dtensor_redistribute_begin(const dtensor *x, const dtensor_placement to[],
                                          const dtensor_redistribute_opts *opts,
                                          dtensor_request **request) {
  DTI_API();
  DTI_CHECK(request, DTENSOR_EINVAL, "request must not be NULL");
  *request = NULL;
  DTI_CHECK(x, DTENSOR_EINVAL, "x must not be NULL");
  return dtensor_redistribute_many_begin(1, &x, &to, opts, request);
}

dtensor_status dtensor_request_test(dtensor_request *request, int *done) {
  DTI_API();
  DTI_CHECK(request && done, DTENSOR_EINVAL, "request and done must not be NULL");
  *done = 1;
  dtensor_status status = DTENSOR_OK;
  for (int g = 0; g < request->groups; g++) {
    int group_done = 1;
    const dtensor_status outcome =
        request->transfer[g] ? dti_transfer_test(request->transfer[g], &group_done) : DTENSOR_OK;
    *done &= group_done;
    if (status == DTENSOR_OK) status = outcome;
  }
  return status;
}

dtensor_status dtensor_request_wait_many(dtensor_request **request, int n, dtensor *out[]) {
  DTI_API();
  DTI_CHECK(out && n >= 0, DTENSOR_EINVAL, "out must not be NULL");
  for (int i = 0; i < n; i++) out[i] = NULL;
  DTI_CHECK(request && *request, DTENSOR_EINVAL, "request must not be NULL");
  dtensor_request *r = *request;
  DTI_CHECK(r->n == n, DTENSOR_EINVAL, "the request is of %d tensors, not of %d", r->n, n);
  *request = NULL;
  const dtensor_status status = complete(r);
  for (int i = 0; i < n && status == DTENSOR_OK; i++) {
    out[i] = r->y[i];
    r->y[i] = NULL;
  }
  free_request(r);
  return status;
}

dtensor_status dtensor_request_wait(dtensor_request **request, dtensor **out) {
  DTI_API();
  return dtensor_request_wait_many(request, 1, out);
}

void dtensor_request_destroy(dtensor_request **request) {
  DTI_API();
  if (!request || !*request) return;
  (void)complete(*request);
  free_request(*request);
  *request = NULL;
}

dtensor_status dtensor_redistribute_many(int n, const dtensor *const x[],
                                         const dtensor_placement *const to[],
                                         const dtensor_redistribute_opts *opts, dtensor *out[]) {
  DTI_API();
  DTI_CHECK(out, DTENSOR_EINVAL, "out must not be NULL");
  for (int i = 0; i < n; i++) out[i] = NULL;
  dtensor_request *request;
  DTI_TRY(dtensor_redistribute_many_begin(n, x, to, opts, &request));
  return dtensor_request_wait_many(&request, n, out);
}
