/* What the files of the MPI backend share. */
#ifndef DTENSOR_COMM_MPI_INTERNAL_H_
#define DTENSOR_COMM_MPI_INTERNAL_H_

#include "dtensor/base/fail.h"
#include "dtensor/comm/backend.h"

typedef struct mpi_comm {
  dti_comm base;
  MPI_Comm comm; /* ours: a duplicate, or a group of one */
} mpi_comm;

/* A failed call of MPI as DTENSOR_EMPI, with MPI's own words. */
dtensor_status dti_mpi_fail(int code, const char *file, int line, const char *call);

#define DTI_TRY_MPI(call)                                                            \
  do {                                                                               \
    const int code_ = (call);                                                        \
    if (code_ != MPI_SUCCESS) return dti_mpi_fail(code_, __FILE__, __LINE__, #call); \
  } while (0)

/* DTENSOR_EMPI unless MPI is there and this thread may call it; the message says what to do. */
dtensor_status dti_mpi_ready(void);

/* 1 between MPI_Init and MPI_Finalize. */
int dti_mpi_running(void);

/* A handle of a communicator that is ours; on success it belongs to the handle. */
dtensor_status dti_mpi_comm_create(MPI_Comm ours, dti_comm **comm);

/* The duplicate that is cached on the user's communicator, or NULL. Borrowed. */
dtensor_status dti_mpi_cache_get(MPI_Comm user, dti_comm **comm);

/* Cache it there: with a reference, until the user frees theirs or MPI is finalised. */
dtensor_status dti_mpi_cache_put(MPI_Comm user, dti_comm *comm);

/* As if the user had freed theirs. */
void dti_mpi_cache_drop(MPI_Comm user);

/* ---- Shared memory of a node (mpi_peer.c) ---- */

void dti_mpi_card(dti_card *card);
void dti_mpi_reach(dti_comm *comm, const dti_card *card, dti_member *member, dti_reason *reason);
void dti_mpi_let_go(dti_member *member);
dtensor_status dti_mpi_check(dti_comm *comm, const dti_member *member);

/* ---- The rows of the table of functions that batches bring (mpi_batch.c) ---- */

dtensor_status dti_mpi_batch_create(dti_comm *comm, int64_t operations, const size_t bytes[],
                                    dti_batch **batch);
dtensor_status dti_mpi_send(dti_batch *batch, int64_t index, const void *data, size_t bytes,
                            int peer, int tag);
dtensor_status dti_mpi_recv(dti_batch *batch, int64_t index, void *data, size_t bytes, int peer,
                            int tag);
dtensor_status dti_mpi_allreduce(dti_batch *batch, int64_t index, int64_t values[], int n,
                                 dti_comm_op op);
dtensor_status dti_mpi_allgather(dti_batch *batch, int64_t index, const void *in, size_t bytes,
                                 void *out);
dtensor_status dti_mpi_alltoallv(dti_batch *batch, int64_t index, const void *in,
                                 const int in_bytes[], const int in_at[], void *out,
                                 const int out_bytes[], const int out_at[]);
dtensor_status dti_mpi_allgatherv(dti_batch *batch, int64_t index, const void *in, int bytes,
                                  void *out, const int out_bytes[], const int out_at[]);
dtensor_status dti_mpi_test(dti_batch *batch, int64_t done[], int64_t *n);
void dti_mpi_idle(dti_batch *batch, int64_t round);
void dti_mpi_batch_destroy(dti_batch *batch);

#endif
