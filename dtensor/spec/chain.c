#include "dtensor/spec/chain.h"

#include <string.h>

#include "dtensor/spec/axis.h"
#include "dtensor/spec/confine.h"
#include "dtensor/spec/digits.h"

typedef struct chain {
  const dti_layout *to;
  dti_layout now;
  unsigned changes; /* bit m: mesh dimension m is not yet as in the target */
} chain;

/* The mesh dimensions that split an axis, but for those of one rank. */
static int levels_of(const dti_layout *layout, int dim, int level[]) {
  const dti_axis axis = dti_axis_of(layout, dim);
  int n = 0;
  for (int i = 0; i < axis.levels; i++)
    if (axis.parts[i] > 1) level[n++] = axis.mesh_dim[i];
  return n;
}

static int can_leave(const chain *c, int m) {
  if (!dti_placement_is_shard(c->now.p[m])) return 1;
  int level[DTENSOR_MAX_NDIM];
  const int n = levels_of(&c->now, c->now.p[m].dim, level);
  return level[n - 1] == m;
}

/* Whether m may split last in the target's place: what splits before it in the target does so now,
 * and nothing else. */
static int can_enter(const chain *c, int m) {
  const dtensor_placement p = c->to->p[m];
  if (!dti_placement_is_shard(p)) return 1;
  int now[DTENSOR_MAX_NDIM], then[DTENSOR_MAX_NDIM], at = 0;
  const int n_now = levels_of(&c->now, p.dim, now), n_then = levels_of(c->to, p.dim, then);
  for (int i = 0; i < n_now; i++) {
    if (now[i] == m) continue;
    if (at >= n_then || then[at] != now[i] || (c->changes & (1u << now[i]))) return 0;
    at++;
  }
  return then[at] == m;
}

/* m splits before `next`; after all others if that is none of them. */
static void put_before(dti_layout *layout, int m, int next) {
  int order[DTENSOR_MAX_NDIM], at = 0;
  for (int i = 0; i < layout->mesh_ndim; i++) {
    if (layout->order[i] == next) order[at++] = m;
    if (layout->order[i] != m) order[at++] = layout->order[i];
  }
  if (at < layout->mesh_ndim) order[at] = m;
  memcpy(layout->order, order, (size_t)layout->mesh_ndim * sizeof *order);
}

static void change(chain *c, int m) {
  c->now.p[m] = c->to->p[m];
  c->changes &= ~(1u << m);
  put_before(&c->now, m, -1);
}

/* ---- Mesh dimensions that leave or enter the middle of a chain of even splits */

/* Cut an axis by these digits, which are in the layout's order. */
static void cut(chain *c, int dim, const dti_digits *digits) {
  dti_digits before = {0};
  for (int i = 0; i < digits->n; i++) {
    const int m = digits->mesh_dim[i];
    const int has_changed = !(c->changes & (1u << m));
    c->now.p[m] = dti_digits_placement(&before, c->now.shape[dim], digits->parts[i],
                                       digits->unit[i], has_changed ? c->to->p[m] : c->now.p[m]);
    before.mesh_dim[before.n] = m;
    before.parts[before.n] = digits->parts[i];
    before.unit[before.n++] = digits->unit[i];
  }
}

/* m leaves its axis, and what the others own of it stays the same. */
static int leave_early(chain *c, int m) {
  const int dim = c->now.p[m].dim;
  const dti_axis axis = dti_axis_of(&c->now, dim);
  dti_digits digits, rest = {0};
  if (!dti_digits_of(&axis, &digits)) return 0;
  for (int i = 0; i < digits.n; i++) {
    if (digits.mesh_dim[i] == m) continue;
    /* Those after m are written otherwise, which must not be what the target has. */
    if (rest.n < i && !(c->changes & (1u << digits.mesh_dim[i]))) return 0;
    rest.mesh_dim[rest.n] = digits.mesh_dim[i];
    rest.parts[rest.n] = digits.parts[i];
    rest.unit[rest.n++] = digits.unit[i];
  }
  cut(c, dim, &rest);
  return 1;
}

/* m enters the axis where it is in the target, although others that split before it there are not
 * there yet. Those that are there have come as it does, or stay. */
static int enter_early(chain *c, int m) {
  const int dim = c->to->p[m].dim;
  const dti_axis axis = dti_axis_of(&c->now, dim), target = dti_axis_of(c->to, dim);
  dti_digits now, then, with = {0};
  if (!dti_digits_of(&axis, &now) || !dti_digits_of(&target, &then)) return 0;
  int next = -1, found = 0;
  for (int i = 0; i < then.n; i++) {
    const int it = then.mesh_dim[i];
    const int64_t unit = dti_digits_unit(&now, it);
    if (it != m && unit == 0) continue;
    if (it != m && (unit != then.unit[i] || (c->changes & (1u << it)))) return 0;
    if (it != m) found++;
    if (it != m && next < 0 && dti_digits_unit(&with, m) > 0) next = it;
    with.mesh_dim[with.n] = it;
    with.parts[with.n] = then.parts[i];
    with.unit[with.n++] = then.unit[i];
  }
  if (found != now.n) return 0; /* something else still splits it */
  c->changes &= ~(1u << m);
  put_before(&c->now, m, next);
  cut(c, dim, &with);
  return 1;
}

/* m splits after all others, whatever the target has: a step at the end puts it right. */
static int change_in_vain(chain *c, int m) {
  if (!can_leave(c, m)) return 0;
  change(c, m);
  return 1;
}

/* m changes as it may, or else as even splits let it. 0 if it cannot. */
static int change_early(chain *c, int m) {
  chain ahead = *c;
  if (!can_leave(&ahead, m)) {
    if (!leave_early(&ahead, m)) return 0;
    ahead.now.p[m] = dtensor_replicate();
  }
  if (can_enter(&ahead, m)) {
    change(&ahead, m);
  } else {
    ahead.now.p[m] = dtensor_replicate();
    if (!enter_early(&ahead, m)) return 0;
  }
  *c = ahead;
  return 1;
}

/* ---- The order of changes */

static int is_sum(const chain *c, int m) { return c->now.p[m].kind == DTENSOR_PARTIAL; }

/* What becomes Partial does so at the end: as identities it would travel too. */
static int waits(const chain *c, int m) {
  return c->to->p[m].kind == DTENSOR_PARTIAL && c->to->p[m].op != DTENSOR_AVG && !is_sum(c, m);
}

/* Replicas that are split up: nobody talks. */
static void change_local(chain *c) {
  for (int m = 0; m < c->now.mesh_ndim; m++) {
    if (!(c->changes & (1u << m)) || c->now.p[m].kind != DTENSOR_REPLICATE || waits(c, m) ||
        !can_enter(c, m))
      continue;
    change(c, m);
    m = -1; /* another may have become possible */
  }
}

/* All sums at once; 0 if one of them must wait. */
static int change_sums(chain *c) {
  unsigned sums = 0;
  for (int m = 0; m < c->now.mesh_ndim; m++)
    if ((c->changes & (1u << m)) && is_sum(c, m)) sums |= 1u << m;
  chain ahead = *c;
  for (int m = 0; m < c->now.mesh_ndim; m++) {
    if (!(sums & (1u << m))) continue;
    if (!can_enter(&ahead, m)) return 0;
    change(&ahead, m);
  }
  if (sums) *c = ahead;
  return sums != 0;
}

/* The next one alone: the last mesh dimension, whose ranks are the nearest, if it can be. */
static int change_one_sum(chain *c) {
  for (int m = c->now.mesh_ndim - 1; m >= 0; m--) {
    if (!(c->changes & (1u << m)) || !is_sum(c, m) || !can_enter(c, m)) continue;
    change(c, m);
    return 1;
  }
  return 0;
}

static int is_shard_to_be(const chain *c, int m) { return dti_placement_is_shard(c->to->p[m]); }

static int may_change(const chain *c, int m) {
  return (c->changes & (1u << m)) && !is_sum(c, m) && !waits(c, m);
}

/* One other change: of shards into shards first, of one rank's values into those of all, and last
 * into replicas. */
static int change_one(chain *c, dti_chain_order order) {
  const int n = c->now.mesh_ndim;
  for (int gathers = 0; gathers < 2; gathers++) {
    for (int m = 0; gathers && order == DTI_CHAIN_OUTER_FIRST && m < n; m++)
      if (may_change(c, m) && change_early(c, m)) return 1;
    for (int m = 0; m < n; m++) {
      if (!may_change(c, m) || (!gathers && !is_shard_to_be(c, m))) continue;
      if (!can_leave(c, m) || !can_enter(c, m)) continue;
      change(c, m);
      return 1;
    }
    for (int m = n - 1; !gathers && m >= 0; m--) {
      if (!may_change(c, m) || !is_shard_to_be(c, m)) continue;
      if (order == DTI_CHAIN_UNBROKEN ? change_in_vain(c, m) : change_early(c, m)) return 1;
    }
  }
  return 0;
}

int dti_chain(const dti_layout *from, const dti_layout *to, dti_chain_order order, int sums_at_once,
              dti_layout step[]) {
  chain c = {.to = to, .now = *from};
  for (int m = 0; m < from->mesh_ndim; m++)
    if (from->mesh[m] == 1)
      c.now.p[m] = to->p[m];
    else if (!dtensor_placement_equal(from->p[m], to->p[m]))
      c.changes |= 1u << m;
  int steps = 0;
  change_local(&c);
  while (c.changes &&
         ((sums_at_once ? change_sums(&c) : change_one_sum(&c)) || change_one(&c, order))) {
    change_local(&c);
    step[steps++] = c.now;
  }
  if (steps == 0 || dti_exchange_mesh_dims(&step[steps - 1], to)) steps++;
  step[steps - 1] = *to;
  return steps;
}
