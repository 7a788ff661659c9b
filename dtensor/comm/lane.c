#include "dtensor/comm/lane.h"

#include "dtensor/base/fail.h"
#include "dtensor/comm/backend.h"

dti_comm *dti_comm_lane(const dti_comm *parent, int n, const int ranks[]) {
  return dti_comm_find(parent, n, ranks, 1);
}

dtensor_status dti_comm_make_lane(dti_comm *parent, int n, const int ranks[]) {
  DTI_TRY(dti_comm_check_open(parent));
  dti_comm *lane = NULL;
  const dtensor_status status = dti_comm_agree(parent, dti_comm_make(parent, n, ranks, 1, &lane));
  if (status == DTENSOR_OK) {
    dti_comm_keep(parent, lane);
  } else if (lane) {
    dti_comm_close(lane);
    dti_comm_release(&lane);
  }
  return status;
}

void dti_turn_take(dti_comm *lane, dti_turn *turn) {
  *turn = (dti_turn){.lane = lane};
  dti_turn **last = &lane->turns;
  while (*last) last = &(*last)->next;
  *last = turn;
}

int dti_turn_has_come(const dti_turn *turn) { return turn->lane->turns == turn; }

void dti_turn_leave(dti_turn *turn) {
  if (!turn->lane) return;
  dti_turn **at = &turn->lane->turns;
  while (*at != turn) at = &(*at)->next;
  *at = turn->next;
  *turn = (dti_turn){0};
}
