#include "dtensor/redistribute/transfer.h"

#include <stdlib.h>
#include <string.h>

#include "dtensor/base/alloc.h"
#include "dtensor/base/event.h"
#include "dtensor/base/fail.h"
#include "dtensor/redistribute/alike.h"
#include "dtensor/redistribute/lanes.h"
#include "dtensor/redistribute/leg.h"
#include "dtensor/redistribute/steps.h"

typedef enum transfer_state { AGREEING, MOVING, FAILING, COMPLETE } transfer_state;

struct dti_transfer {
  dti_comm *comm;
  transfer_state state;
  dtensor_status outcome; /* before the agreement: this rank's own */
  dti_batch *agreement;   /* NULL: all ranks meet on one node and agree there */
  int64_t verdict;
  int is_refused; /* the ranks have agreed to fail */
  dti_steps steps;
  int leg;            /* the one that moves */
  int64_t bytes;      /* sent and received */
  dti_transfer *next; /* of this thread's transfers on their way */

  /* of several that were begun together */
  int is_ready;    /* its source is */
  int has_turn;    /* it may send */
  uint64_t bundle; /* 0: it was begun by itself */
  int number;      /* in its bundle */
  int at_once;     /* so many of it have a turn: when one is complete, that so far behind it */
};

static _Thread_local dti_transfer *on_their_way;
static _Thread_local uint64_t bundles;

static void leave_list(dti_transfer *t) {
  for (dti_transfer **at = &on_their_way; *at; at = &(*at)->next) {
    if (*at != t) continue;
    *at = t->next;
    return;
  }
}

static dti_leg *current_leg(dti_transfer *t) { return &t->steps.leg[t->leg]; }

static void fail(dti_transfer *t, dtensor_status outcome);

/* Go on with what a transfer of several has kept back, if nothing is in its way. */
static void let_go(dti_transfer *t) {
  if (t->state != MOVING || !t->is_ready || !t->has_turn) return;
  const dtensor_status status = dti_leg_release(current_leg(t));
  if (status != DTENSOR_OK) fail(t, status);
}

static void give_turn(const dti_transfer *t) {
  for (dti_transfer *next = on_their_way; t->bundle > 0 && next; next = next->next) {
    if (next->bundle != t->bundle || next->number != t->number + t->at_once) continue;
    next->has_turn = 1;
    let_go(next);
    return;
  }
}

/* Other ranks may wait for this one's part of t for ever, and those behind it never have a turn
 * there: they fail with it, so that this rank comes back and can be missed. */
static void fail_those_behind(const dti_transfer *t, dtensor_status outcome) {
  for (dti_transfer *other = on_their_way; t->bundle > 0 && other;) {
    const int is_behind =
        other->bundle == t->bundle && other->number > t->number && other->state == MOVING;
    if (is_behind) {
      dti_batch_give_up(current_leg(other)->streams.batch);
      fail(other, outcome);
    }
    other = is_behind ? on_their_way : other->next; /* it may have left the list */
  }
}

/* After a failure nothing is kept: neighbours must not wait until the user asks for the outcome. */
static void complete(dti_transfer *t, dtensor_status outcome) {
  t->state = COMPLETE;
  t->outcome = outcome;
  leave_list(t);
  if (outcome == DTENSOR_OK) {
    give_turn(t);
    return;
  }
  dti_steps_free(&t->steps);
  fail_those_behind(t, outcome);
}

static void destroy(dti_transfer *t) {
  leave_list(t);
  dti_batch_destroy(&t->agreement);
  dti_steps_free(&t->steps);
  dti_comm_release(&t->comm);
  free(t);
}

/* Unless all ranks have agreed to fail, neighbours may be reading this rank's arrays, also when it
 * has not heard yet that they may: they are told, and the arrays stay until they have left. */
static void fail(dti_transfer *t, dtensor_status outcome) {
  if (t->is_refused || !dti_leg_is_shared(current_leg(t))) {
    complete(t, outcome);
    return;
  }
  t->state = FAILING;
  t->outcome = outcome;
  dti_leg_give_up(current_leg(t));
  fail_those_behind(t, outcome);
}

/* ---- Progress ---- */

/* *done: all ranks have come, and all is well. */
static dtensor_status agree(dti_transfer *t, int *done) {
  *done = 0;
  dti_leg *first = current_leg(t);
  const int64_t mine = dti_agree_value(t->outcome, dti_comm_rank(t->comm));
  if (t->agreement) {
    int64_t finished[1], n, open;
    DTI_TRY(dti_batch_test(t->agreement, finished, &n, &open));
    if (!dti_leg_post(first, mine) || open) return DTENSOR_OK;
  } else if (!dti_leg_post(first, mine)) {
    return DTENSOR_OK;
  }
  int64_t verdict = t->agreement ? t->verdict : mine;
  if (!dti_leg_all_posted(first, &verdict)) return DTENSOR_OK;
  *done = 1;
  const dtensor_status agreed = dti_agree_verdict(t->outcome, verdict);
  t->is_refused = agreed != DTENSOR_OK;
  return agreed;
}

static dtensor_status advance(dti_transfer *t) {
  int done;
  if (t->state == AGREEING) {
    DTI_TRY(agree(t, &done));
    if (!done) return DTENSOR_OK;
    t->state = MOVING;
    DTI_TRY(dti_leg_start(current_leg(t)));
  }
  while (t->state == MOVING) {
    dti_leg *leg = current_leg(t);
    DTI_TRY(dti_leg_advance(leg, &done));
    if (!done) return DTENSOR_OK;
    t->bytes += dti_leg_bytes_received(leg) + dti_leg_bytes_sent(leg);
    dti_leg_free(leg);
    if (++t->leg == t->steps.legs)
      complete(t, DTENSOR_OK);
    else
      DTI_TRY(dti_leg_start(current_leg(t)));
  }
  return DTENSOR_OK;
}

/* A transfer's failure is its own outcome: those beside it go on. */
static void advance_one(dti_transfer *t) {
  if (t->state == FAILING) {
    if (dti_leg_is_given_up(current_leg(t))) complete(t, t->outcome);
    return;
  }
  const dtensor_status status = advance(t);
  if (status != DTENSOR_OK) fail(t, status);
}

static void advance_all(void) {
  dti_transfer *next;
  for (dti_transfer *t = on_their_way; t; t = next) {
    next = t->next;
    advance_one(t);
  }
}

void dti_transfers_help(void) {
  dti_transfer *t = on_their_way;
  if (!t) return;
  dti_transfer **end = &on_their_way;
  while (*end) end = &(*end)->next;
  *end = t;
  on_their_way = t->next;
  t->next = NULL;
  advance_one(t);
}

/* Rounds of waiting between two looks at whether those that are waited for live. */
enum { ROUNDS_PER_CHECK = 1024 };

static void check_all(void) {
  dti_transfer *next;
  for (dti_transfer *t = on_their_way; t; t = next) {
    next = t->next;
    if (t->state == COMPLETE) continue; /* it failed with one before it */
    const dtensor_status status = dti_leg_check(current_leg(t));
    if (status != DTENSOR_OK) complete(t, t->state == FAILING ? t->outcome : status);
  }
}

void dti_transfers_advance(int64_t round) {
  if (round > 0) dti_comm_relax(round);
  advance_all();
  if (round % ROUNDS_PER_CHECK == ROUNDS_PER_CHECK - 1) check_all();
}

/* ---- The beginning ---- */

/* Post at the first meeting, when there is room. */
static void post_failure(dti_leg *leg, int64_t verdict) {
  for (int64_t round = 0; !dti_leg_post(leg, verdict); round++) {
    if (round % ROUNDS_PER_CHECK == ROUNDS_PER_CHECK - 1 && dti_leg_check(leg) != DTENSOR_OK)
      return;
    dti_transfers_advance(round);
  }
}

/* Tell the others of a failure without a transfer that could. */
static dtensor_status refuse(const dti_steps_request *request, dtensor_status mine) {
  const int64_t verdict = dti_agree_value(mine, dti_comm_rank(request->comm));
  for (int i = 0; i < request->meetings; i++) {
    dti_leg leg = {.comm = request->comm, .node = request->node};
    leg.meeting = request->meeting[i];
    if (i == 0) post_failure(&leg, verdict);
    dti_leg_free(&leg);
  }
  return request->is_near ? mine : dti_comm_agree(request->comm, mine);
}

static dtensor_status start(dti_transfer *t, int is_near) {
  if (!is_near) {
    const dtensor_status made = dti_batch_create(t->comm, 1, NULL, &t->agreement);
    if (t->outcome == DTENSOR_OK) t->outcome = made;
    t->verdict = dti_agree_value(t->outcome, dti_comm_rank(t->comm));
    if (made != DTENSOR_OK) {
      post_failure(current_leg(t), t->verdict);
      return dti_comm_agree(t->comm, t->outcome);
    }
    DTI_TRY(dti_batch_allreduce(t->agreement, &t->verdict, 1, DTI_COMM_MIN));
  }
  t->state = AGREEING;
  t->next = on_their_way;
  on_their_way = t;
  /* If there is room already; the agreement may have begun to change t->verdict. */
  (void)dti_leg_post(current_leg(t), dti_agree_value(t->outcome, dti_comm_rank(t->comm)));
  return DTENSOR_OK;
}

/* Wait for all ranks' outcomes while the transfers on their way go on: a rank may wait for one of
 * them before it comes. */
static dtensor_status agree_at_once(dti_comm *comm, dtensor_status mine) {
  dti_batch *meeting;
  const dtensor_status made = dti_batch_create(comm, 1, NULL, &meeting);
  if (made != DTENSOR_OK) return dti_comm_agree(comm, mine != DTENSOR_OK ? mine : made);
  int64_t verdict = dti_agree_value(mine, dti_comm_rank(comm)), finished[1], n, open = 1;
  dtensor_status status = dti_batch_allreduce(meeting, &verdict, 1, DTI_COMM_MIN);
  for (int64_t round = 0; status == DTENSOR_OK && open; round++) {
    dti_transfers_advance(round);
    status = dti_batch_test(meeting, finished, &n, &open);
  }
  dti_batch_destroy(&meeting);
  DTI_TRY(status);
  return dti_agree_verdict(mine, verdict);
}

/* Making a lane blocks inside of MPI, so all ranks meet before it. A failure is one on all ranks,
 * and nobody has to be told. */
static dtensor_status make_lanes(dti_transfer *t, dtensor_status mine) {
  DTI_TRY(agree_at_once(t->comm, mine));
  return dti_lanes_make(t->comm, &t->steps);
}

static dtensor_status run_locally(dti_transfer *t) {
  int done;
  DTI_TRY(dti_leg_start(current_leg(t)));
  return dti_leg_advance(current_leg(t), &done);
}

/* There may be hundreds of transfers on their way: wait until there is room for another. */
static dtensor_status take_numbers(dti_steps_request *request) {
  DTI_TRY(dti_steps_begin(request));
  const int last = request->meetings - 1;
  for (int64_t round = 0; last >= 0 && !dti_node_can_take(request->node, request->meeting[last]);)
    dti_transfers_advance(round++);
  return DTENSOR_OK;
}

dtensor_status dti_transfer_begin(int n, const dti_transfer_item items[],
                                  const dtensor_redistribute_opts *opts, dtensor_status mine,
                                  dti_transfer **transfer) {
  *transfer = NULL;
  dti_steps_request request = {.n = n, .items = items, .opts = opts};
  DTI_TRY(dti_participants(items[0].from.mesh, items[0].to.mesh, &request.comm));
  for (int i = 0; i < n; i++) DTI_TRY(dti_alike_check(request.comm, &items[i], opts));
  DTI_TRY(take_numbers(&request));
  dti_transfer *t = malloc(sizeof *t);
  if (!t) {
    mine = DTI_FAIL(DTENSOR_ENOMEM, "no memory for a transfer");
    return request.is_local ? mine : refuse(&request, mine);
  }
  *t = (dti_transfer){.comm = dti_comm_retain(request.comm), .state = COMPLETE};
  const dtensor_status planned = dti_steps_plan(&request, &t->steps);
  if (mine == DTENSOR_OK) mine = planned;
  dtensor_status status = DTENSOR_OK;
  if (planned == DTENSOR_OK && dti_lanes_are_missing(&request, &t->steps))
    status = make_lanes(t, mine);
  if (status != DTENSOR_OK) {
    destroy(t);
    return status;
  }
  if (planned == DTENSOR_OK) mine = dti_steps_prepare(&request, mine, &t->steps);
  t->outcome = status = mine;
  if (request.is_local && status == DTENSOR_OK)
    status = run_locally(t);
  else if (!request.is_local)
    status = t->steps.legs > 0 ? start(t, request.is_near) : refuse(&request, status);
  if (status != DTENSOR_OK) {
    destroy(t);
    return status;
  }
  *transfer = t;
  return DTENSOR_OK;
}

/* ---- Several at once ---- */

/* One of several, up to the agreement. *transfer may be there also after a failure. */
static dtensor_status prepare(const dti_transfer_item *item, dti_comm *comm,
                              dti_transfer **transfer) {
  dti_steps_request request = {.n = 1, .items = item, .comm = comm, .is_one_step = 1};
  *transfer = NULL;
  DTI_TRY(take_numbers(&request));
  dti_transfer *t = calloc(1, sizeof *t);
  dtensor_status status = t ? DTENSOR_OK : DTI_FAIL(DTENSOR_ENOMEM, "no memory for a transfer");
  if (t) {
    *transfer = t;
    t->comm = dti_comm_retain(comm);
    t->state = COMPLETE;
    status = dti_steps_plan(&request, &t->steps);
  }
  if (status == DTENSOR_OK) return dti_steps_prepare(&request, DTENSOR_OK, &t->steps);
  for (int i = 0; i < request.meetings; i++) dti_node_leave(request.node, request.meeting[i]);
  return status;
}

/* MPI copies short messages that the wire has no room for yet. */
enum { MOST_BYTES_WITH_MPI = 16 << 20 };

/* Two at least: one travels while the next is announced. */
static int how_many_at_once(int n, dti_transfer *const transfers[]) {
  int64_t bytes = 0;
  int count = 0;
  for (; count < n; count++) {
    bytes += dti_leg_bytes_sent(current_leg(transfers[count]));
    if (count >= 2 && bytes > MOST_BYTES_WITH_MPI) break;
  }
  return count;
}

dtensor_status dti_transfers_begin(int n, const dti_transfer_item items[], dtensor_status mine,
                                   dti_transfer *transfers[]) {
  dti_comm *comm;
  DTI_TRY(dti_participants(items[0].from.mesh, items[0].to.mesh, &comm));
  for (int i = 0; i < n; i++) DTI_TRY(dti_alike_check(comm, &items[i], NULL));
  for (int i = 0; i < n; i++) {
    const dtensor_status prepared = prepare(&items[i], comm, &transfers[i]);
    if (mine == DTENSOR_OK) mine = prepared;
  }
  const dtensor_status status = agree_at_once(comm, mine);
  for (int i = 0; i < n && status != DTENSOR_OK; i++) {
    if (transfers[i]) destroy(transfers[i]);
    transfers[i] = NULL;
  }
  DTI_TRY(status);
  const int at_once = how_many_at_once(n, transfers);
  bundles++;
  for (int i = 0; i < n; i++) {
    dti_transfer *t = transfers[i];
    t->is_ready = !items[i].is_late;
    t->has_turn = i < at_once;
    t->bundle = bundles;
    t->number = i;
    t->at_once = at_once;
    t->state = MOVING;
    t->next = on_their_way;
    on_their_way = t;
    current_leg(t)->hold = t->is_ready && t->has_turn ? DTI_HOLD_RECEIVES : DTI_HOLD_SOURCE;
  }
  for (int i = 0; i < n; i++) {
    if (transfers[i]->state != MOVING) continue; /* it failed with one before it */
    const dtensor_status started = dti_leg_start(current_leg(transfers[i]));
    if (started != DTENSOR_OK) fail(transfers[i], started);
  }
  for (int i = 0; i < n; i++) let_go(transfers[i]);
  return DTENSOR_OK;
}

void dti_transfer_release(dti_transfer *transfer) {
  transfer->is_ready = 1;
  let_go(transfer);
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
  for (int64_t round = 0; t->state != COMPLETE; round++) dti_transfers_advance(round);
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

dtensor_status dti_transfer_run(int n, const dti_transfer_item items[],
                                const dtensor_redistribute_opts *opts, dtensor_status mine) {
  dti_transfer *t;
  DTI_TRY(dti_transfer_begin(n, items, opts, mine, &t));
  return dti_transfer_wait(&t);
}
