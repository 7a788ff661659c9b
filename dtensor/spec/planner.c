#include "dtensor/spec/planner.h"

#include <stdlib.h>
#include <string.h>

#include "dtensor/base/fail.h"
#include "dtensor/spec/buffers.h"
#include "dtensor/spec/split_kind.h"
#include "dtensor/spec/step_engine.h"

static _Thread_local int forced_engine = -1;

void dti_route_force_engine(int engine) { forced_engine = engine; }

int dti_route_forced_engine(void) { return forced_engine; }

typedef struct planner {
  const dti_question *q;
  dti_way_ends ends;
  dti_candidates *out;
} planner;

/* Where messages are cut, a round is as many of them as may be under way at a time. */
static int64_t rounds_of(const planner *p, const dti_way *way, int i, const dti_route *route) {
  if (route->cut == 0 || route->step[i].engine != DTI_ENGINE_DIRECT) return 1;
  int64_t rounds = 1;
  for (int k = 0; k < DTI_WAY_PLACES; k++) {
    const int64_t largest = way->volume[k][i].largest * (int64_t)p->q->element;
    const int64_t here = dti_ceil_div(largest, route->cut * DTI_CUT_WINDOW);
    if (here > rounds) rounds = here;
  }
  return rounds;
}

static dti_cost cost_at(const planner *p, const dti_way *way, int which, const dti_candidate *c) {
  dti_cost sum = {0};
  for (int i = 0; i < way->steps; i++) {
    const int64_t rounds = c->route.step[i].rounds;
    const dti_price price = dti_step_price(p->q, &p->ends, way, which, i, &c->route.step[i]);
    sum.seconds += price.cost.seconds + (double)(rounds - 1) * price.round_seconds;
    sum.messages += price.cost.messages * rounds;
    sum.bytes_received += price.cost.bytes_received;
    sum.bytes_sent += price.cost.bytes_sent;
    sum.workspace +=
        dti_step_workspace(p->q, &p->ends, way, which, i, &c->route.step[i], c->route.cut);
  }
  return sum;
}

static void take_worse(dti_cost *worst, const dti_cost *other) {
  if (other->seconds > worst->seconds) worst->seconds = other->seconds;
  if (other->messages > worst->messages) worst->messages = other->messages;
  if (other->bytes_received > worst->bytes_received) worst->bytes_received = other->bytes_received;
  if (other->bytes_sent > worst->bytes_sent) worst->bytes_sent = other->bytes_sent;
  if (other->workspace > worst->workspace) worst->workspace = other->workspace;
}

static void price_candidate(const planner *p, const dti_way *way, dti_candidate *c) {
  const dti_budget budget = dti_way_budget(p->q, &p->ends, way, c->route.step);
  c->fits = budget.fits;
  c->route.cut = budget.cut;
  c->rounds = 1;
  for (int i = 0; i < way->steps; i++) {
    c->route.step[i].rounds = rounds_of(p, way, i, &c->route);
    if (c->route.step[i].rounds > c->rounds) c->rounds = c->route.step[i].rounds;
  }
  c->cost = (dti_cost){0};
  for (int k = 0; k < DTI_WAY_PLACES; k++) {
    const dti_cost here = cost_at(p, way, k, c);
    take_worse(&c->cost, &here);
  }
  if (!c->fits || c->cost.workspace > budget.bytes) c->cost.workspace = budget.bytes;
}

static dti_candidate *new_candidate(const planner *p, const dti_way *way, dti_engine engine) {
  dti_candidate *c = &p->out->list[p->out->n++];
  *c = (dti_candidate){.engine = engine, .route.steps = way->steps};
  memcpy(c->route.step, way->step, (size_t)way->steps * sizeof way->step[0]);
  for (int i = 0; i < way->steps; i++) c->route.step[i].engine = engine;
  return c;
}

static void add_uniform(const planner *p, const dti_way *way, dti_engine engine) {
  price_candidate(p, way, new_candidate(p, way, engine));
}

/* Each step by its fastest engine; the candidate is named after the one that is the least like
 * sending messages. It is a new one only if the steps differ, or `is_new` says that nothing else
 * goes this way. */
static void add_mixed(const planner *p, const dti_way *way, int is_new) {
  dti_candidate *c = new_candidate(p, way, DTI_ENGINE_DIRECT);
  unsigned engines = 0;
  for (int i = 0; i < way->steps; i++) {
    c->route.step[i].engine = dti_step_engine(p->q, &p->ends, way, i);
    engines |= 1u << c->route.step[i].engine;
  }
  if (engines & (1u << DTI_ENGINE_HIERARCHICAL)) c->engine = DTI_ENGINE_HIERARCHICAL;
  if (engines & (1u << DTI_ENGINE_COLLECTIVE)) c->engine = DTI_ENGINE_COLLECTIVE;
  const int is_uniform =
      engines == 1u << DTI_ENGINE_DIRECT || engines == 1u << DTI_ENGINE_HIERARCHICAL;
  if (is_uniform && !is_new) {
    p->out->n--;
    return;
  }
  price_candidate(p, way, c);
  if (c->fits || !is_new || c->engine == DTI_ENGINE_DIRECT) return;
  /* What cannot be cut has left too little to the other steps. */
  c->engine = DTI_ENGINE_DIRECT;
  for (int i = 0; i < way->steps; i++) c->route.step[i].engine = DTI_ENGINE_DIRECT;
  price_candidate(p, way, c);
}

static int leaves_node(const dti_way *way) {
  for (int i = 0; i < way->steps; i++)
    if (dti_way_leaves_node(way, i)) return 1;
  return 0;
}

static dtensor_status add_direct_way(planner *p, dti_way *direct) {
  const dti_topology topology = p->q->topology;
  DTI_TRY(dti_way_measure(&p->ends, direct));
  add_uniform(p, direct, DTI_ENGINE_DIRECT);
  if (topology.shared_memory && topology.ranks_per_node > 1 && leaves_node(direct))
    add_uniform(p, direct, DTI_ENGINE_HIERARCHICAL);
  if (p->q->same_mesh) add_mixed(p, direct, 0);
  return DTENSOR_OK;
}

/* Between two ranks a sum that both want is no more to receive in one step than in two. */
static int is_sum_of_two(const dti_layout *from, const dti_layout *to) {
  int sums = 0;
  for (int m = 0; m < from->mesh_ndim; m++) {
    if (dtensor_placement_equal(from->p[m], to->p[m])) continue;
    if (from->p[m].kind != DTENSOR_PARTIAL || to->p[m].kind != DTENSOR_REPLICATE) return 0;
    if (from->mesh[m] > 2) return 0;
    sums += from->mesh[m] == 2;
  }
  return sums == 1;
}

static dtensor_status add_single_step(planner *p, dti_way *single) {
  dti_way_of_route(&p->ends, &(dti_route){.steps = 1, .step = {{.to = *p->q->to}}}, single);
  DTI_TRY(dti_way_measure(&p->ends, single));
  add_uniform(p, single, DTI_ENGINE_DIRECT);
  return DTENSOR_OK;
}

/* Whether a chain receives as much as the direct way on every rank: it begins alike, and then it
 * gathers. */
static int moves_no_more(const dti_way *chain, const dti_way *direct) {
  int i = 0;
  while (i < direct->steps && dti_layout_equal(&chain->step[i].to, &direct->step[i].to)) i++;
  for (; i < chain->steps; i++)
    if (!chain->step[i].is_all_gather) return 0;
  return 1;
}

/* Other chains move some elements more than once, and must save enough messages. */
static int is_worth_it(const dti_way *chain, const dti_way *direct) {
  if (moves_no_more(chain, direct)) return 1;
  for (int k = 0; k < DTI_WAY_PLACES; k++) {
    const int64_t many = dti_way_received(direct, k).messages;
    if (dti_way_received(chain, k).messages + DTI_WORTH_A_DETOUR > many) return 0;
  }
  return 1;
}

/* A candidate that is a way of several steps where the direct one (NULL: not looked at) has fewer.
 */
static dtensor_status add_chain(planner *p, const dti_way *direct, dti_way *chain) {
  DTI_TRY(dti_way_measure(&p->ends, chain));
  if (!direct || is_worth_it(chain, direct)) add_mixed(p, chain, 1);
  return DTENSOR_OK;
}

/* The ranks whose values are added up. */
static int64_t contributions(const dti_layout *from, const dti_layout *to) {
  int64_t ranks = 1;
  for (int m = 0; m < from->mesh_ndim; m++)
    if (from->p[m].kind == DTENSOR_PARTIAL && !dtensor_placement_equal(from->p[m], to->p[m]))
      ranks *= from->mesh[m];
  return ranks;
}

static int is_before(const dti_candidate *a, const dti_candidate *b) {
  if (a->fits != b->fits) return a->fits;
  if (!a->fits && a->cost.workspace != b->cost.workspace)
    return a->cost.workspace < b->cost.workspace;
  const int a_forced = (int)a->engine == forced_engine, b_forced = (int)b->engine == forced_engine;
  if (a_forced != b_forced) return a_forced;
  return a->cost.seconds < b->cost.seconds;
}

/* Keeps the order of equals, in which direct ones come first. */
static void sort(dti_candidates *candidates, dti_candidate *spare) {
  for (int i = 1; i < candidates->n; i++) {
    *spare = candidates->list[i];
    int at = i;
    for (; at > 0 && is_before(spare, &candidates->list[at - 1]); at--)
      candidates->list[at] = candidates->list[at - 1];
    candidates->list[at] = *spare;
  }
}

/* Where all ranks share memory nothing is faster than reading it. Sharing out is priced as the two
 * exchanges that it takes the place of, without the array in between. */
static dtensor_status add_near(planner *p, const dti_route *route, dti_way *way) {
  dti_route priced = *route;
  const int shares_out = route->step[0].kind == DTI_STEP_SHARE_OUT;
  if (shares_out) {
    priced.steps = 2;
    priced.step[1] = route->step[0];
    priced.step[0].to = route->shares;
    priced.step[0].kind = priced.step[1].kind = DTI_STEP_EXCHANGE;
  }
  dti_way_of_route(&p->ends, &priced, way);
  DTI_TRY(dti_way_measure(&p->ends, way));
  add_uniform(p, way, DTI_ENGINE_DIRECT);
  if (!shares_out) return DTENSOR_OK;
  dti_candidate *c = &p->out->list[p->out->n - 1];
  dti_way_of_route(&p->ends, route, way);
  const dti_budget budget = dti_way_budget(p->q, &p->ends, way, way->step);
  c->route = *route;
  c->cost.workspace = budget.bytes;
  c->fits = budget.fits;
  c->rounds = 1;
  return DTENSOR_OK;
}

typedef struct workspace {
  dti_way direct, chain;
  dti_candidate spare;
} workspace;

/* Whether a candidate goes this way already. */
static int is_known(const planner *p, const dti_way *way) {
  for (int c = 0; c < p->out->n; c++) {
    const dti_route *route = &p->out->list[c].route;
    int same = route->steps == way->steps;
    for (int i = 0; same && i < way->steps; i++)
      same = dti_layout_equal(&route->step[i].to, &way->step[i].to);
    if (same) return 1;
  }
  return 0;
}

static int find_chain(const planner *p, const dti_route *route, dti_chain_order order, int merged,
                      dti_way *way) {
  return dti_way_of_chain(&p->ends, route, order, merged, way) && way->steps > route->steps &&
         dti_way_pieces_at_most(&p->ends, way) <=
             DTI_PIECES_PER_PEER * (dti_way_peers_at_most(&p->ends, way) + 1) &&
         !is_known(p, way);
}

/* Beside the direct way, or where that is not looked at (NULL), of no more than so many peers. */
static dtensor_status add_chains(planner *p, const dti_route *route, const dti_way *direct,
                                 int64_t peers, dti_way *chain) {
  for (int order = DTI_CHAIN_INNER_FIRST; order <= DTI_CHAIN_UNBROKEN; order++) {
    if (order == DTI_CHAIN_UNBROKEN && p->out->n > 0) return DTENSOR_OK;
    if (find_chain(p, route, (dti_chain_order)order, 0, chain) &&
        dti_way_peers_at_most(&p->ends, chain) <= peers)
      DTI_TRY(add_chain(p, direct, chain));
  }
  return DTENSOR_OK;
}

static dtensor_status look_at_all(planner *p, workspace *room) {
  const dti_question *q = p->q;
  dti_way *direct = &room->direct, *chain = &room->chain;
  dti_route route;
  dti_route_make(q->from, q->to, NULL, q->same_mesh, q->is_near, q->element, &route);
  if (q->in_batch && route.step[0].kind == DTI_STEP_GATHER)
    route = (dti_route){.steps = 1, .step = {{.to = *q->to}}};
  if (q->is_near) return add_near(p, &route, direct);
  dti_way_of_route(&p->ends, &route, direct);
  if (route.step[0].kind == DTI_STEP_GATHER) { /* sums in an order of their own: no other way */
    add_uniform(p, direct, DTI_ENGINE_DIRECT);
    return DTENSOR_OK;
  }
  if (!q->same_mesh) return add_direct_way(p, direct);

  const int64_t peers = dti_way_peers_at_most(&p->ends, direct);
  if (!p->ends.sums_at_once) DTI_TRY(add_chains(p, &route, NULL, peers, chain));
  if (p->out->n == 0 && peers > DTI_MANY_PEERS)
    DTI_TRY(add_chains(p, &route, NULL, peers / 16, chain));
  if (p->out->n > 0) return DTENSOR_OK;
  DTI_TRY(add_direct_way(p, direct));
  if (direct->steps == 2 && is_sum_of_two(q->from, q->to)) DTI_TRY(add_single_step(p, chain));
  DTI_TRY(add_chains(p, &route, direct, peers, chain));
  if (find_chain(p, &route, DTI_CHAIN_INNER_FIRST, 1, chain)) DTI_TRY(add_chain(p, direct, chain));
  return DTENSOR_OK;
}

dtensor_status dti_route_candidates(const dti_question *question, dti_candidates *candidates) {
  candidates->n = 0;
  planner p = {
      .q = question,
      .ends = {.from = question->from,
               .to = question->to,
               .same_mesh = question->same_mesh,
               .from_ranks = dti_numel(question->from->mesh_ndim, question->from->mesh),
               .to_ranks = dti_numel(question->to->mesh_ndim, question->to->mesh),
               .ranks_per_node = question->topology.ranks_per_node,
               /* 2 bytes, which is bf16 and f16, are rounded after each sum. */
               .sums_at_once = question->element == sizeof(uint16_t) ||
                               contributions(question->from, question->to) <= DTI_SUMS_AT_ONCE},
      .out = candidates,
  };
  workspace *room = malloc(sizeof *room);
  DTI_CHECK(room, DTENSOR_ENOMEM, "no memory for %zu bytes of plans", sizeof *room);
  const dtensor_status status = look_at_all(&p, room);
  if (status == DTENSOR_OK) sort(candidates, &room->spare);
  free(room);
  return status;
}

dtensor_status dti_route_check_budget(const dti_candidates *candidates, int64_t max_bytes) {
  const dti_candidate *best = &candidates->list[0];
  DTI_CHECK(
      best->fits, DTENSOR_EBUDGET,
      "the caller allows %lld bytes of workspace; the least, in as many rounds as make sense, "
      "is %lld",
      (long long)max_bytes, (long long)best->cost.workspace);
  return DTENSOR_OK;
}
