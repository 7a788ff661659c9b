#include "dtensor/ops/plan.h"

#include "dtensor/ops/match.h"
#include "dtensor/ops/search.h"

void dti_rules_collect(const dti_call *call, dti_rules *rules) {
  static const dti_rule replicated = {{DTI_R, DTI_R, DTI_R}, DTI_R, 0};
  rules->n = 0;
  if (call->op->make_rules) call->op->make_rules(call, rules);
  for (int r = 0; r < call->op->n_rules; r++) dti_rules_add(rules, call->op->rules[r]);
  dti_rules_add(rules, replicated);
}

static int all_replicated(const dti_call *call, int m) {
  for (int i = 0; i < call->op->n_in; i++)
    if (call->in[i]->layout.p[m].kind != DTENSOR_REPLICATE) return 0;
  return 1;
}

/* Whether the inputs match a row on mesh dimension m as they lie; then the output follows it. */
static int matches(const dti_call *call, const dti_rules *rules, int m, dti_plan *plan) {
  dti_choice choice;
  for (int r = 0; r < rules->n; r++) {
    if (dti_rule_match(call, &rules->row[r], m, &choice) != DTI_MATCH_EXACT) continue;
    if (!dti_output_allows(&plan->out, m, choice.out)) continue;
    plan->out.p[m] = choice.out;
    return 1;
  }
  return 0;
}

/* 1 if explicit sizes split a tensor dimension that another mesh dimension splits too. They fit the
 * lengths that they were made for, and no others. */
static int has_nested_sizes(const dti_layout *layout) {
  for (int m = 0; m < layout->mesh_ndim; m++) {
    if (layout->p[m].kind != DTENSOR_SHARD_SIZES) continue;
    for (int k = 0; k < layout->mesh_ndim; k++)
      if (k != m && dti_placement_is_shard(layout->p[k]) && layout->p[k].dim == layout->p[m].dim)
        return 1;
  }
  return 0;
}

static void replace_sizes(dti_layout *layout) {
  for (int m = 0; m < layout->mesh_ndim; m++)
    if (layout->p[m].kind == DTENSOR_SHARD_SIZES) layout->p[m] = dtensor_shard(layout->p[m].dim);
}

/* Moving one mesh dimension changes the lengths that another one splits. Where that meets explicit
 * sizes, all shards of explicit sizes become plain ones, in inputs and output alike. */
static void settle_sizes(const dti_call *call, dti_plan *plan) {
  int nested = has_nested_sizes(&plan->out);
  for (int i = 0; i < call->op->n_in; i++) {
    nested |= has_nested_sizes(&call->in[i]->layout);
    nested |= plan->moves[i] && has_nested_sizes(&plan->to[i]);
  }
  if (!nested) return;

  for (int i = 0; i < call->op->n_in; i++) {
    if (!plan->moves[i]) plan->to[i] = call->in[i]->layout;
    plan->moves[i] = 1;
    replace_sizes(&plan->to[i]);
  }
  replace_sizes(&plan->out);
}

void dti_plan_make(const dti_call *call, dti_plan *plan) {
  for (int i = 0; i < call->op->n_in; i++) plan->moves[i] = 0;
  plan->out = call->in[0]->layout; /* its mesh */
  plan->out.ndim = call->ndim;
  for (int d = 0; d < call->ndim; d++) plan->out.shape[d] = call->shape[d];

  dti_rules rules;
  rules.n = 0;
  int n_open = 0, open[DTENSOR_MAX_NDIM];
  for (int m = 0; m < plan->out.mesh_ndim; m++) plan->out.p[m] = dtensor_replicate();
  for (int m = 0; m < plan->out.mesh_ndim; m++) {
    if (all_replicated(call, m)) continue;
    if (!rules.n) dti_rules_collect(call, &rules);
    if (!matches(call, &rules, m, plan)) open[n_open++] = m;
  }
  if (!n_open) return;
  dti_plan_search(call, &rules, n_open, open, plan);
  settle_sizes(call, plan);
}
