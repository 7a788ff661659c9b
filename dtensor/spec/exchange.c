#include "dtensor/spec/exchange.h"

#include <stdlib.h>
#include <string.h>

#include "dtensor/base/fail.h"
#include "dtensor/spec/pieces.h"

/* Which coordinates of a source mesh dimension an element comes from. */
typedef enum from_role {
  FROM_OWNER, /* sharded: the owner's */
  FROM_NEAR,  /* every coordinate has it: the one nearest to the receiver, its own if it can be */
  FROM_ALL,   /* a partial value that is reduced: all of them */
  FROM_ONLY   /* one given coordinate */
} from_role;

/* Which coordinates of a target mesh dimension an element goes to. */
typedef enum to_role {
  TO_OWNER,   /* sharded: the owner's */
  TO_ALL,     /* replicated */
  TO_KEPT,    /* partial on both sides: the coordinate that it has */
  TO_ZERO,    /* it becomes partial (the others hold the identity), or lies there alone:
                 coordinate 0 */
  TO_IN_PLACE /* it becomes partial and was sharded: the coordinate that owned it */
} to_role;

typedef struct planner {
  const dti_exchange_ends *ends;
  dti_box box;
  from_role from[DTENSOR_MAX_NDIM];
  to_role to[DTENSOR_MAX_NDIM];
  int64_t from_size;
  int becomes_partial;
  dti_exchange *exchange;
  int64_t room; /* of exchange->send */
} planner;

/* What dti_exchange.memory points to. */
typedef struct tables {
  dti_pieces received[DTENSOR_MAX_NDIM], sent[DTENSOR_MAX_NDIM];
  int64_t *sources;
} tables;

static int is_partial(dtensor_placement p) { return p.kind == DTENSOR_PARTIAL; }

static void assign_roles(planner *plan) {
  const dti_exchange_ends *ends = plan->ends;
  const dti_layout *from = ends->from, *to = ends->to;
  dti_exchange *x = plan->exchange;
  x->divisor = 1;
  x->contributions = 1;
  plan->from_size = 1;
  for (int m = 0; m < from->mesh_ndim; m++) {
    const dtensor_placement p = from->p[m];
    const int kept =
        ends->same_mesh && is_partial(p) && is_partial(to->p[m]) && p.op == to->p[m].op;
    plan->from_size *= from->mesh[m];
    plan->from[m] = dti_placement_is_shard(p) ? FROM_OWNER
                    : p.kind == DTI_OWNED     ? FROM_ONLY
                    : is_partial(p) && !kept  ? FROM_ALL
                                              : FROM_NEAR;
    if (plan->from[m] != FROM_ALL) continue;
    x->contributions *= from->mesh[m];
    x->op = p.op == DTENSOR_AVG ? DTENSOR_SUM : p.op;
    if (p.op == DTENSOR_AVG) x->divisor *= from->mesh[m];
  }
  for (int m = 0; m < to->mesh_ndim; m++) {
    const dtensor_placement p = to->p[m];
    const int same = ends->same_mesh;
    if (p.kind == DTI_OWNED) {
      plan->to[m] = TO_ZERO;
    } else if (!is_partial(p)) {
      plan->to[m] = dti_placement_is_shard(p) ? TO_OWNER : TO_ALL;
    } else if (same && is_partial(from->p[m]) && from->p[m].op == p.op) {
      plan->to[m] = TO_KEPT;
    } else if (p.op == DTENSOR_AVG) {
      plan->to[m] = TO_ALL; /* the average of equal values: everybody has it */
    } else {
      plan->to[m] = same && dti_placement_is_shard(from->p[m]) ? TO_IN_PLACE : TO_ZERO;
      plan->becomes_partial = 1;
      x->fill_op = p.op;
    }
  }
}

/* The source coordinate that a receiver takes replicas from. Sender and receiver both ask. */
static void near_coordinate(const planner *plan, int64_t to_place, int64_t coord[]) {
  const dti_exchange_ends *ends = plan->ends;
  int64_t place = to_place;
  if (!ends->same_mesh) {
    place = ends->source_place_of(to_place, ends->ctx);
    if (place < 0) place = to_place % plan->from_size; /* spreads the load over the replicas */
  }
  dti_mesh_unravel(ends->from->mesh_ndim, ends->from->mesh, place, coord);
}

static int is_own_process(const planner *plan, int64_t to_place) {
  const dti_exchange_ends *ends = plan->ends;
  return to_place == ends->to_place;
}

/* The part of a local array that is the product of one share per dimension. */
static dti_region region_of(int ndim, const dti_pieces pieces[], const int64_t pick[], int theirs) {
  dti_region region = {.ndim = ndim, .elements = 1};
  for (int d = 0; d < ndim; d++) {
    const dti_share *share = &pieces[d].share[pick[d]];
    region.count[d] = theirs ? share->theirs_count : share->mine_count;
    region.runs[d] = theirs ? &pieces[d].theirs[share->theirs] : &pieces[d].mine[share->mine];
    region.elements *= share->elements;
  }
  return region;
}

/* Counting through all combinations of digits 0..base[i]-1, last digit fastest. 0 after the last.
 */
static int next_combination(int n, const int64_t base[], int64_t digit[]) {
  for (int i = n - 1; i >= 0; i--) {
    if (++digit[i] < base[i]) return 1;
    digit[i] = 0;
  }
  return 0;
}

static int64_t combinations(int n, const int64_t base[]) {
  int64_t product = 1;
  for (int i = 0; i < n; i++) product *= base[i];
  return product;
}

/* Whether what coordinate `source` of the box's line has and `target` gets is of the box. */
static int is_of_box(const planner *plan, int64_t source, int64_t target) {
  const dti_box *box = &plan->box;
  if (box->end_peer == 0) return 1;
  const int64_t size = plan->ends->from->mesh[box->line];
  const int64_t distance = (source - target + size) % size;
  return distance >= box->first_peer && distance < box->end_peer;
}

/* The coordinate of mesh dimension m that owns one share per dimension; -1: m splits none of them.
 */
static int64_t owner_of(int ndim, const dti_pieces pieces[], const int64_t pick[], int m) {
  int64_t owner = -1;
  for (int d = 0; d < ndim && owner < 0; d++) owner = pieces[d].share[pick[d]].coord[m];
  return owner;
}

static dtensor_status add_parcels(planner *plan, const int64_t me[], const int64_t near[],
                                  tables *t) {
  const dti_layout *from = plan->ends->from;
  dti_exchange *x = plan->exchange;
  const int ndim = from->ndim, mesh_ndim = from->mesh_ndim;

  int64_t shares[DTENSOR_MAX_NDIM], contributors[DTENSOR_MAX_NDIM];
  for (int d = 0; d < ndim; d++) shares[d] = t->received[d].shares;
  for (int m = 0; m < mesh_ndim; m++)
    contributors[m] = plan->from[m] == FROM_ALL ? from->mesh[m] : 1;
  const int64_t parcels = combinations(ndim, shares);
  const int64_t each = combinations(mesh_ndim, contributors);
  if (parcels == 0) return DTENSOR_OK;

  x->parcel = malloc((size_t)parcels * sizeof *x->parcel);
  t->sources = malloc((size_t)(parcels * each) * sizeof *t->sources);
  DTI_CHECK(x->parcel && t->sources, DTENSOR_ENOMEM, "no memory for a plan of %lld messages",
            (long long)(parcels * each));

  int64_t pick[DTENSOR_MAX_NDIM] = {0}, *source = t->sources;
  do {
    const int line = plan->box.line;
    if (!is_of_box(plan, owner_of(ndim, t->received, pick, line), me[line])) continue;
    dti_parcel *parcel = &x->parcel[x->parcels++];
    *parcel = (dti_parcel){.region = region_of(ndim, t->received, pick, 0),
                           .theirs = region_of(ndim, t->received, pick, 1),
                           .contributions = each,
                           .sources = source};
    int64_t coord[DTENSOR_MAX_NDIM], contributor[DTENSOR_MAX_NDIM] = {0};
    do {
      for (int m = 0; m < mesh_ndim; m++) {
        coord[m] = plan->from[m] == FROM_NEAR   ? near[m]
                   : plan->from[m] == FROM_ONLY ? from->p[m].param
                                                : contributor[m];
        if (plan->from[m] == FROM_OWNER) coord[m] = owner_of(ndim, t->received, pick, m);
      }
      *source = dti_mesh_linear(mesh_ndim, from->mesh, coord);
      if (*source == plan->ends->from_place) {
        *source = DTI_SELF;
      } else {
        x->messages_received++;
        x->elements_received += parcel->region.elements;
      }
      source++;
    } while (next_combination(mesh_ndim, contributors, contributor));
  } while (next_combination(ndim, shares, pick));
  return DTENSOR_OK;
}

static dtensor_status plan_receives(planner *plan, tables *t) {
  const dti_exchange_ends *ends = plan->ends;
  const dti_layout *from = ends->from, *to = ends->to;
  if (ends->to_place < 0) return DTENSOR_OK;
  int64_t me[DTENSOR_MAX_NDIM], near[DTENSOR_MAX_NDIM], fixed[DTENSOR_MAX_NDIM];
  dti_mesh_unravel(to->mesh_ndim, to->mesh, ends->to_place, me);
  near_coordinate(plan, ends->to_place, near);
  for (int m = 0; m < DTENSOR_MAX_NDIM; m++) fixed[m] = -1;
  int nothing = 0;
  for (int m = 0; m < to->mesh_ndim; m++) {
    if (plan->to[m] == TO_IN_PLACE) fixed[m] = me[m];
    if (plan->to[m] == TO_ZERO && me[m] != 0) nothing = 1;
    if (plan->to[m] == TO_IN_PLACE) plan->exchange->fill = 1;
  }
  if (nothing) {
    plan->exchange->fill = plan->becomes_partial;
    return DTENSOR_OK;
  }
  for (int d = 0; d < to->ndim; d++) {
    const dti_axis mine = dti_axis_of(to, d), other = dti_axis_of(from, d);
    dti_run all;
    dti_window window = {.mine = plan->box.to[d], .theirs = plan->box.from[d]};
    window.count = dti_box_runs(&plan->box, d, &all, &window.runs);
    DTI_TRY(dti_pieces_cut(&mine, me, &other, &window, fixed, &t->received[d]));
  }
  return add_parcels(plan, me, near, t);
}

static dtensor_status add_send(planner *plan, int64_t peer, const dti_region *region,
                               const dti_region *theirs) {
  dti_exchange *x = plan->exchange;
  if (x->sends == plan->room) {
    const int64_t room = plan->room ? 2 * plan->room : 16;
    dti_send *send = realloc(x->send, (size_t)room * sizeof *send);
    DTI_CHECK(send, DTENSOR_ENOMEM, "no memory for a plan of %lld messages", (long long)room);
    x->send = send;
    plan->room = room;
  }
  x->send[x->sends++] = (dti_send){peer, *region, *theirs};
  x->elements_sent += region->elements;
  return DTENSOR_OK;
}

/* Whether the receiver at a place takes its replicas from `me`. */
static int takes_from(const planner *plan, int64_t to_place, const int64_t me[]) {
  int64_t near[DTENSOR_MAX_NDIM];
  near_coordinate(plan, to_place, near);
  for (int m = 0; m < plan->ends->from->mesh_ndim; m++)
    if (plan->from[m] == FROM_NEAR && near[m] != me[m]) return 0;
  return 1;
}

static dtensor_status add_sends(planner *plan, const int64_t me[], const tables *t) {
  const dti_exchange_ends *ends = plan->ends;
  const dti_layout *to = ends->to;
  const int ndim = to->ndim, mesh_ndim = to->mesh_ndim;

  int64_t shares[DTENSOR_MAX_NDIM], copies[DTENSOR_MAX_NDIM];
  for (int d = 0; d < ndim; d++) shares[d] = t->sent[d].shares;
  if (combinations(ndim, shares) == 0) return DTENSOR_OK;
  for (int m = 0; m < mesh_ndim; m++) {
    const int own_line = ends->same_mesh && plan->from[m] == FROM_NEAR;
    copies[m] = plan->to[m] == TO_ALL && !own_line ? to->mesh[m] : 1;
  }

  int64_t pick[DTENSOR_MAX_NDIM] = {0};
  do {
    const dti_region region = region_of(ndim, t->sent, pick, 0);
    const dti_region theirs = region_of(ndim, t->sent, pick, 1);
    int64_t coord[DTENSOR_MAX_NDIM], copy[DTENSOR_MAX_NDIM] = {0};
    do {
      for (int m = 0; m < mesh_ndim; m++) {
        const int everywhere = plan->to[m] == TO_ALL && copies[m] == to->mesh[m];
        coord[m] = everywhere ? copy[m] : plan->to[m] == TO_ZERO ? 0 : ends->same_mesh ? me[m] : 0;
        if (plan->to[m] == TO_OWNER) coord[m] = owner_of(ndim, t->sent, pick, m);
      }
      const int64_t peer = dti_mesh_linear(mesh_ndim, to->mesh, coord);
      if (!is_own_process(plan, peer) &&
          is_of_box(plan, me[plan->box.line], coord[plan->box.line]) && takes_from(plan, peer, me))
        DTI_TRY(add_send(plan, peer, &region, &theirs));
    } while (next_combination(mesh_ndim, copies, copy));
  } while (next_combination(ndim, shares, pick));
  return DTENSOR_OK;
}

static dtensor_status plan_sends(planner *plan, tables *t) {
  const dti_exchange_ends *ends = plan->ends;
  const dti_layout *from = ends->from, *to = ends->to;
  if (ends->from_place < 0) return DTENSOR_OK;
  int64_t me[DTENSOR_MAX_NDIM], fixed[DTENSOR_MAX_NDIM];
  dti_mesh_unravel(from->mesh_ndim, from->mesh, ends->from_place, me);
  for (int m = 0; m < DTENSOR_MAX_NDIM; m++) fixed[m] = -1;
  for (int m = 0; m < from->mesh_ndim; m++) {
    if (plan->from[m] == FROM_ONLY && me[m] != from->p[m].param) return DTENSOR_OK;
    if (!ends->same_mesh || plan->from[m] != FROM_NEAR) continue;
    /* On one mesh a replica is taken from the receiver's own coordinate. */
    if (plan->to[m] == TO_ZERO && me[m] != 0) return DTENSOR_OK;
    if (plan->to[m] == TO_OWNER) fixed[m] = me[m];
  }
  for (int d = 0; d < from->ndim; d++) {
    const dti_axis mine = dti_axis_of(from, d), other = dti_axis_of(to, d);
    dti_run all;
    dti_window window = {.mine = plan->box.from[d], .theirs = plan->box.to[d]};
    window.count = dti_box_runs(&plan->box, d, &all, &window.runs);
    DTI_TRY(dti_pieces_cut(&mine, me, &other, &window, fixed, &t->sent[d]));
  }
  return add_sends(plan, me, t);
}

dtensor_status dti_exchange_plan(const dti_exchange_ends *ends, dti_exchange *exchange) {
  *exchange = (dti_exchange){0};
  tables *t = calloc(1, sizeof *t);
  DTI_CHECK(t, DTENSOR_ENOMEM, "no memory for a plan");
  exchange->memory = t;
  planner plan = {.ends = ends, .exchange = exchange};
  plan.box = ends->box ? *ends->box : dti_box_whole(ends->to);
  assign_roles(&plan);
  dtensor_status status = plan_receives(&plan, t);
  if (status == DTENSOR_OK) status = plan_sends(&plan, t);
  if (status != DTENSOR_OK) dti_exchange_free(exchange);
  return status;
}

void dti_exchange_free(dti_exchange *exchange) {
  tables *t = exchange->memory;
  for (int d = 0; t && d < DTENSOR_MAX_NDIM; d++) {
    dti_pieces_free(&t->received[d]);
    dti_pieces_free(&t->sent[d]);
  }
  if (t) free(t->sources);
  free(t);
  free(exchange->send);
  free(exchange->parcel);
  *exchange = (dti_exchange){0};
}
