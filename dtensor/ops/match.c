#include "dtensor/ops/match.h"

#include "dtensor/base/dtype.h"

static int is_partial_token(int token) { return token <= DTI_P_LINEAR; }

/* Whether a Partial of this reduction is one that an input's token stands for. */
static int token_takes(int token, dtensor_reduce_op op) {
  switch (token) {
    case DTI_P_LINEAR:
      return op == DTENSOR_SUM || op == DTENSOR_AVG;
    case DTI_P_SUM:
      return op == DTENSOR_SUM;
    case DTI_P_MAX:
      return op == DTENSOR_MAX;
    case DTI_P_MIN:
      return op == DTENSOR_MIN;
    default:
      return token == DTI_P_ANY;
  }
}

static int is_shard_of(dtensor_placement p, int dim) {
  return dti_placement_is_shard(p) && p.dim == dim;
}

/* How the inputs that are shards in a row are split: as one of them is already, the largest if
 * there are several, so that the others follow it; else plainly. */
static dtensor_placement common_split(const dti_call *call, const dti_rule *rule, int m) {
  dtensor_placement split = dtensor_shard(0);
  int64_t largest = -1;
  for (int i = 0; i < call->op->n_in; i++) {
    const dti_layout *x = &call->in[i]->layout;
    if (rule->in[i] < 0 || !is_shard_of(x->p[m], rule->in[i])) continue;
    const int64_t elements = dti_numel(x->ndim, x->shape);
    if (elements <= largest) continue;
    largest = elements;
    split = x->p[m];
  }
  return split;
}

/* The reduction of the inputs that are Partial in a row; 0 if they do not fit it. A row that passes
 * a Partial on is for inputs of which one is: an R beside it becomes one, at no cost. It does not
 * become a part of an average, which could not be exact, and shards are not blown up to whole
 * tensors. */
static int common_reduction(const dti_call *call, const dti_rule *rule, int m,
                            dtensor_reduce_op *op) {
  int wanted = 0, found = 0, replicas = 0;
  for (int i = 0; i < call->op->n_in; i++) {
    if (!is_partial_token(rule->in[i])) continue;
    wanted = 1;
    const dtensor_placement p = call->in[i]->layout.p[m];
    if (p.kind == DTENSOR_REPLICATE) {
      replicas = 1;
    } else if (p.kind == DTENSOR_PARTIAL && token_takes(rule->in[i], p.op) &&
               (!found || p.op == *op)) {
      found = 1;
      *op = p.op;
    } else {
      return 0;
    }
  }
  return !wanted || (found && !(replicas && *op == DTENSOR_AVG));
}

static dtensor_placement placement_of_token(int token, dtensor_placement split,
                                            dtensor_reduce_op op) {
  switch (token) {
    case DTI_R:
      return dtensor_replicate();
    case DTI_P_SUM:
      return dtensor_partial(DTENSOR_SUM);
    case DTI_P_MAX:
      return dtensor_partial(DTENSOR_MAX);
    case DTI_P_MIN:
      return dtensor_partial(DTENSOR_MIN);
    case DTI_P_LINEAR:
    case DTI_P_ANY:
      return dtensor_partial(op);
    default:
      split.dim = token;
      return split;
  }
}

dti_match dti_rule_match(const dti_call *call, const dti_rule *rule, int m, dti_choice *choice) {
  dtensor_reduce_op op = DTENSOR_SUM;
  if (rule->classes && !(rule->classes & dti_dtype_class_of(call->in[0]->dtype)))
    return DTI_MATCH_NONE;
  if (!common_reduction(call, rule, m, &op)) return DTI_MATCH_NONE;

  const dtensor_placement split = common_split(call, rule, m);
  int exact = 1, worth_it = 1;
  for (int i = 0; i < call->op->n_in; i++) {
    const dti_layout *x = &call->in[i]->layout;
    const int token = rule->in[i];
    choice->in[i] = placement_of_token(token, split, op);
    exact &= dtensor_placement_equal(choice->in[i], x->p[m]);
    /* Fewer elements than ranks: empty shards are taken as they come, not made. */
    worth_it &= token < 0 || x->shape[token] >= x->mesh[m];
  }
  choice->out = placement_of_token(rule->out, split, op);
  return exact ? DTI_MATCH_EXACT : worth_it ? DTI_MATCH_REACHABLE : DTI_MATCH_NONE;
}
