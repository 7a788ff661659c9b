/* The cheapest combination of rule rows for the mesh dimensions that match none. */
#ifndef DTENSOR_OPS_SEARCH_H_
#define DTENSOR_OPS_SEARCH_H_

#include "dtensor/ops/match.h"
#include "dtensor/ops/plan.h"

/* 1 if the output may have p on mesh dimension m beside its other placements: sums and averages go
 * together, other reductions only with themselves. */
int dti_output_allows(const dti_layout *out, int m, dtensor_placement p);

/* Take a row on mesh dimension m. */
void dti_plan_take(const dti_call *call, dti_plan *plan, int m, const dti_choice *choice);

/* Choose for the n mesh dimensions open[]; the plan holds the choices of the others, and replicated
 * outputs for these. */
void dti_plan_search(const dti_call *call, const dti_rules *rules, int n, const int open[],
                     dti_plan *plan);

#endif
