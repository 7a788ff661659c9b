/* What the ranks of one node send to those of another in a leg, as one message: which regions, in
 * which order, and where each lies. Both nodes find the same from the layouts alone. */
#ifndef DTENSOR_REDISTRIBUTE_MANIFEST_H_
#define DTENSOR_REDISTRIBUTE_MANIFEST_H_

#include "dtensor/redistribute/leg.h"

/* The exchanges of all ranks of a node, planned by another rank than themselves. */
typedef struct dti_node_plans {
  int members, parts;
  int *rank;              /* of leg->comm, ascending */
  dti_exchange *exchange; /* [part][member] */
} dti_node_plans;

/* Errors: DTENSOR_ENOMEM. What was made before must be freed also then. */
dtensor_status dti_node_plans_make(const dti_leg *leg, int node, dti_node_plans *plans);
void dti_node_plans_free(dti_node_plans *plans);

const dti_exchange *dti_node_plan(const dti_node_plans *plans, int part, int member);

/* One region that one rank has for another. */
typedef struct dti_manifest_item {
  int part, source;         /* member of the sending node */
  int target;               /* rank of leg->comm */
  const dti_region *region; /* of the source's array; lives as long as the plans */
  int64_t offset;           /* in the message, in bytes */
  int is_again;             /* another rank wants what the item before it brings */
} dti_manifest_item;

/* The items: by part, then by source, then as the source's exchange has them. */
typedef struct dti_manifest {
  int64_t items;
  dti_manifest_item *item;
  int64_t bytes;
} dti_manifest;

/* What the ranks of these plans send to a node. Errors: DTENSOR_ENOMEM */
dtensor_status dti_manifest_make(const dti_leg *leg, const dti_node_plans *sources, int to_node,
                                 dti_manifest *manifest);
void dti_manifest_free(dti_manifest *manifest);

#endif
