/* A meeting of the ranks of a node at which each brings a note, and all wait for all. */
#ifndef DTENSOR_REDISTRIBUTE_MEET_H_
#define DTENSOR_REDISTRIBUTE_MEET_H_

#include <stddef.h>

#include "dtensor/comm/node.h"

/* Bring a note and wait until everybody has brought theirs: dti_node_brought(). Transfers on their
 * way go on meanwhile. What a rank wrote before, others see after. The caller leaves the meeting
 * with dti_node_leave(); on failure (DTENSOR_EMPI: a rank has ended) it was left.
 *
 * Collective over the node. */
dtensor_status dti_meet(dti_node *node, const void *note, size_t bytes, uint64_t *meeting);

/* Wait until is_so(node, meeting), while transfers on their way go on. DTENSOR_EMPI: a rank has
 * ended, and it will never be so. */
dtensor_status dti_meet_wait(const dti_node *node, uint64_t meeting,
                             int (*is_so)(const dti_node *, uint64_t));

#endif
