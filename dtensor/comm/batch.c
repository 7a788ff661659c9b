#include <inttypes.h>

#include "dtensor/base/event.h"
#include "dtensor/base/fail.h"
#include "dtensor/comm/backend.h"
#include "dtensor/comm/comm.h"

static _Thread_local int64_t fail_after, failures_left;

int64_t dti_comm_fail_after(int64_t after, int64_t times) {
  const int64_t left = failures_left;
  fail_after = after;
  failures_left = times;
  return left;
}

static dtensor_status fail_if_asked(void) {
  if (failures_left == 0 || fail_after-- > 0) return DTENSOR_OK;
  fail_after = 0;
  failures_left--;
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

dtensor_status dti_batch_failure(const dti_batch *batch) { return batch->failed; }

void dti_batch_fail(dti_batch *batch, dtensor_status failure) {
  if (batch && batch->failed == DTENSOR_OK) batch->failed = failure;
}

void dti_batch_give_up(dti_batch *batch, dtensor_status failure) {
  if (!batch) return;
  dti_batch_fail(batch, failure);
  batch->is_lost = 1;
}

dtensor_status dti_message_failure(int peer, int64_t received, int64_t expected) {
  if (received == 0)
    return DTI_FAIL(DTENSOR_EMPI, "rank %d has failed, and sends none of %" PRId64 " bytes", peer,
                    expected);
  return DTI_FAIL(DTENSOR_EMPI,
                  "a message of %" PRId64 " bytes from rank %d met a receive of %" PRId64 " bytes",
                  received, peer, expected);
}

/* Whether another operation may start. */
static dtensor_status check_room(const dti_batch *batch) {
  if (batch->is_lost) return batch->failed;
  DTI_CHECK(batch->started < batch->room, DTENSOR_EINVAL,
            "more operations than the %" PRId64 " of the batch", batch->room);
  return dti_comm_check_open(batch->comm);
}

static dtensor_status began(dti_batch *batch, dtensor_status status) {
  if (status == DTENSOR_OK) {
    batch->started++;
    batch->open++;
  } else {
    batch->is_lost = 1;
  }
  return status;
}

/* Start an operation by a call of the backend, by a second one if the first fails. */
#define START(batch, call)                                       \
  do {                                                           \
    dtensor_status status_ = DTENSOR_EMPI;                       \
    for (int i_ = 0; i_ < 2 && status_ != DTENSOR_OK; i_++) {    \
      status_ = fail_if_asked();                                 \
      if (status_ == DTENSOR_OK) status_ = (call);               \
      if (status_ != DTENSOR_OK) dti_batch_fail(batch, status_); \
    }                                                            \
    DTI_TRY(began(batch, status_));                              \
  } while (0)

static dtensor_status check_peer(const dti_batch *batch, int peer) {
  DTI_CHECK(peer >= 0 && peer < batch->comm->size, DTENSOR_EINVAL,
            "rank %d is not one of the communicator's %d", peer, batch->comm->size);
  return DTENSOR_OK;
}

dtensor_status dti_batch_send(dti_batch *batch, const void *data, size_t bytes, int peer, int tag) {
  DTI_TRY(check_room(batch));
  DTI_TRY(check_peer(batch, peer));
  START(batch, batch->comm->backend->send(batch, batch->started, data, bytes, peer, tag));
  if (batch->failed != DTENSOR_OK) return DTENSOR_OK;
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
  DTI_TRY(check_room(batch));
  DTI_TRY(check_peer(batch, peer));
  START(batch, batch->comm->backend->recv(batch, batch->started, data, bytes, peer, tag));
  if (!batch->is_carrier && peer != batch->comm->rank) {
    dti_event_counters()->messages_received++;
    dti_event_counters()->bytes_received += (int64_t)bytes;
  }
  return DTENSOR_OK;
}

dtensor_status dti_batch_allreduce(dti_batch *batch, int64_t values[], int n, dti_comm_op op) {
  DTI_TRY(check_room(batch));
  DTI_CHECK(n >= 0 && n <= DTI_CONTROL_VALUES, DTENSOR_EINVAL,
            "an all-reduce of %d values; it takes up to %d", n, (int)DTI_CONTROL_VALUES);
  START(batch, batch->comm->backend->allreduce(batch, batch->started, values, n, op));
  dti_event_counters()->agreements++;
  return DTENSOR_OK;
}

dtensor_status dti_batch_allgather(dti_batch *batch, const void *in, size_t bytes, void *out) {
  DTI_TRY(check_room(batch));
  START(batch, batch->comm->backend->allgather(batch, batch->started, in, bytes, out));
  dti_event_counters()->agreements++;
  return DTENSOR_OK;
}

dtensor_status dti_batch_alltoallv(dti_batch *batch, const void *in, const int in_bytes[],
                                   const int in_at[], void *out, const int out_bytes[],
                                   const int out_at[]) {
  DTI_TRY(check_room(batch));
  START(batch, batch->comm->backend->alltoallv(batch, batch->started, in, in_bytes, in_at, out,
                                               out_bytes, out_at));
  return DTENSOR_OK;
}

dtensor_status dti_batch_allgatherv(dti_batch *batch, const void *in, int bytes, void *out,
                                    const int out_bytes[], const int out_at[]) {
  DTI_TRY(check_room(batch));
  START(batch,
        batch->comm->backend->allgatherv(batch, batch->started, in, bytes, out, out_bytes, out_at));
  return DTENSOR_OK;
}

static dtensor_status test(dti_batch *batch, int64_t done[], int64_t *n) {
  *n = 0;
  if (batch->is_lost) return batch->failed;
  if (batch->open == 0) return DTENSOR_OK;
  dtensor_status status = fail_if_asked();
  if (status == DTENSOR_OK) status = batch->comm->backend->test(batch, done, n);
  batch->open -= *n;
  if (status == DTENSOR_OK) {
    batch->failed_tests = 0;
    return DTENSOR_OK;
  }
  dti_batch_fail(batch, status);
  batch->is_lost = ++batch->failed_tests > 1;
  return batch->is_lost ? batch->failed : DTENSOR_OK;
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
    if (batch->open == 0) return batch->failed;
    round = n > 0 ? 0 : round + 1;
    if (n == 0) batch->comm->backend->idle(batch, round);
  }
}

void dti_batch_destroy(dti_batch **batch) {
  if (!*batch) return;
  dti_comm *comm = (*batch)->comm;
  (void)dti_batch_wait(*batch);
  dti_batch_discard(batch);
  dti_comm_release(&comm);
}
