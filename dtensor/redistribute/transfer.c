#include "dtensor/redistribute/transfer.h"

#include <stdlib.h>
#include <string.h>

#include "dtensor/base/alloc.h"
#include "dtensor/base/event.h"
#include "dtensor/base/fail.h"
#include "dtensor/redistribute/alike.h"
#include "dtensor/redistribute/leg.h"
#include "dtensor/tensor/tensor.h"

typedef enum transfer_state { AGREEING, MOVING, COMPLETE } transfer_state;

struct dti_transfer {
  dti_comm *comm;
  transfer_state state;
  dtensor_status outcome; /* before the agreement: this rank's own */
  dti_batch *agreement;
  int64_t verdict;
  int steps, leg; /* how many legs, and the one that moves */
  dti_leg *legs;
  void *between[DTENSOR_MAX_NDIM]; /* the array that leg i writes and leg i+1 reads */
  int64_t bytes;                   /* sent and received */
  dti_transfer *next;              /* of this thread's transfers on their way */
};

static _Thread_local dti_transfer *on_their_way;

static void leave_list(dti_transfer *t) {
  for (dti_transfer **at = &on_their_way; *at; at = &(*at)->next) {
    if (*at != t) continue;
    *at = t->next;
    return;
  }
}

static void complete(dti_transfer *t, dtensor_status outcome) {
  t->state = COMPLETE;
  t->outcome = outcome;
  leave_list(t);
}

static void destroy(dti_transfer *t) {
  if (!t) return;
  leave_list(t);
  dti_batch_destroy(&t->agreement);
  for (int i = 0; i < t->steps; i++) {
    dti_leg_free(&t->legs[i]);
    dti_free(t->between[i]);
  }
  free(t->legs);
  dti_comm_release(&t->comm);
  free(t);
}

static int is_same_mesh(const dti_transfer_end *from, const dti_transfer_end *to) {
  return dti_mesh_same(from->mesh, to->mesh);
}

static int holds_value(const dti_leg_side *side) {
  for (int m = 0; m < side->layout.mesh_ndim; m++)
    if (side->layout.p[m].kind == DTI_OWNED && side->layout.p[m].param != side->mesh->coord[m])
      return 0;
  return dti_mesh_is_member(side->mesh);
}

/* The array between leg i and the next one. */
static dtensor_status make_between(dti_transfer *t, int i, dti_leg_side *side) {
  int64_t shape[DTENSOR_MAX_NDIM];
  side->data = NULL;
  if (!holds_value(side)) return DTENSOR_OK;
  dti_layout_local(&side->layout, side->mesh->coord, shape, NULL);
  dti_packed_strides(side->layout.ndim, shape, side->stride);
  const size_t bytes = (size_t)dti_numel(side->layout.ndim, shape) * t->legs[i].element;
  t->between[i] = side->data = dti_alloc(bytes);
  DTI_CHECK(side->data, DTENSOR_ENOMEM, "no memory for %zu bytes in between", bytes);
  return DTENSOR_OK;
}

static dti_leg_side side_of(const dti_transfer_end *end) {
  dti_leg_side side = {.mesh = end->mesh, .layout = *end->layout, .data = end->data};
  if (end->stride)
    memcpy(side.stride, end->stride, (size_t)end->layout->ndim * sizeof *end->stride);
  return side;
}

/* Lay the legs end to end. */
static dtensor_status prepare_legs(dti_transfer *t, const dti_route *route,
                                   const dti_transfer_end *from, const dti_transfer_end *to,
                                   const dti_box *box, dtensor_dtype dtype, dtensor_status mine) {
  const int same_mesh = is_same_mesh(from, to);
  dti_leg_side here = side_of(from);
  for (int i = 0; i < t->steps; i++) {
    const dti_step *step = &route->step[i];
    dti_leg *leg = &t->legs[i];
    leg->kind = step->kind;
    leg->mesh_dim = step->mesh_dim;
    leg->dtype = dtype;
    leg->element = dtensor_dtype_size(dtype);
    leg->threads = to->mesh->threads;
    leg->same_mesh = same_mesh || i > 0;
    leg->ranks_are_places = same_mesh;
    leg->comm = t->comm;
    leg->from = here;
    leg->to = side_of(to);
    leg->to.layout = step->to;
    leg->box = box ? *box : dti_box_whole(to->layout);
    /* What lies in between is the box alone. */
    if (i > 0) memset(leg->box.from, 0, sizeof leg->box.from);
    if (i + 1 < t->steps) memset(leg->box.to, 0, sizeof leg->box.to);
    if (i + 1 < t->steps && mine == DTENSOR_OK) mine = make_between(t, i, &leg->to);
    if (mine == DTENSOR_OK) mine = dti_leg_prepare(leg);
    here = leg->to;
  }
  return mine;
}

static dtensor_status check_budget(const dti_transfer *t, int64_t max_bytes) {
  int64_t received = 0;
  for (int i = 0; i < t->steps; i++) received += dti_leg_bytes_received(&t->legs[i]);
  DTI_CHECK(max_bytes == 0 || received <= max_bytes, DTENSOR_EBUDGET,
            "this rank would receive %lld bytes, the caller allows %lld", (long long)received,
            (long long)max_bytes);
  return DTENSOR_OK;
}

static int is_everywhere(const dti_layout *layout) {
  for (int m = 0; m < layout->mesh_ndim; m++)
    if (layout->p[m].kind != DTENSOR_REPLICATE) return 0;
  return 1;
}

static int is_in_place(const dti_box *box, int ndim) {
  for (int d = 0; box && d < ndim; d++)
    if (box->from[d] != box->to[d]) return 0;
  return 1;
}

/* Whether no rank has anything to send to another: the same answer on all of them. */
static int moves_nothing(const dti_transfer_end *from, const dti_transfer_end *to,
                         const dti_box *box) {
  if (!is_same_mesh(from, to)) return 0;
  if (to->mesh->size == 1 || (box && is_everywhere(from->layout))) return 1;
  return is_in_place(box, to->layout->ndim) && dti_layout_is_local(from->layout, to->layout);
}

static dtensor_status run_locally(dti_transfer *t) {
  int done;
  DTI_TRY(dti_leg_start(&t->legs[0]));
  return dti_leg_advance(&t->legs[0], &done);
}

static dtensor_status start_agreement(dti_transfer *t) {
  t->verdict = dti_agree_value(t->outcome, dti_comm_rank(t->comm));
  DTI_TRY(dti_batch_create(t->comm, 1, NULL, &t->agreement));
  t->state = AGREEING;
  t->next = on_their_way;
  on_their_way = t;
  return dti_batch_allreduce(t->agreement, &t->verdict, 1, DTI_COMM_MIN);
}

dtensor_status dti_transfer_begin(const dti_transfer_end *from, const dti_transfer_end *to,
                                  const dti_box *box, dtensor_dtype dtype, int64_t max_bytes,
                                  dtensor_status mine, dti_transfer **transfer) {
  *transfer = NULL;
  dti_comm *comm;
  DTI_TRY(dti_participants(from->mesh, to->mesh, &comm));
  DTI_TRY(dti_alike_check(comm, from->layout, to->layout, box, dtype, max_bytes));

  const int local = moves_nothing(from, to, box);
  dti_route route = {.steps = 1};
  if (local)
    route.step[0] = (dti_step){DTI_STEP_EXCHANGE, 0, *to->layout};
  else
    dti_route_make(from->layout, to->layout, box, is_same_mesh(from, to), dtensor_dtype_size(dtype),
                   &route);

  /* Before anything that may fail on this rank alone: all ranks take the same tags. */
  int tags[DTENSOR_MAX_NDIM] = {0};
  for (int i = 0; !local && i < route.steps; i++) tags[i] = dti_comm_next_tag(comm);

  dti_transfer *t = calloc(1, sizeof *t);
  dti_leg *legs = calloc((size_t)route.steps, sizeof *legs);
  if (!t || !legs) {
    free(t);
    free(legs);
    mine = DTI_FAIL(DTENSOR_ENOMEM, "no memory for a transfer");
    return local ? mine : dti_comm_agree(comm, mine);
  }
  t->comm = dti_comm_retain(comm);
  t->state = COMPLETE;
  t->steps = route.steps;
  t->legs = legs;
  for (int i = 0; i < t->steps; i++) legs[i].tag = tags[i];

  mine = prepare_legs(t, &route, from, to, box, dtype, mine);
  if (mine == DTENSOR_OK) mine = check_budget(t, max_bytes);
  t->outcome = mine;
  dtensor_status status = mine;
  if (!local)
    status = start_agreement(t);
  else if (mine == DTENSOR_OK)
    status = run_locally(t);
  if (status != DTENSOR_OK) {
    destroy(t);
    return status;
  }
  *transfer = t;
  return DTENSOR_OK;
}

static dtensor_status advance(dti_transfer *t) {
  if (t->state == AGREEING) {
    int64_t finished[1], n, open;
    DTI_TRY(dti_batch_test(t->agreement, finished, &n, &open));
    if (open) return DTENSOR_OK;
    DTI_TRY(dti_agree_verdict(t->outcome, t->verdict));
    t->state = MOVING;
    DTI_TRY(dti_leg_start(&t->legs[0]));
  }
  while (t->state == MOVING) {
    dti_leg *leg = &t->legs[t->leg];
    int done;
    DTI_TRY(dti_leg_advance(leg, &done));
    if (!done) return DTENSOR_OK;
    t->bytes += dti_leg_bytes_received(leg) + dti_leg_bytes_sent(leg);
    dti_leg_free(leg);
    if (++t->leg == t->steps)
      complete(t, DTENSOR_OK);
    else
      DTI_TRY(dti_leg_start(&t->legs[t->leg]));
  }
  return DTENSOR_OK;
}

/* A transfer's failure is its own outcome: those beside it go on. */
static void advance_all(void) {
  dti_transfer *next;
  for (dti_transfer *t = on_their_way; t; t = next) {
    next = t->next;
    const dtensor_status status = advance(t);
    if (status != DTENSOR_OK) complete(t, status);
  }
}

dtensor_status dti_transfer_test(dti_transfer *transfer, int *done) {
  if (transfer->state != COMPLETE) advance_all();
  *done = transfer->state == COMPLETE;
  return *done ? transfer->outcome : DTENSOR_OK;
}

dtensor_status dti_transfer_wait(dti_transfer **transfer) {
  dti_transfer *t = *transfer;
  *transfer = NULL;
  const double begin = dti_event_listening() ? dti_event_clock() : 0;
  for (int64_t round = 0; t->state != COMPLETE; round++) {
    if (round > 0) dti_comm_relax(round);
    advance_all();
  }
  if (dti_event_listening() && begin > 0)
    dti_event_emit(&(dti_event){.name = "transfer",
                                .kind = DTI_EVENT_TRANSFER,
                                .begin = begin,
                                .end = dti_event_clock(),
                                .bytes = t->bytes});
  const dtensor_status outcome = t->outcome;
  destroy(t);
  return outcome;
}

dtensor_status dti_transfer_run(const dti_transfer_end *from, const dti_transfer_end *to,
                                const dti_box *box, dtensor_dtype dtype, int64_t max_bytes,
                                dtensor_status mine) {
  dti_transfer *t;
  DTI_TRY(dti_transfer_begin(from, to, box, dtype, max_bytes, mine, &t));
  return dti_transfer_wait(&t);
}
