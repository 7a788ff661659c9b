#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>

#include "dtensor/comm/large_count.h"
#include "dtensor/comm/mpi_internal.h"

/* What belongs to one request: a message, a piece of one that was cut, or a collective. */
typedef struct mpi_piece {
  int64_t operation;
  int bytes; /* that a receive must bring, or -1 */
} mpi_piece;

typedef struct mpi_batch {
  dti_batch base;
  size_t limit; /* of one piece, as it was when the batch was made */
  int room;     /* requests */
  int in_flight;
  MPI_Request *request; /* those in flight, without gaps, so that testing them costs what is left */
  mpi_piece *piece;     /* in step with request */
  int64_t *pieces_left; /* by operation */
  int *completed;       /* what MPI_Testsome finds */
  MPI_Status *status;
} mpi_batch;

static MPI_Comm mpi_of(const dti_batch *batch) { return ((mpi_comm *)batch->comm)->comm; }

static void free_batch(mpi_batch *batch) {
  free(batch->request);
  free(batch->piece);
  free(batch->pieces_left);
  free(batch->completed);
  free(batch->status);
  free(batch);
}

dtensor_status dti_mpi_batch_create(dti_comm *comm, int64_t operations, const size_t bytes[],
                                    dti_batch **out) {
  (void)comm;
  const size_t limit = dti_comm_message_limit();
  size_t requests = (size_t)operations;
  if (bytes)
    for (int64_t i = 0; i < operations; i++) requests += dti_message_pieces(bytes[i], limit) - 1;
  DTI_CHECK(requests <= INT_MAX, DTENSOR_ENOMEM, "%zu messages at once", requests);

  mpi_batch *batch = calloc(1, sizeof *batch);
  DTI_CHECK(batch, DTENSOR_ENOMEM, "a batch of %" PRId64 " messages", operations);
  const size_t n = requests > 0 ? requests : 1;
  batch->request = malloc(n * sizeof *batch->request);
  batch->piece = malloc(n * sizeof *batch->piece);
  batch->pieces_left = calloc(n, sizeof *batch->pieces_left);
  batch->completed = malloc(n * sizeof *batch->completed);
  batch->status = malloc(n * sizeof *batch->status);
  if (!batch->request || !batch->piece || !batch->pieces_left || !batch->completed ||
      !batch->status) {
    free_batch(batch);
    return DTI_FAIL(DTENSOR_ENOMEM, "a batch of %" PRId64 " messages", operations);
  }
  batch->limit = limit;
  batch->room = (int)requests;
  *out = &batch->base;
  return DTENSOR_OK;
}

/* The request that was started last, at the end of the list, is in flight from now on. */
static void started(mpi_batch *batch, int64_t operation, int bytes) {
  batch->piece[batch->in_flight++] = (mpi_piece){operation, bytes};
  batch->pieces_left[operation]++;
}

static dtensor_status check_room(const mpi_batch *batch, size_t pieces) {
  DTI_CHECK(pieces <= (size_t)(batch->room - batch->in_flight), DTENSOR_EINVAL,
            "a message is longer than its batch was made for");
  return DTENSOR_OK;
}

static int piece_bytes(size_t bytes, size_t begin, size_t limit) {
  return (int)(bytes - begin < limit ? bytes - begin : limit);
}

dtensor_status dti_mpi_send(dti_batch *base, int64_t index, const void *data, size_t bytes,
                            int peer, int tag) {
  mpi_batch *batch = (mpi_batch *)base;
  const size_t pieces = dti_message_pieces(bytes, batch->limit);
  const size_t begun = (size_t)batch->pieces_left[index]; /* when the call is made again */
  DTI_TRY(check_room(batch, pieces - begun));
  for (size_t i = begun; i < pieces; i++) {
    const size_t begin = i * batch->limit;
    const int n = base->failed == DTENSOR_OK ? piece_bytes(bytes, begin, batch->limit) : 0;
    DTI_TRY_MPI(MPI_Isend(n > 0 ? (const char *)data + begin : NULL, n, MPI_BYTE, peer, tag,
                          mpi_of(base), &batch->request[batch->in_flight]));
    started(batch, index, -1);
  }
  return DTENSOR_OK;
}

dtensor_status dti_mpi_recv(dti_batch *base, int64_t index, void *data, size_t bytes, int peer,
                            int tag) {
  mpi_batch *batch = (mpi_batch *)base;
  const size_t pieces = dti_message_pieces(bytes, batch->limit);
  const size_t begun = (size_t)batch->pieces_left[index];
  DTI_TRY(check_room(batch, pieces - begun));
  for (size_t i = begun; i < pieces; i++) {
    const size_t begin = i * batch->limit;
    const int n = piece_bytes(bytes, begin, batch->limit);
    DTI_TRY_MPI(MPI_Irecv(bytes > 0 ? (char *)data + begin : NULL, n, MPI_BYTE, peer, tag,
                          mpi_of(base), &batch->request[batch->in_flight]));
    started(batch, index, n);
  }
  return DTENSOR_OK;
}

dtensor_status dti_mpi_allreduce(dti_batch *base, int64_t index, int64_t values[], int n,
                                 dti_comm_op op) {
  mpi_batch *batch = (mpi_batch *)base;
  const MPI_Op ops[] = {
      [DTI_COMM_MIN] = MPI_MIN, [DTI_COMM_MAX] = MPI_MAX, [DTI_COMM_SUM] = MPI_SUM};
  DTI_TRY(check_room(batch, 1));
  DTI_TRY_MPI(MPI_Iallreduce(MPI_IN_PLACE, values, n, MPI_INT64_T, ops[op], mpi_of(base),
                             &batch->request[batch->in_flight]));
  started(batch, index, -1);
  return DTENSOR_OK;
}

dtensor_status dti_mpi_allgather(dti_batch *base, int64_t index, const void *in, size_t bytes,
                                 void *out) {
  mpi_batch *batch = (mpi_batch *)base;
  DTI_TRY(check_room(batch, 1));
  DTI_CHECK(bytes <= INT_MAX, DTENSOR_EINVAL, "an all-gather of %zu bytes", bytes);
  DTI_TRY_MPI(MPI_Iallgather(in, (int)bytes, MPI_BYTE, out, (int)bytes, MPI_BYTE, mpi_of(base),
                             &batch->request[batch->in_flight]));
  started(batch, index, -1);
  return DTENSOR_OK;
}

dtensor_status dti_mpi_alltoallv(dti_batch *base, int64_t index, const void *in,
                                 const int in_bytes[], const int in_at[], void *out,
                                 const int out_bytes[], const int out_at[]) {
  mpi_batch *batch = (mpi_batch *)base;
  DTI_TRY(check_room(batch, 1));
  DTI_TRY_MPI(MPI_Ialltoallv(in, in_bytes, in_at, MPI_BYTE, out, out_bytes, out_at, MPI_BYTE,
                             mpi_of(base), &batch->request[batch->in_flight]));
  started(batch, index, -1);
  return DTENSOR_OK;
}

dtensor_status dti_mpi_allgatherv(dti_batch *base, int64_t index, const void *in, int bytes,
                                  void *out, const int out_bytes[], const int out_at[]) {
  mpi_batch *batch = (mpi_batch *)base;
  DTI_TRY(check_room(batch, 1));
  DTI_TRY_MPI(MPI_Iallgatherv(in, bytes, MPI_BYTE, out, out_bytes, out_at, MPI_BYTE, mpi_of(base),
                              &batch->request[batch->in_flight]));
  started(batch, index, -1);
  return DTENSOR_OK;
}

/* Close the gaps that completed requests leave; the rest keep their order. */
static void compact(mpi_batch *batch) {
  int kept = 0;
  for (int i = 0; i < batch->in_flight; i++) {
    if (batch->request[i] == MPI_REQUEST_NULL) continue;
    batch->request[kept] = batch->request[i];
    batch->piece[kept++] = batch->piece[i];
  }
  batch->in_flight = kept;
}

/* Whether what has ended went right; code: of the MPI_Testsome that found it. */
static dtensor_status check_piece(const mpi_piece *piece, const MPI_Status *status, int code) {
  if (code == MPI_ERR_IN_STATUS && status->MPI_ERROR != MPI_SUCCESS)
    return dti_mpi_fail(status->MPI_ERROR, __FILE__, __LINE__, "a message");
  if (piece->bytes < 0) return DTENSOR_OK;
  int received = 0;
  MPI_Get_count(status, MPI_BYTE, &received);
  return received == piece->bytes ? DTENSOR_OK
                                  : dti_message_failure(status->MPI_SOURCE, received, piece->bytes);
}

dtensor_status dti_mpi_test(dti_batch *base, int64_t done[], int64_t *n) {
  mpi_batch *batch = (mpi_batch *)base;
  if (base->comm->closed) /* what is in flight goes on, unless MPI itself has ended */
    DTI_CHECK(dti_mpi_running(), DTENSOR_EMPI, "MPI is finalised");
  int completed = 0;
  const int code =
      MPI_Testsome(batch->in_flight, batch->request, &completed, batch->completed, batch->status);
  if (code != MPI_SUCCESS && code != MPI_ERR_IN_STATUS)
    return dti_mpi_fail(code, __FILE__, __LINE__, "MPI_Testsome");
  if (completed == MPI_UNDEFINED || completed == 0) return DTENSOR_OK;
  for (int i = 0; i < completed; i++) {
    const mpi_piece *piece = &batch->piece[batch->completed[i]];
    if (base->failed == DTENSOR_OK) base->failed = check_piece(piece, &batch->status[i], code);
    if (--batch->pieces_left[piece->operation] > 0) continue;
    if (done) done[*n] = piece->operation;
    ++*n;
  }
  compact(batch);
  return DTENSOR_OK;
}

void dti_mpi_idle(dti_batch *batch, int64_t round) {
  (void)batch;
  dti_comm_relax(round);
}

/* In a batch that is lost there is no telling whether a request ever ends: receives are cancelled,
 * so that nothing arrives in memory that is used for something else; sends are left to MPI. */
static void give_up(mpi_batch *batch) {
  for (int i = 0; i < batch->in_flight; i++) {
    if (batch->piece[i].bytes < 0) continue;
    MPI_Cancel(&batch->request[i]);
    MPI_Request_free(&batch->request[i]);
  }
}

void dti_mpi_batch_destroy(dti_batch *base) {
  mpi_batch *batch = (mpi_batch *)base;
  if (batch->in_flight > 0 && dti_mpi_running()) give_up(batch);
  free_batch(batch);
}
