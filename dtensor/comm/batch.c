#include <inttypes.h>

#include "dtensor/base/event.h"
#include "dtensor/base/fail.h"
#include "dtensor/comm/backend.h"
#include "dtensor/comm/comm.h"

static _Thread_local int64_t fail_after = -1;

void dti_comm_fail_after(int64_t after) { fail_after = after; }

static dtensor_status fail_if_asked(void) {
  if (fail_after < 0 || fail_after-- > 0) return DTENSOR_OK;
  return DTI_FAIL(DTENSOR_EMPI, "communication fails, as a test asked for");
}

dtensor_status dti_batch_make(dti_comm *comm, int64_t operations, const size_t bytes[],
                              dti_batch **batch) {
  *batch = NULL;
  DTI_TRY(comm->backend->batch_create(comm, operations, bytes, batch));
  (*batch)->comm = comm;
  (*batch)->room = operations;
  return DTENSOR_OK;
}

void dti_batch_discard(dti_batch **batch) {
  if (*batch) (*batch)->comm->backend->batch_destroy(*batch);
  *batch = NULL;
}

dtensor_status dti_batch_create(dti_comm *comm, int64_t operations, const size_t bytes[],
                                dti_batch **batch) {
  *batch = NULL;
  DTI_TRY(dti_comm_check_open(comm));
  DTI_TRY(dti_batch_make(comm, operations, bytes, batch));
  dti_comm_retain(comm);
  return DTENSOR_OK;
}

void dti_batch_set_carrier(dti_batch *batch) { batch->is_carrier = 1; }

/* The index of the next operation, or an error. */
static dtensor_status begin(const dti_batch *batch) {
  DTI_CHECK(batch->failed == DTENSOR_OK, batch->failed, "communication has failed before");
  DTI_CHECK(batch->started < batch->room, DTENSOR_EINVAL,
            "more operations than the %" PRId64 " of the batch", batch->room);
  return dti_comm_check_open(batch->comm);
}

static dtensor_status began(dti_batch *batch, dtensor_status status) {
  if (status == DTENSOR_OK) {
    batch->started++;
    batch->open++;
  } else {
    batch->failed = status;
  }
  return status;
}

static dtensor_status check_peer(const dti_batch *batch, int peer) {
  DTI_CHECK(peer >= 0 && peer < batch->comm->size, DTENSOR_EINVAL,
            "rank %d is not one of the communicator's %d", peer, batch->comm->size);
  return DTENSOR_OK;
}

dtensor_status dti_batch_send(dti_batch *batch, const void *data, size_t bytes, int peer, int tag) {
  DTI_TRY(begin(batch));
  DTI_TRY(check_peer(batch, peer));
  const dti_backend *backend = batch->comm->backend;
  dtensor_status status = fail_if_asked();
  if (status == DTENSOR_OK) status = backend->send(batch, batch->started, data, bytes, peer, tag);
  DTI_TRY(began(batch, status));
  if (batch->is_carrier) {
    dti_event_counters()->messages_carried++;
    dti_event_counters()->bytes_carried += (int64_t)bytes;
  } else if (peer != batch->comm->rank) {
    dti_event_counters()->messages_sent++;
    dti_event_counters()->bytes_sent += (int64_t)bytes;
  }
  return DTENSOR_OK;
}

dtensor_status dti_batch_recv(dti_batch *batch, void *data, size_t bytes, int peer, int tag) {
  DTI_TRY(begin(batch));
  DTI_TRY(check_peer(batch, peer));
  const dti_backend *backend = batch->comm->backend;
  dtensor_status status = fail_if_asked();
  if (status == DTENSOR_OK) status = backend->recv(batch, batch->started, data, bytes, peer, tag);
  DTI_TRY(began(batch, status));
  if (!batch->is_carrier && peer != batch->comm->rank) {
    dti_event_counters()->messages_received++;
    dti_event_counters()->bytes_received += (int64_t)bytes;
  }
  return DTENSOR_OK;
}

dtensor_status dti_batch_allreduce(dti_batch *batch, int64_t values[], int n, dti_comm_op op) {
  DTI_TRY(begin(batch));
  DTI_CHECK(n >= 0 && n <= DTI_CONTROL_VALUES, DTENSOR_EINVAL,
            "an all-reduce of %d values; it takes up to %d", n, (int)DTI_CONTROL_VALUES);
  const dti_backend *backend = batch->comm->backend;
  DTI_TRY(began(batch, backend->allreduce(batch, batch->started, values, n, op)));
  dti_event_counters()->agreements++;
  return DTENSOR_OK;
}

dtensor_status dti_batch_allgather(dti_batch *batch, const void *in, size_t bytes, void *out) {
  DTI_TRY(begin(batch));
  const dti_backend *backend = batch->comm->backend;
  DTI_TRY(began(batch, backend->allgather(batch, batch->started, in, bytes, out)));
  dti_event_counters()->agreements++;
  return DTENSOR_OK;
}

dtensor_status dti_batch_alltoallv(dti_batch *batch, const void *in, const int in_bytes[],
                                   const int in_at[], void *out, const int out_bytes[],
                                   const int out_at[]) {
  DTI_TRY(begin(batch));
  return began(batch, batch->comm->backend->alltoallv(batch, batch->started, in, in_bytes, in_at,
                                                      out, out_bytes, out_at));
}

dtensor_status dti_batch_allgatherv(dti_batch *batch, const void *in, int bytes, void *out,
                                    const int out_bytes[], const int out_at[]) {
  DTI_TRY(begin(batch));
  return began(batch, batch->comm->backend->allgatherv(batch, batch->started, in, bytes, out,
                                                       out_bytes, out_at));
}

static dtensor_status test(dti_batch *batch, int64_t done[], int64_t *n) {
  *n = 0;
  DTI_CHECK(batch->failed == DTENSOR_OK, batch->failed, "communication has failed before");
  if (batch->open == 0) return DTENSOR_OK;
  batch->failed = fail_if_asked();
  if (batch->failed == DTENSOR_OK) batch->failed = batch->comm->backend->test(batch, done, n);
  if (batch->failed == DTENSOR_OK) batch->open -= *n;
  return batch->failed;
}

dtensor_status dti_batch_test(dti_batch *batch, int64_t done[], int64_t *n, int64_t *open) {
  const dtensor_status status = test(batch, done, n);
  *open = batch->open;
  return status;
}

dtensor_status dti_batch_wait(dti_batch *batch) {
  for (int64_t round = 0;;) {
    int64_t n;
    DTI_TRY(test(batch, NULL, &n));
    if (batch->open == 0) return DTENSOR_OK;
    round = n > 0 ? 0 : round + 1;
    if (n == 0) batch->comm->backend->idle(batch, round);
  }
}

void dti_batch_give_up(dti_batch *batch) {
  if (batch && batch->failed == DTENSOR_OK) batch->failed = DTENSOR_EMPI;
}

void dti_batch_destroy(dti_batch **batch) {
  if (!*batch) return;
  dti_comm *comm = (*batch)->comm;
  if ((*batch)->failed == DTENSOR_OK) (void)dti_batch_wait(*batch);
  dti_batch_discard(batch);
  dti_comm_release(&comm);
}
