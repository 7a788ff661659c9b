/* Blocking control collectives, run in the room that every communicator keeps for them. */
#include "dtensor/base/fail.h"
#include "dtensor/comm/backend.h"
#include "dtensor/comm/comm.h"

static dtensor_status take_control(dti_comm *comm, dti_batch **control) {
  DTI_TRY(dti_comm_check_open(comm));
  *control = comm->control;
  DTI_CHECK(*control && !(*control)->is_lost, DTENSOR_EMPI, "communication has failed before");
  (*control)->started = 0;
  return DTENSOR_OK;
}

/* What was asked for came about if it is not lost. What is lost is taken back, so that nobody
 * writes into the caller's arrays later, and the communicator is not asked again. */
static dtensor_status wait_or_give_up(dti_comm *comm) {
  const dtensor_status status = dti_batch_wait(comm->control);
  if (comm->control->is_lost) {
    dti_batch_discard(&comm->control);
    return status;
  }
  comm->control->failed = DTENSOR_OK;
  return DTENSOR_OK;
}

dtensor_status dti_comm_allreduce(dti_comm *comm, int64_t values[], int n, dti_comm_op op) {
  dti_batch *control;
  DTI_TRY(take_control(comm, &control));
  int64_t *room = comm->control_values;
  for (int i = 0; i < n && n <= DTI_CONTROL_VALUES; i++) room[i] = values[i];
  DTI_TRY(dti_batch_allreduce(control, room, n, op));
  DTI_TRY(wait_or_give_up(comm));
  for (int i = 0; i < n; i++) values[i] = room[i];
  return DTENSOR_OK;
}

dtensor_status dti_comm_allgather(dti_comm *comm, const void *in, size_t bytes, void *out) {
  dti_batch *control;
  DTI_TRY(take_control(comm, &control));
  DTI_TRY(dti_batch_allgather(control, in, bytes, out));
  return wait_or_give_up(comm);
}
