#include "dtensor/base/fail.h"
#include "dtensor/comm/comm.h"

/* Failures are ordered by rank, and below "all is well", so that MIN finds the lowest failing rank.
 */
#define STATUS_ROOM 256
_Static_assert(DTENSOR_STATUS_COUNT_ <= STATUS_ROOM, "a status fits beside the rank");

int64_t dti_agree_value(dtensor_status mine, int rank) {
  return mine == DTENSOR_OK ? DTI_ALL_IS_WELL : (int64_t)rank * STATUS_ROOM + (int64_t)mine;
}

dtensor_status dti_agree_verdict(dtensor_status mine, int64_t reduced) {
  if (mine != DTENSOR_OK || reduced == DTI_ALL_IS_WELL) return mine;
  const dtensor_status theirs = (dtensor_status)(reduced % STATUS_ROOM);
  return DTI_FAIL(theirs, "rank %d failed with %s", (int)(reduced / STATUS_ROOM),
                  dtensor_status_name(theirs));
}

dtensor_status dti_comm_agree(dti_comm *comm, dtensor_status mine) {
  int64_t value = dti_agree_value(mine, dti_comm_rank(comm));
  DTI_TRY(dti_comm_allreduce(comm, &value, 1, DTI_COMM_MIN));
  return dti_agree_verdict(mine, value);
}
