#include "dtensor/ops/same_shape.h"

void dti_same_shape_infer(dti_call *call) {
  const dti_layout *x = &call->in[0]->layout;
  call->ndim = x->ndim;
  for (int d = 0; d < x->ndim; d++) call->shape[d] = x->shape[d];
}

void dti_same_shape_rules(const dti_call *call, dti_rules *rules) {
  for (int d = 0; d < call->ndim; d++) dti_rules_add(rules, (dti_rule){{DTI_S(d)}, DTI_S(d), 0});
}
