/* Transfers that are begun together: pieces of one array, announced before the first of them moves.
 * Those that MPI is not to be given yet wait for their turn, in order: on every rank the first one
 * that is not complete has it, so that all of them end. */
#include "dtensor/base/fail.h"
#include "dtensor/redistribute/alike.h"
#include "dtensor/redistribute/on_their_way.h"

static _Thread_local uint64_t bundles;

/* Go on with what a transfer has kept back, if nothing is in its way. */
static void let_go(dti_transfer *t) {
  if (t->state != DTI_TRANSFER_MOVING || !t->has_turn) return;
  const dtensor_status status = dti_leg_release(dti_transfer_leg(t), t->hold);
  if (status != DTENSOR_OK) dti_transfer_lose(t, status);
}

/* Those with a turn, of the bundle of t; *next: the first one without, or NULL. */
static int count_under_way(const dti_transfer *t, dti_transfer **next) {
  int under_way = 0;
  *next = NULL;
  for (dti_transfer *other = dti_transfers_on_their_way(); other; other = other->next) {
    if (other->bundle != t->bundle) continue;
    if (other->has_turn)
      under_way++;
    else if (!*next || other->number < (*next)->number)
      *next = other;
  }
  return under_way;
}

/* Nothing was under way: the wire was faster than this rank looked after it. */
static int more_at_once(const dti_transfer *t) {
  const int at_once = 2 * t->at_once < t->most_at_once ? 2 * t->at_once : t->most_at_once;
  for (dti_transfer *other = dti_transfers_on_their_way(); other; other = other->next)
    if (other->bundle == t->bundle) other->at_once = at_once;
  return at_once;
}

void dti_bundle_tell(const dti_transfer *t) {
  if (t->bundle == 0) return;
  dti_transfer *next;
  int under_way = count_under_way(t, &next);
  const int at_once = under_way == 0 && next ? more_at_once(t) : t->at_once;
  while (next && under_way < at_once) {
    next->has_turn = 1;
    let_go(next);
    under_way = count_under_way(t, &next);
  }
}

/* ---- The beginning ---- */

/* One of them, up to the agreement. *transfer may be there also after a failure. */
static dtensor_status prepare(const dti_transfer_item *item, dti_comm *comm,
                              dti_transfer **transfer) {
  dti_steps_request request = {.n = 1, .items = item, .comm = comm, .is_bundled = 1};
  *transfer = NULL;
  DTI_TRY(dti_transfer_take_numbers(&request));
  dtensor_status status = dti_transfer_new(comm, transfer);
  if (status == DTENSOR_OK) status = dti_steps_plan(&request, &(*transfer)->steps);
  if (status == DTENSOR_OK) return dti_steps_prepare(&request, DTENSOR_OK, &(*transfer)->steps);
  for (int i = 0; i < request.meetings; i++) dti_node_leave(request.node, request.meeting[i]);
  return status;
}

/* MPI copies short messages that the wire has no room for yet. */
enum { MOST_BYTES_WITH_MPI = 16 << 20 };

/* Two at least: one travels while the next is announced. */
enum { LEAST_AT_ONCE = 2 };

static int how_many_at_most(int n, dti_transfer *const transfers[]) {
  int64_t bytes = 0;
  int count = 0;
  for (; count < n; count++) {
    bytes += dti_leg_bytes_sent(dti_transfer_leg(transfers[count]));
    if (count >= LEAST_AT_ONCE && bytes > MOST_BYTES_WITH_MPI) break;
  }
  return count;
}

/* Messages to several peers do not keep the order of the transfers: those to one arrive long before
 * those to another, and a transfer waits for the last of its own. So few have a turn at first.
 * What is late comes one by one anyway. */
static int how_many_at_first(int n, const dti_transfer_item items[],
                             dti_transfer *const transfers[]) {
  int peer = -1;
  for (int i = 0; i < n; i++) {
    const dti_streams *streams = &dti_transfer_leg(transfers[i])->streams;
    for (int64_t s = 0; s < streams->sends && !items[i].is_late; s++) {
      if (peer >= 0 && streams->send[s].peer != peer) return LEAST_AT_ONCE;
      peer = streams->send[s].peer;
    }
  }
  return n;
}

/* All sends are announced before any receive (stream.h). */
static void start(int n, const dti_transfer_item items[], dti_transfer *const transfers[]) {
  const int most = how_many_at_most(n, transfers), first = how_many_at_first(n, items, transfers);
  const int at_once = first < most ? first : most;
  bundles++;
  for (int i = 0; i < n; i++) {
    dti_transfer *t = transfers[i];
    t->bundle = bundles;
    t->number = i;
    t->at_once = at_once;
    t->most_at_once = most;
    t->hold = items[i].is_late ? DTI_HOLD_SOURCE : DTI_HOLD_NOTHING;
    t->has_turn = i < at_once;
    t->state = DTI_TRANSFER_MOVING;
    dti_transfer_leg(t)->hold =
        t->hold == DTI_HOLD_NOTHING && t->has_turn ? DTI_HOLD_RECEIVES : DTI_HOLD_SOURCE;
    dti_transfer_join(t);
  }
  for (int i = 0; i < n; i++) {
    const dtensor_status started = dti_leg_start(dti_transfer_leg(transfers[i]));
    if (started != DTENSOR_OK) dti_transfer_lose(transfers[i], started);
  }
  for (int i = 0; i < n; i++) let_go(transfers[i]);
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
  int agreed;
  const dtensor_status status = dti_transfers_agree(comm, mine, &agreed);
  if (status == DTENSOR_OK) {
    start(n, items, transfers);
    return DTENSOR_OK;
  }
  for (int i = 0; i < n; i++) {
    if (!transfers[i]) continue;
    if (!agreed) (void)dti_transfer_forsake(transfers[i], status);
    dti_transfer_destroy(transfers[i]);
    transfers[i] = NULL;
  }
  return status;
}

void dti_transfer_release_sends(dti_transfer *transfer) {
  transfer->hold = DTI_HOLD_OWN;
  let_go(transfer);
}

void dti_transfer_release(dti_transfer *transfer) {
  transfer->hold = DTI_HOLD_NOTHING;
  let_go(transfer);
}
