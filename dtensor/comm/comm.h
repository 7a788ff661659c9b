/* Communication: one interface, implemented on MPI (mpi_*.c) and on threads of one process
 * (sim_*.c).
 *
 * A communicator is a list of ranks 0..size-1 with traffic of its own. All calls are made by the
 * thread that runs the rank. Nothing here blocks inside of MPI: waits test, yield, and test again,
 * so that more ranks than cores still make progress. */
#ifndef DTENSOR_COMM_COMM_H_
#define DTENSOR_COMM_COMM_H_

#include <mpi.h>
#include <stddef.h>
#include <stdint.h>

#include "dtensor/status.h"

typedef struct dti_comm dti_comm;

int dti_comm_rank(const dti_comm *comm);
int dti_comm_size(const dti_comm *comm);

/* One more user and one less: of the handle only. The MPI communicator under it lives until the
 * user frees theirs or MPI is finalised; after that calls return DTENSOR_EMPI. Release never
 * communicates. */
dti_comm *dti_comm_retain(dti_comm *comm);
void dti_comm_release(dti_comm **comm);

/* The library's duplicate of the user's communicator, made on first use and cached on it as an
 * attribute. Collective over user. The result is retained for the caller.
 *
 * Errors: DTENSOR_EMPI    MPI is not initialised or is finalised, is below MPI_THREAD_FUNNELED, or
 *                         this is not the thread that initialised it; MPI failed
 *         DTENSOR_EINVAL  MPI_COMM_NULL or an intercommunicator */
dtensor_status dti_comm_from_mpi(MPI_Comm user, dti_comm **comm);
dtensor_status dti_comm_from_fortran(MPI_Fint user, dti_comm **comm);

/* The communicator of some ranks of `parent`, in the given order; cached in parent, so the second
 * call with the same list is local. Collective over the listed ranks only; the others don't call.
 * The result is retained for the caller. */
dtensor_status dti_comm_group(dti_comm *parent, int n, const int ranks[], dti_comm **comm);

/* The MPI communicator under it; MPI_COMM_NULL for simulated ranks. */
MPI_Comm dti_comm_mpi(const dti_comm *comm);

/* Ranks of comm that live on this rank's node, this one included. Local. */
dtensor_status dti_comm_node_size(dti_comm *comm, int *size);

/* Something that another layer keeps with a communicator: it is given to free() with the handle, or
 * when it is replaced. NULL at first. */
void dti_comm_attach(dti_comm *comm, void *memory);
const void *dti_comm_attached(const dti_comm *comm);

/* A tag for one exchange: the same on all ranks, as they ask in the same order. */
int dti_comm_next_tag(dti_comm *comm);

/* ---- A batch: operations in flight together, completed together or one by one. ---- */

typedef enum dti_comm_op { DTI_COMM_MIN, DTI_COMM_MAX, DTI_COMM_SUM } dti_comm_op;
typedef struct dti_batch dti_batch;

/* Room for `operations`, of which the messages have `bytes[i]` bytes each (0 for control
 * operations): everything is allocated here, so that nothing can run out of memory later. bytes
 * NULL: all small. */
dtensor_status dti_batch_create(dti_comm *comm, int64_t operations, const size_t bytes[],
                                dti_batch **batch);

/* From now on its messages are those of a carrier (dti_counters): their bytes are not this rank's
 * own. */
void dti_batch_set_carrier(dti_batch *batch);

/* A batch that fails goes on, so that nobody waits in vain: each message that it is to send from
 * then on goes out empty, at which the receiver's batch fails, and what it receives is worth
 * nothing. A call of MPI that fails is made once more, which is all that can be done for a
 * collective. The functions below report success as long as that works; dti_batch_failure() tells
 * what has failed. If a call fails again the batch is lost: then they return the failure, and other
 * ranks may wait for ever.
 *
 * Start an operation. Buffers belong to the batch until it is done. Each has an index: 0, 1, 2, ...
 * in the order of these calls. Messages between two ranks match in order of tag and posting; any
 * length works, above the limit of MPI they are cut. A message to oneself is allowed. */
dtensor_status dti_batch_send(dti_batch *batch, const void *data, size_t bytes, int peer, int tag);
dtensor_status dti_batch_recv(dti_batch *batch, void *data, size_t bytes, int peer, int tag);

/* Control collectives over the whole communicator; all ranks start them in the same order. values
 * is replaced by the result; n <= 64. The all-gather takes `bytes` of every rank, in rank order. */
dtensor_status dti_batch_allreduce(dti_batch *batch, int64_t values[], int n, dti_comm_op op);
dtensor_status dti_batch_allgather(dti_batch *batch, const void *in, size_t bytes, void *out);

/* Data collectives over a lane (lane.h), as they start in the same order on all ranks. Per rank how
 * many bytes, and where they begin; what one says it sends is what the other says it receives. The
 * lists belong to the batch too until it is done. A total is at most dti_comm_message_limit(), and
 * they are made for batches with room for 0 bytes. The caller counts what they move: they also
 * bring a rank what it has itself. */
dtensor_status dti_batch_alltoallv(dti_batch *batch, const void *in, const int in_bytes[],
                                   const int in_at[], void *out, const int out_bytes[],
                                   const int out_at[]);
dtensor_status dti_batch_allgatherv(dti_batch *batch, const void *in, int bytes, void *out,
                                    const int out_bytes[], const int out_at[]);

/* Make progress without blocking. Writes the indices of operations that became complete in this
 * call to done[] (room for `operations`), their number to *n, and how many are still open to *open.
 */
dtensor_status dti_batch_test(dti_batch *batch, int64_t done[], int64_t *n, int64_t *open);

/* Complete all. Returns the first failure. */
dtensor_status dti_batch_wait(dti_batch *batch);

/* The first failure so far, its own or one that it was told. Local. */
dtensor_status dti_batch_failure(const dti_batch *batch);

/* Tell it of one: what it would send is not there. Local; NULL does nothing. */
void dti_batch_fail(dti_batch *batch, dtensor_status failure);

/* It is lost, because of this failure: nothing more is awaited, and what is in flight is taken back
 * when it is freed. Local; NULL does nothing. */
void dti_batch_give_up(dti_batch *batch, dtensor_status failure);

/* Free it. What is still in flight is completed first, unless it is lost. */
void dti_batch_destroy(dti_batch **batch);

/* ---- Blocking control collectives. A call of MPI that fails and goes well the second time is no
 * failure: no rank is told another outcome than the rest. ---- */

dtensor_status dti_comm_allreduce(dti_comm *comm, int64_t values[], int n, dti_comm_op op);
dtensor_status dti_comm_allgather(dti_comm *comm, const void *in, size_t bytes, void *out);

/* Agree on an outcome: if any rank brings a failure, every rank returns one: the rank that failed
 * its own, with its own message, the others the code of the lowest failing rank with a message that
 * names it. The one collective that stands before every place where one rank's early return would
 * hang the others. */
dtensor_status dti_comm_agree(dti_comm *comm, dtensor_status mine);

#define DTI_ALL_IS_WELL INT64_MAX

/* What dti_comm_agree does with a finished all-reduce (MIN of dti_agree_value(mine, rank)): for
 * those that run it inside of a batch. */
int64_t dti_agree_value(dtensor_status mine, int rank);
dtensor_status dti_agree_verdict(dtensor_status mine, int64_t reduced);

/* Let another thread or process run; `round` counts how often this wait has come by: spins first,
 * then yields, then sleeps for microseconds. */
void dti_comm_relax(int64_t round);

/* In a wait, the rounds between two looks at whether those that are waited for live. */
enum { DTI_ROUNDS_PER_CHECK = 1024 };
static inline int dti_comm_is_check_due(int64_t round) {
  return round % DTI_ROUNDS_PER_CHECK == DTI_ROUNDS_PER_CHECK - 1;
}

/* For tests: of the calls that start or test operations of batches on this thread, the next `after`
 * go well and the `times` behind them fail with DTENSOR_EMPI. Returns how many failures of the last
 * such call have not come. */
int64_t dti_comm_fail_after(int64_t after, int64_t times);

/* The largest message that goes to MPI in one piece, and the most that a data collective moves for
 * one rank; it fits an int. For tests it can be set (0: the default, 2^30 bytes). */
size_t dti_comm_message_limit(void);
void dti_comm_set_message_limit(size_t bytes);

#endif
