/* Whether inputs lie as a rule wants them, or can be had so. */
#ifndef DTENSOR_OPS_MATCH_H_
#define DTENSOR_OPS_MATCH_H_

#include "dtensor/ops/op.h"

/* A row's placements on one mesh dimension. */
typedef struct dti_choice {
  dtensor_placement in[DTI_OP_INPUTS], out;
} dti_choice;

typedef enum dti_match {
  DTI_MATCH_NONE,      /* the row cannot be had */
  DTI_MATCH_REACHABLE, /* after a redistribution */
  DTI_MATCH_EXACT      /* the inputs lie like that */
} dti_match;

/* Match the inputs of a call with a rule on mesh dimension m. Unless it is NONE, *choice is
 * written. */
dti_match dti_rule_match(const dti_call *call, const dti_rule *rule, int m, dti_choice *choice);

#endif
