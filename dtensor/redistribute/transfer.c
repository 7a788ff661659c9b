#include "dtensor/redistribute/transfer.h"

#include <stdlib.h>

#include "dtensor/base/event.h"
#include "dtensor/base/fail.h"
#include "dtensor/redistribute/alike.h"
#include "dtensor/redistribute/lanes.h"
#include "dtensor/redistribute/on_their_way.h"

static _Thread_local dti_transfer *on_their_way;

dti_transfer *dti_transfers_on_their_way(void) { return on_their_way; }

void dti_transfer_join(dti_transfer *t) {
  t->next = on_their_way;
  on_their_way = t;
}

static void leave_list(dti_transfer *t) {
  for (dti_transfer **at = &on_their_way; *at; at = &(*at)->next) {
    if (*at != t) continue;
    *at = t->next;
    return;
  }
}

/* After a failure nothing is kept: neighbours must not wait until the user asks for the outcome. */
static void complete(dti_transfer *t, dtensor_status outcome) {
  t->state = DTI_TRANSFER_COMPLETE;
  t->outcome = outcome;
  leave_list(t);
  if (outcome != DTENSOR_OK) dti_steps_free(&t->steps);
  dti_bundle_tell(t);
}

dtensor_status dti_transfer_new(dti_comm *comm, dti_transfer **transfer) {
  dti_transfer *t = *transfer = malloc(sizeof *t);
  DTI_CHECK(t, DTENSOR_ENOMEM, "no memory for a transfer");
  *t = (dti_transfer){.comm = dti_comm_retain(comm), .state = DTI_TRANSFER_COMPLETE};
  return DTENSOR_OK;
}

void dti_transfer_destroy(dti_transfer *t) {
  leave_list(t);
  dti_batch_destroy(&t->agreement);
  dti_steps_free(&t->steps);
  dti_comm_release(&t->comm);
  free(t);
}

void dti_transfer_lose(dti_transfer *t, dtensor_status failure) {
  if (t->outcome == DTENSOR_OK) t->outcome = failure;
  t->is_lost = 1;
  dti_batch_give_up(t->agreement, failure);
  for (int l = t->leg; l < t->steps.legs; l++) dti_leg_give_up(&t->steps.leg[l], failure);
}

/* Neighbours may have begun to read this rank's arrays: these stay until they have left. */
static void begin_to_forsake(dti_transfer *t, dtensor_status failure) {
  dti_transfer_lose(t, failure);
  t->state = DTI_TRANSFER_FORSAKEN;
}

dtensor_status dti_transfer_forsake(dti_transfer *t, dtensor_status failure) {
  begin_to_forsake(t, failure);
  dti_transfer_join(t);
  for (int64_t round = 0; t->state != DTI_TRANSFER_COMPLETE; round++) dti_transfers_advance(round);
  return t->outcome;
}

/* ---- Progress ---- */

/* The current leg, which finds out what went wrong before. */
static void start_leg(dti_transfer *t) {
  dti_leg *leg = dti_transfer_leg(t);
  dti_leg_fail(leg, t->outcome);
  const dtensor_status started = dti_leg_start(leg);
  if (started != DTENSOR_OK) dti_transfer_lose(t, started);
}

/* Once all ranks have come: move, or fail alike. */
static void agree(dti_transfer *t) {
  dti_leg *first = dti_transfer_leg(t);
  const int64_t mine = dti_agree_value(t->outcome, dti_comm_rank(t->comm));
  int64_t finished[1], n, open = 0;
  if (t->agreement) {
    const dtensor_status tested = dti_batch_test(t->agreement, finished, &n, &open);
    if (tested != DTENSOR_OK) begin_to_forsake(t, tested);
    if (tested != DTENSOR_OK) return;
  }
  if (!dti_leg_post(first, mine) || open) return;
  int64_t verdict = t->agreement ? t->verdict : mine;
  if (!dti_leg_all_posted(first, &verdict)) return;
  const dtensor_status agreed = dti_agree_verdict(t->outcome, verdict);
  if (agreed != DTENSOR_OK) {
    complete(t, agreed);
    return;
  }
  t->state = DTI_TRANSFER_MOVING;
  start_leg(t);
}

/* As far as it goes without waiting. */
static void move(dti_transfer *t) {
  while (t->state == DTI_TRANSFER_MOVING) {
    dti_leg *leg = dti_transfer_leg(t);
    int done;
    const dtensor_status status = dti_leg_advance(leg, &done);
    if (status != DTENSOR_OK) {
      dti_transfer_lose(t, status);
      continue;
    }
    if (!done) return;
    if (t->outcome == DTENSOR_OK) t->outcome = leg->failure;
    t->bytes += dti_leg_bytes_received(leg) + dti_leg_bytes_sent(leg);
    dti_leg_free(leg);
    if (++t->leg == t->steps.legs)
      complete(t, t->outcome);
    else if (t->is_lost)
      t->state = DTI_TRANSFER_FORSAKEN;
    else
      start_leg(t);
  }
}

static void tell_neighbours(dti_transfer *t) {
  for (; t->leg < t->steps.legs; t->leg++)
    if (!dti_leg_is_forsaken(dti_transfer_leg(t))) return;
  complete(t, t->outcome);
}

/* A transfer's failure is its own outcome: those beside it go on. */
static void advance_one(dti_transfer *t) {
  if (t->state == DTI_TRANSFER_AGREEING) agree(t);
  if (t->state == DTI_TRANSFER_MOVING) move(t);
  if (t->state == DTI_TRANSFER_FORSAKEN) tell_neighbours(t);
}

static void advance_all(void) {
  dti_transfer *next;
  for (dti_transfer *t = on_their_way; t; t = next) {
    next = t->next;
    advance_one(t);
  }
}

void dti_transfers_help(void) {
  dti_transfer **at = &on_their_way;
  while (*at && dti_bundle_keeps_back(*at)) at = &(*at)->next;
  dti_transfer *t = *at;
  if (!t) return;
  *at = t->next;
  while (*at) at = &(*at)->next;
  *at = t;
  t->next = NULL;
  advance_one(t);
}

static void check_all(void) {
  dti_transfer *next;
  for (dti_transfer *t = on_their_way; t; t = next) {
    next = t->next;
    const dtensor_status status = dti_leg_check(dti_transfer_leg(t));
    if (status == DTENSOR_OK) continue;
    dti_transfer_lose(t, status);
    complete(t, t->outcome);
  }
}

void dti_transfers_advance(int64_t round) {
  if (round > 0) dti_comm_relax(round);
  advance_all();
  if (dti_comm_is_check_due(round)) check_all();
}

/* ---- The beginning ---- */

/* Post at the first meeting, when there is room. */
static void post_failure(dti_leg *leg, int64_t verdict) {
  for (int64_t round = 0; !dti_leg_post(leg, verdict); round++) {
    if (dti_comm_is_check_due(round) && dti_leg_check(leg) != DTENSOR_OK) return;
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
      post_failure(dti_transfer_leg(t), t->verdict);
      return dti_comm_agree(t->comm, t->outcome);
    }
    const dtensor_status begun = dti_batch_allreduce(t->agreement, &t->verdict, 1, DTI_COMM_MIN);
    if (begun != DTENSOR_OK) return dti_transfer_forsake(t, begun);
  }
  t->state = DTI_TRANSFER_AGREEING;
  dti_transfer_join(t);
  /* If there is room already; the agreement may have begun to change t->verdict. */
  (void)dti_leg_post(dti_transfer_leg(t), dti_agree_value(t->outcome, dti_comm_rank(t->comm)));
  return DTENSOR_OK;
}

dtensor_status dti_transfers_agree(dti_comm *comm, dtensor_status mine, int *agreed) {
  dti_batch *meeting;
  *agreed = 1;
  const dtensor_status made = dti_batch_create(comm, 1, NULL, &meeting);
  if (made != DTENSOR_OK) return dti_comm_agree(comm, mine != DTENSOR_OK ? mine : made);
  int64_t verdict = dti_agree_value(mine, dti_comm_rank(comm)), finished[1], n, open = 1;
  dtensor_status status = dti_batch_allreduce(meeting, &verdict, 1, DTI_COMM_MIN);
  for (int64_t round = 0; status == DTENSOR_OK && open; round++) {
    dti_transfers_advance(round);
    status = dti_batch_test(meeting, finished, &n, &open);
  }
  dti_batch_destroy(&meeting);
  *agreed = status == DTENSOR_OK;
  return *agreed ? dti_agree_verdict(mine, verdict) : status;
}

/* Making a lane blocks inside of MPI, so all ranks meet before it. A failure is one on all ranks,
 * and nobody has to be told. */
static dtensor_status make_lanes(dti_transfer *t, dtensor_status mine) {
  int agreed;
  DTI_TRY(dti_transfers_agree(t->comm, mine, &agreed));
  return dti_lanes_make(t->comm, &t->steps);
}

static dtensor_status run_locally(dti_transfer *t) {
  int done;
  DTI_TRY(dti_leg_start(dti_transfer_leg(t)));
  return dti_leg_advance(dti_transfer_leg(t), &done);
}

dtensor_status dti_transfer_take_numbers(dti_steps_request *request) {
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
  DTI_TRY(dti_transfer_take_numbers(&request));
  dti_transfer *t;
  const dtensor_status made = dti_transfer_new(request.comm, &t);
  if (made != DTENSOR_OK) return request.is_local ? made : refuse(&request, made);
  const dtensor_status planned = dti_steps_plan(&request, &t->steps);
  if (mine == DTENSOR_OK) mine = planned;
  dtensor_status status = DTENSOR_OK;
  if (planned == DTENSOR_OK && dti_lanes_are_missing(&request, &t->steps))
    status = make_lanes(t, mine);
  if (status != DTENSOR_OK) {
    dti_transfer_destroy(t);
    return status;
  }
  if (planned == DTENSOR_OK) mine = dti_steps_prepare(&request, mine, &t->steps);
  t->outcome = status = mine;
  if (request.is_local && status == DTENSOR_OK)
    status = run_locally(t);
  else if (!request.is_local)
    status = t->steps.legs > 0 ? start(t, request.is_near) : refuse(&request, status);
  if (status != DTENSOR_OK) {
    dti_transfer_destroy(t);
    return status;
  }
  *transfer = t;
  return DTENSOR_OK;
}

dtensor_status dti_transfer_test(dti_transfer *transfer, int *done) {
  if (transfer->state != DTI_TRANSFER_COMPLETE) advance_all();
  *done = transfer->state == DTI_TRANSFER_COMPLETE;
  return *done ? transfer->outcome : DTENSOR_OK;
}

int dti_transfer_has_ended_well(const dti_transfer *transfer) {
  return transfer->state == DTI_TRANSFER_COMPLETE && transfer->outcome == DTENSOR_OK;
}

dtensor_status dti_transfer_wait(dti_transfer **transfer) {
  dti_transfer *t = *transfer;
  *transfer = NULL;
  const double begin = dti_event_listening() ? dti_event_clock() : 0;
  for (int64_t round = 0; t->state != DTI_TRANSFER_COMPLETE; round++) dti_transfers_advance(round);
  if (dti_event_listening() && begin > 0)
    dti_event_emit(&(dti_event){.name = "transfer",
                                .kind = DTI_EVENT_TRANSFER,
                                .begin = begin,
                                .end = dti_event_clock(),
                                .bytes = t->bytes});
  const dtensor_status outcome = t->outcome;
  dti_transfer_destroy(t);
  return outcome;
}

dtensor_status dti_transfer_run(int n, const dti_transfer_item items[],
                                const dtensor_redistribute_opts *opts, dtensor_status mine) {
  dti_transfer *t;
  DTI_TRY(dti_transfer_begin(n, items, opts, mine, &t));
  return dti_transfer_wait(&t);
}
