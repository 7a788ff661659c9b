#include "dtensor/ops/search.h"

#include <float.h>
#include <string.h>

#include "dtensor/spec/move_cost.h"

/* At most so many combinations are looked at. Mesh dimensions beyond that take the row that would
 * be the cheapest if they were the only ones. */
enum { COMBINATIONS = 1024 };

typedef struct search {
  const dti_call *call;
  int n_open;
  const int *open;
  int n_rows[DTENSOR_MAX_NDIM];
  dti_choice rows[DTENSOR_MAX_NDIM][DTI_RULES_MAX];
  int pick[DTENSOR_MAX_NDIM], best[DTENSOR_MAX_NDIM];
  double best_bytes;
  int best_moved;
  dti_layout to[DTI_OP_INPUTS], out; /* with the rows picked so far */
} search;

int dti_output_allows(const dti_layout *out, int m, dtensor_placement p) {
  if (p.kind != DTENSOR_PARTIAL) return 1;
  const int linear = p.op == DTENSOR_SUM || p.op == DTENSOR_AVG;
  for (int k = 0; k < out->mesh_ndim; k++) {
    if (k == m || out->p[k].kind != DTENSOR_PARTIAL || out->p[k].op == p.op) continue;
    if (!linear || (out->p[k].op != DTENSOR_SUM && out->p[k].op != DTENSOR_AVG)) return 0;
  }
  return 1;
}

void dti_plan_take(const dti_call *call, dti_plan *plan, int m, const dti_choice *choice) {
  for (int i = 0; i < call->op->n_in; i++) {
    if (dtensor_placement_equal(choice->in[i], call->in[i]->layout.p[m])) continue;
    if (!plan->moves[i]) plan->to[i] = call->in[i]->layout;
    plan->moves[i] = 1;
    plan->to[i].p[m] = choice->in[i];
  }
  plan->out.p[m] = choice->out;
}

/* The bytes of moving all inputs, and how many of them move. */
static double input_bytes(const search *s, int *moved) {
  double bytes = 0;
  *moved = 0;
  for (int i = 0; i < s->call->op->n_in; i++) {
    const dti_layout *from = &s->call->in[i]->layout, *to = &s->to[i];
    int same = 1;
    for (int m = 0; same && m < from->mesh_ndim; m++)
      same = dtensor_placement_equal(from->p[m], to->p[m]);
    if (same) continue;
    ++*moved;
    bytes += dti_move_cost(from, to, dtensor_dtype_size(s->call->in[i]->dtype));
  }
  return bytes;
}

/* What it will cost to scatter the output where the rows leave it Partial. */
static double output_bytes(const search *s) {
  double local = (double)dtensor_dtype_size(s->call->dtype), ranks = 1, bytes = 0;
  for (int d = 0; d < s->out.ndim; d++) local *= (double)s->out.shape[d];
  for (int m = 0; m < s->out.mesh_ndim; m++) {
    ranks *= (double)s->out.mesh[m];
    if (dti_placement_is_shard(s->out.p[m])) local /= (double)s->out.mesh[m];
  }
  for (int i = 0; i < s->n_open; i++) {
    if (s->out.p[s->open[i]].kind != DTENSOR_PARTIAL) continue;
    const double parts = (double)s->out.mesh[s->open[i]];
    bytes += ranks * local * (parts - 1) / parts;
    local /= parts;
  }
  return bytes;
}

static void keep_if_better(search *s) {
  int moved;
  double bytes = input_bytes(s, &moved);
  if (bytes > s->best_bytes) return;
  bytes += output_bytes(s);
  if (bytes > s->best_bytes || (bytes == s->best_bytes && moved >= s->best_moved)) return;
  s->best_bytes = bytes;
  s->best_moved = moved;
  for (int i = 0; i < s->n_open; i++) s->best[i] = s->pick[i];
}

static void pick_row(search *s, int i, int row) {
  const dti_choice *choice = &s->rows[i][row];
  s->pick[i] = row;
  for (int k = 0; k < s->call->op->n_in; k++) s->to[k].p[s->open[i]] = choice->in[k];
  s->out.p[s->open[i]] = choice->out;
}

/* All rows on open dimension i, and all that follows. */
static void try_rows(search *s, int i) {
  if (i == s->n_open) {
    keep_if_better(s);
    return;
  }
  const int m = s->open[i];
  for (int r = 0; r < s->n_rows[i]; r++) {
    if (!dti_output_allows(&s->out, m, s->rows[i][r].out)) continue;
    pick_row(s, i, r);
    try_rows(s, i + 1);
    s->out.p[m] = dtensor_replicate();
  }
}

/* Leave to open dimension i only the row that is cheapest while the others rest. */
static void keep_cheapest_row(search *s, int i) {
  const int m = s->open[i];
  double least = DBL_MAX;
  int cheapest = 0, moved;
  for (int r = 0; r < s->n_rows[i]; r++) {
    if (!dti_output_allows(&s->out, m, s->rows[i][r].out)) continue;
    for (int k = 0; k < s->call->op->n_in; k++) s->to[k].p[m] = s->rows[i][r].in[k];
    const double bytes = input_bytes(s, &moved);
    if (bytes >= least) continue;
    least = bytes;
    cheapest = r;
  }
  s->rows[i][0] = s->rows[i][cheapest];
  s->n_rows[i] = 1;
  pick_row(s, i, 0);
}

void dti_plan_search(const dti_call *call, const dti_rules *rules, int n, const int open[],
                     dti_plan *plan) {
  search s;
  memset(s.n_rows, 0, sizeof s.n_rows); /* the rest is large and written before it is read */
  s.call = call;
  s.n_open = n;
  s.open = open;
  s.out = plan->out;
  for (int k = 0; k < call->op->n_in; k++)
    s.to[k] = plan->moves[k] ? plan->to[k] : call->in[k]->layout;

  int combinations = 1;
  for (int i = 0; i < n; i++) {
    for (int r = 0; r < rules->n; r++)
      s.n_rows[i] +=
          dti_rule_match(call, &rules->row[r], open[i], &s.rows[i][s.n_rows[i]]) != DTI_MATCH_NONE;
    if (combinations * s.n_rows[i] > COMBINATIONS)
      keep_cheapest_row(&s, i);
    else
      combinations *= s.n_rows[i];
  }
  /* All replicated can always be had, so there is a best. */
  s.best_bytes = DBL_MAX;
  s.best_moved = DTI_OP_INPUTS + 1;
  try_rows(&s, 0);
  for (int i = 0; i < n; i++) dti_plan_take(call, plan, open[i], &s.rows[i][s.best[i]]);
}
