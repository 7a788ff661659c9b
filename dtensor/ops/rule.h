/* Sharding rules: what an operator computes on, for one mesh dimension.
 *
 * A rule is a row of tokens: one per input, then the output's. It says that the local kernel on
 * inputs that lie like that gives a local result that lies like this. All inputs replicated gives a
 * replicated output; that row is implied. */
#ifndef DTENSOR_OPS_RULE_H_
#define DTENSOR_OPS_RULE_H_

#include "dtensor/types.h"

/* The most inputs an operator may have. */
#define DTI_OP_INPUTS 3

/* A token of 0 or more is a shard, of any kind, of that tensor dimension. */
#define DTI_S(dim) (dim)
enum {
  DTI_R = -1,        /* replicated */
  DTI_P_LINEAR = -2, /* Partial sum or average; of an output: the one of the inputs */
  DTI_P_ANY = -3,    /* any Partial; of an output: the one of the inputs */
  DTI_P_SUM = -4,
  DTI_P_MAX = -5,
  DTI_P_MIN = -6
};

/* Inputs that are shards in one row must be split alike, and inputs that are Partial must have the
 * same reduction: a sum and an average do not mix. */
typedef struct dti_rule {
  int in[DTI_OP_INPUTS];
  int out;
  unsigned classes; /* the dtype classes that it holds for (dti_dtype_class); 0: all */
} dti_rule;

/* The rows of one call. */
#define DTI_RULES_MAX (DTENSOR_MAX_NDIM + 8)
typedef struct dti_rules {
  int n;
  dti_rule row[DTI_RULES_MAX];
} dti_rules;

static inline void dti_rules_add(dti_rules *rules, dti_rule row) {
  if (rules->n < DTI_RULES_MAX) rules->row[rules->n++] = row;
}

#endif
