#include "dtensor/spec/matmul_plan.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "dtensor/base/fail.h"
#include "dtensor/spec/axis.h"
#include "dtensor/spec/matmul_carry.h"
#include "dtensor/spec/move_cost.h"
#include "dtensor/spec/route.h"

/* With more combinations than this, only splits that divide the work are tried. */
enum { COMBINATIONS = 20000 };

/* A pipeline hides one of communication and compute behind the other but for its first panel. */
enum { PANELS = 8 };

static int shards(dtensor_placement p, int dim) {
  return dti_placement_is_shard(p) && p.dim == dim;
}

static int is_linear(dtensor_placement p) {
  return p.kind == DTENSOR_PARTIAL && (p.op == DTENSOR_SUM || p.op == DTENSOR_AVG);
}

static int is_replicate(dtensor_placement p) { return p.kind == DTENSOR_REPLICATE; }

/* ---- layouts of a choice */

/* How mesh dimension m splits m, n or k: as one of those that have the dimension does already. */
static dtensor_placement split_like(const dti_layout *x, int x_dim, const dti_layout *y, int y_dim,
                                    int m, int dim) {
  dtensor_placement p = dtensor_shard(dim);
  if (shards(x->p[m], x_dim))
    p = x->p[m];
  else if (y && shards(y->p[m], y_dim))
    p = y->p[m];
  p.dim = dim;
  return p;
}

static void take_split(const dti_matmul_problem *problem, dti_matmul_plan *plan, int m) {
  const dti_layout *a = problem->a, *b = problem->b;
  dtensor_placement *pa = &plan->a.p[m], *pb = &plan->b.p[m], *pc = &plan->c.p[m];
  *pa = *pb = *pc = dtensor_replicate();
  switch (plan->split[m]) {
    case DTI_MATMUL_M:
      *pa = *pc = split_like(a, 0, problem->c, 0, m, 0);
      break;
    case DTI_MATMUL_N:
      *pb = *pc = split_like(b, 1, problem->c, 1, m, 1);
      break;
    case DTI_MATMUL_K:
      *pa = *pb = split_like(a, 1, b, 0, m, 1);
      pb->dim = 0;
      *pc = dtensor_partial(DTENSOR_SUM);
      break;
    case DTI_MATMUL_LINEAR_A:
      *pa = *pc = a->p[m];
      break;
    case DTI_MATMUL_LINEAR_B:
      *pb = *pc = b->p[m];
      break;
    default:
      break;
  }
}

static int splits_of(const dti_layout *x, int dim) {
  int n = 0;
  for (int m = 0; m < x->mesh_ndim; m++) n += shards(x->p[m], dim);
  return n;
}

/* Explicit sizes fit the lengths that they were made for: they stay where nothing else splits the
 * same dimension, before and after. */
static void settle_sizes(const dti_layout *source, dti_layout *x) {
  for (int m = 0; m < x->mesh_ndim; m++) {
    if (x->p[m].kind != DTENSOR_SHARD_SIZES) continue;
    const int dim = x->p[m].dim;
    if (splits_of(x, dim) > 1 || (shards(source->p[m], dim) && splits_of(source, dim) > 1))
      x->p[m] = dtensor_shard(dim);
  }
}

/* The same index has to be split alike in both layouts that have it. */
static void follow(dti_layout *x, int x_dim, const dti_layout *y, int y_dim) {
  for (int m = 0; m < x->mesh_ndim; m++) {
    if (!shards(x->p[m], x_dim) || !shards(y->p[m], y_dim)) continue;
    if (y->p[m].kind == DTENSOR_SHARD_SIZES || x->p[m].kind != DTENSOR_SHARD_SIZES) continue;
    x->p[m] = y->p[m];
    x->p[m].dim = x_dim;
  }
}

static void make_layouts(const dti_matmul_problem *problem, dti_matmul_plan *plan) {
  plan->a = *problem->a;
  plan->b = *problem->b;
  plan->c = *problem->a;
  plan->c.shape[1] = problem->b->shape[1];
  for (int m = 0; m < plan->c.mesh_ndim; m++) take_split(problem, plan, m);
  const dti_layout *c = problem->c ? problem->c : &plan->c;
  settle_sizes(problem->a, &plan->a);
  settle_sizes(problem->b, &plan->b);
  settle_sizes(c, &plan->c);
  follow(&plan->a, 0, &plan->c, 0);
  follow(&plan->c, 0, &plan->a, 0);
  follow(&plan->b, 1, &plan->c, 1);
  follow(&plan->c, 1, &plan->b, 1);
  follow(&plan->a, 1, &plan->b, 0);
  follow(&plan->b, 0, &plan->a, 1);
  plan->out = problem->c ? *problem->c : plan->c;
}

/* ---- costs */

dti_matmul_speed dti_matmul_speed_of(const dtensor_machine *machine, dti_topology topology,
                                     int is_near) {
  const double madd = 2 / machine->flops;
  if (is_near)
    return (dti_matmul_speed){.latency = machine->meeting, .byte = machine->copy, .madd = madd};
  return (dti_matmul_speed){
      .latency = machine->latency + 2 * machine->overhead,
      .byte = machine->byte * (double)topology.ranks_per_node,
      .madd = madd,
      .near_latency = topology.shared_memory ? machine->meeting : machine->node_latency,
      .near_byte = topology.shared_memory ? machine->copy : machine->node_byte,
      .ranks_per_node = topology.ranks_per_node,
      .shares_memory = topology.shared_memory};
}

/* The most that a rank has along a dimension. */
static double longest(const dti_layout *x, int dim) {
  int64_t coord[DTENSOR_MAX_NDIM] = {0};
  for (int m = 0; m < x->mesh_ndim; m++)
    for (int64_t i = 1; x->p[m].kind == DTENSOR_SHARD_SIZES && i < x->p[m].count; i++)
      if (x->p[m].sizes[i] > x->p[m].sizes[coord[m]]) coord[m] = i;
  const dti_axis axis = dti_axis_of(x, dim);
  return (double)dti_axis_length(&axis, coord);
}

static double local_bytes(const dti_layout *x, size_t element) {
  return longest(x, 0) * longest(x, 1) * (double)element;
}

typedef struct movement {
  double bytes;        /* of one rank */
  double wire, starts; /* seconds for these, and for messages to begin */
  double room;
} movement;

/* Whether ranks that differ in the mesh dimensions from the first one that changes on are on one
 * node. */
static int stays_on_node(const dti_layout *from, const dti_layout *to, int64_t ranks_per_node) {
  int64_t width = 1;
  int m = 0;
  while (m < from->mesh_ndim && dtensor_placement_equal(from->p[m], to->p[m])) m++;
  for (; m < from->mesh_ndim; m++) width *= from->mesh[m];
  return width <= ranks_per_node && ranks_per_node % width == 0;
}

static movement move(const dti_layout *from, const dti_layout *to,
                     const dti_matmul_problem *problem) {
  const dti_matmul_speed *speed = &problem->speed;
  movement cost = {0, 0, 0, 0};
  if (dti_layout_equal(from, to)) return cost;
  double ranks = 1, peers = 1;
  for (int m = 0; m < from->mesh_ndim; m++) {
    ranks *= (double)from->mesh[m];
    if (!dtensor_placement_equal(from->p[m], to->p[m])) peers *= (double)from->mesh[m];
  }
  const int is_near = stays_on_node(from, to, speed->ranks_per_node);
  cost.bytes = dti_move_cost(from, to, problem->element) / ranks;
  cost.wire = cost.bytes * (is_near ? speed->near_byte : speed->byte);
  if (cost.bytes > 0) cost.starts = (peers - 1) * (is_near ? speed->near_latency : speed->latency);
  cost.room = local_bytes(to, problem->element);
  return cost;
}

/* An operand: what ranks of a node need alike comes once to their node, and is read there. */
static movement move_operand(const dti_layout *from, const dti_layout *to, int k_dim,
                             const dti_matmul_problem *problem) {
  const dti_matmul_speed *speed = &problem->speed;
  movement cost = move(from, to, problem);
  if (!speed->shares_memory || cost.bytes == 0 || stays_on_node(from, to, speed->ranks_per_node))
    return cost;
  double ranks;
  const double far =
      dti_matmul_carried_bytes(from, to, k_dim, speed->ranks_per_node, problem->element, &ranks);
  if (ranks == 1) return cost;
  cost.wire = far * speed->byte + fmax(cost.bytes - far, 0) * speed->near_byte;
  cost.starts = cost.starts / ranks + (ranks - 1) * speed->near_latency;
  return cost;
}

/* A product that may come as it is and is Partial will be reduced one day. */
static double later_scatter(const dti_matmul_problem *problem, const dti_matmul_plan *plan) {
  double parts = 1;
  for (int m = 0; m < plan->c.mesh_ndim; m++)
    if (plan->c.p[m].kind == DTENSOR_PARTIAL) parts *= (double)plan->c.mesh[m];
  return local_bytes(&plan->c, problem->element) * (1 - 1 / parts);
}

/* Of a product that moves: where it is computed, where it is scattered first if several ranks want
 * the same sums, and where it arrives before it is added. */
static double product_room(const dti_matmul_problem *problem, const dti_matmul_plan *plan) {
  double room = local_bytes(&plan->c, problem->element);
  if (problem->is_added) room += local_bytes(&plan->out, problem->element);
  dti_route route;
  dti_route_make(&plan->c, &plan->out, NULL, 1, problem->is_near, problem->element, &route);
  if (route.steps == 2 && route.step[0].kind == DTI_STEP_EXCHANGE)
    room += local_bytes(&route.step[0].to, problem->element);
  return room;
}

dtensor_status dti_matmul_plan_cost(const dti_matmul_problem *problem, dti_matmul_plan *plan) {
  const movement a = move_operand(problem->a, &plan->a, 1, problem),
                 b = move_operand(problem->b, &plan->b, 0, problem),
                 c = move(&plan->c, &plan->out, problem);
  const double product = c.room > 0 ? product_room(problem, plan) : 0;
  const double k = longest(&plan->a, 1);
  double operands = a.room + b.room;
  plan->steps = 1;
  if (problem->max_bytes > 0 && operands + product > (double)problem->max_bytes) {
    const double left = (double)problem->max_bytes - product;
    const double steps = left > 0 ? ceil(operands / left) : DBL_MAX;
    /* The longest of the steps is a whole number of rows long. */
    const double rows = steps <= k ? floor(left / (operands / k)) : 0;
    DTI_CHECK(rows >= 1, DTENSOR_EBUDGET,
              "a rank needs at least %.0f bytes of workspace, the caller allows %lld",
              product + (k > 0 ? operands / k : 0), (long long)problem->max_bytes);
    plan->steps = (int64_t)ceil(k / rows);
    operands = operands / k * rows;
  }
  plan->received[0] = a.bytes;
  plan->received[1] = b.bytes;
  plan->received[2] = c.bytes;
  plan->workspace = operands + product;
  plan->product = product;
  plan->compute = longest(&plan->c, 0) * longest(&plan->c, 1) * k * problem->speed.madd;
  plan->communication =
      a.wire + b.wire + c.wire + (a.starts + b.starts) * (double)plan->steps + c.starts;
  if (!problem->c) plan->communication += later_scatter(problem, plan) * problem->speed.byte;
  const double hidden = fmin(plan->compute, plan->communication);
  plan->seconds =
      fmax(plan->compute, plan->communication) + (plan->steps > 1 ? hidden : hidden / PANELS);
  return DTENSOR_OK;
}

/* ---- the search */

typedef struct search {
  const dti_matmul_problem *problem;
  int n_choices[DTENSOR_MAX_NDIM];
  dti_matmul_split choice[DTENSOR_MAX_NDIM][DTI_MATMUL_SPLITS];
  dti_matmul_plan *best; /* sorted */
  int n, room;
  double least_workspace;
} search;

static void choose_from(search *s, int m, int with_whole) {
  const dti_layout *a = s->problem->a, *b = s->problem->b;
  const int64_t sizes[] = {a->shape[0], b->shape[1], a->shape[1]};
  dti_matmul_split *choice = s->choice[m];
  int n = 0;
  /* Fewer indices than ranks: empty parts are taken as they come, not made. */
  for (int i = 0; i < 3; i++)
    if (a->mesh[m] > 1 && sizes[i] >= a->mesh[m]) choice[n++] = (dti_matmul_split)i;
  if (is_linear(a->p[m]) && is_replicate(b->p[m])) choice[n++] = DTI_MATMUL_LINEAR_A;
  if (is_linear(b->p[m]) && is_replicate(a->p[m])) choice[n++] = DTI_MATMUL_LINEAR_B;
  if (with_whole || n == 0) choice[n++] = DTI_MATMUL_WHOLE;
  s->n_choices[m] = n;
}

static void keep(search *s, const dti_matmul_plan *plan) {
  int at = s->n;
  while (at > 0 && plan->seconds < s->best[at - 1].seconds) at--;
  if (at == s->room) return;
  if (s->n < s->room) s->n++;
  for (int i = s->n - 1; i > at; i--) s->best[i] = s->best[i - 1];
  s->best[at] = *plan;
}

static void try_choices(search *s, dti_matmul_plan *plan, int m) {
  if (m == s->problem->a->mesh_ndim) {
    make_layouts(s->problem, plan);
    if (dti_matmul_plan_cost(s->problem, plan) == DTENSOR_OK) keep(s, plan);
    return;
  }
  for (int i = 0; i < s->n_choices[m]; i++) {
    plan->split[m] = s->choice[m][i];
    try_choices(s, plan, m + 1);
  }
}

enum { OTHERS_MAX = 15 };

dtensor_status dti_matmul_plan_make(const dti_matmul_problem *problem, dti_matmul_plan *best,
                                    dti_matmul_plan others[], int *n_others) {
  dti_matmul_plan found[OTHERS_MAX + 1], trial = {.steps = 1};
  search s = {.problem = problem, .best = found, .room = 1};
  if (others) s.room += *n_others < OTHERS_MAX ? *n_others : OTHERS_MAX;
  int combinations = 1;
  for (int m = 0; m < problem->a->mesh_ndim; m++) {
    choose_from(&s, m, combinations < COMBINATIONS / 256);
    combinations *= s.n_choices[m];
  }
  try_choices(&s, &trial, 0);
  /* The last one that was tried says what is missing. */
  if (s.n == 0) return dti_matmul_plan_cost(problem, &trial);
  *best = found[0];
  for (int i = 1; i < s.n; i++) others[i - 1] = found[i];
  if (others) *n_others = s.n - 1;
  return DTENSOR_OK;
}

const char *dti_matmul_splits_text(const dti_matmul_split split[], int mesh_ndim, char *text,
                                   size_t size) {
  static const char *const words[] = {"m", "n", "k", "linear in a", "linear in b", "nothing"};
  size_t length = 0;
  text[0] = 0;
  for (int m = 0; m < mesh_ndim && length < size; m++)
    length += (size_t)snprintf(text + length, size - length, "%s%s", m ? "," : "", words[split[m]]);
  return text;
}
