#include "dtensor/redistribute/meet.h"

#include <string.h>

#include "dtensor/redistribute/transfer.h"

/* To look takes some nanoseconds, and after so many rounds a rank lets others run
 * (dti_comm_relax()), which takes longer than most waits where each has a processor of its own. */
enum { LOOKS_PER_ROUND = 8 };

static int is_so_soon(const dti_node *node, uint64_t meeting,
                      int (*is_so)(const dti_node *, uint64_t)) {
  const int looks = dti_node_shares_cpus(node) ? 1 : LOOKS_PER_ROUND;
  for (int look = 0; look < looks; look++)
    if (is_so(node, meeting)) return 1;
  return 0;
}

dtensor_status dti_meet_wait(const dti_node *node, uint64_t meeting,
                             int (*is_so)(const dti_node *, uint64_t)) {
  for (int64_t round = 0; !is_so_soon(node, meeting, is_so); round++) {
    dti_transfers_advance(round);
    if (!dti_comm_is_check_due(round)) continue;
    for (int member = 0; member < dti_node_size(node); member++) {
      const dtensor_status gone = dti_node_check(node, member);
      /* It may have come in the meantime, and ended after that. */
      if (gone != DTENSOR_OK && !is_so(node, meeting)) return gone;
    }
  }
  return DTENSOR_OK;
}

dtensor_status dti_meet(dti_node *node, const void *note, size_t bytes, uint64_t *meeting) {
  *meeting = dti_node_next_meeting(node);
  dtensor_status status = dti_meet_wait(node, *meeting, dti_node_can_post);
  if (status == DTENSOR_OK) {
    memcpy(dti_node_desk(node, *meeting), note, bytes);
    dti_node_post(node, *meeting);
    status = dti_meet_wait(node, *meeting, dti_node_all_posted);
  }
  if (status != DTENSOR_OK) dti_node_leave(node, *meeting);
  return status;
}
