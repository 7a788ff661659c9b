#include "dtensor/spec/chain.h"

#include "dtensor/spec/axis.h"
#include "dtensor/spec/confine.h"

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

static void change(chain *c, int m) {
  c->now.p[m] = c->to->p[m];
  c->changes &= ~(1u << m);
  /* It splits after all others now. */
  int at = 0;
  for (int i = 0; i < c->now.mesh_ndim; i++)
    if (c->now.order[i] != m) c->now.order[at++] = c->now.order[i];
  c->now.order[at] = m;
}

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

/* One other change: of shards into shards first, of one rank's values into those of all, and last
 * into replicas. */
static int change_one(chain *c) {
  for (int gathers = 0; gathers < 2; gathers++)
    for (int m = 0; m < c->now.mesh_ndim; m++) {
      if (!(c->changes & (1u << m)) || is_sum(c, m) || waits(c, m)) continue;
      if (!gathers && !dti_placement_is_shard(c->to->p[m])) continue;
      if (!can_leave(c, m) || !can_enter(c, m)) continue;
      change(c, m);
      return 1;
    }
  return 0;
}

int dti_chain(const dti_layout *from, const dti_layout *to, dti_layout step[]) {
  chain c = {.to = to, .now = *from};
  for (int m = 0; m < from->mesh_ndim; m++)
    if (from->mesh[m] == 1)
      c.now.p[m] = to->p[m];
    else if (!dtensor_placement_equal(from->p[m], to->p[m]))
      c.changes |= 1u << m;
  int steps = 0;
  change_local(&c);
  while (c.changes && (change_sums(&c) || change_one(&c))) {
    change_local(&c);
    step[steps++] = c.now;
  }
  if (steps == 0 || dti_exchange_mesh_dims(&step[steps - 1], to)) steps++;
  step[steps - 1] = *to;
  return steps;
}
