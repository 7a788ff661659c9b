/* What moving a tensor from one layout to another costs. */
#ifndef DTENSOR_SPEC_MOVE_COST_H_
#define DTENSOR_SPEC_MOVE_COST_H_

#include "dtensor/spec/layout.h"

/* The bytes that the whole mesh receives, estimated from the layouts alone: exact where shards
 * divide evenly. `to` has the Partial placements of `from` or fewer, and Partial sums where from is
 * replicated. */
double dti_move_cost(const dti_layout *from, const dti_layout *to, size_t element);

#endif
