/* Blocking control collectives, run in the room that every communicator keeps for them. */
#include "dtensor/base/fail.h"
#include "dtensor/comm/backend.h"
#include "dtensor/comm/comm.h"

static dtensor_status take_control(dti_comm *comm, dti_batch **control) {
  DTI_TRY(dti_comm_check_open(comm));
  *control = comm->control;
  DTI_CHECK((*control)->open == 0, DTENSOR_EMPI, "communication has failed before");
  (*control)->started = 0;
  (*control)->failed = DTENSOR_OK;
  return DTENSOR_OK;
}

dtensor_status dti_comm_allreduce(dti_comm *comm, int64_t values[], int n, dti_comm_op op) {
  dti_batch *control;
  DTI_TRY(take_control(comm, &control));
  DTI_TRY(dti_batch_allreduce(control, values, n, op));
  return dti_batch_wait(control);
}

dtensor_status dti_comm_allgather(dti_comm *comm, const void *in, size_t bytes, void *out) {
  dti_batch *control;
  DTI_TRY(take_control(comm, &control));
  DTI_TRY(dti_batch_allgather(control, in, bytes, out));
  return dti_batch_wait(control);
}
