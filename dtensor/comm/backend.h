/* Inside of a communicator: what all backends share, and the table of what each one brings. */
#ifndef DTENSOR_COMM_BACKEND_H_
#define DTENSOR_COMM_BACKEND_H_

#include "dtensor/base/refcount.h"
#include "dtensor/comm/lane.h"
#include "dtensor/comm/node.h"

/* Why not, as a sentence; "": it is fine. */
typedef struct dti_reason {
  char text[104];
} dti_reason;

typedef struct dti_card dti_card;
typedef struct dti_member dti_member;

typedef struct dti_backend {
  /* The end of all communication: frees what lies under the handle. Called once. */
  void (*close)(dti_comm *comm);
  /* Frees the memory of a closed handle. */
  void (*destroy)(dti_comm *comm);
  /* A communicator of the listed ranks of parent, where this one becomes `rank`; a lane has nothing
   * in common with a group of the same ranks. `mine`: what this rank has failed at before, which is
   * then the failure of all. */
  dtensor_status (*group)(dti_comm *parent, int n, const int ranks[], int rank, int is_lane,
                          dtensor_status mine, dti_comm **group);
  MPI_Comm (*mpi)(const dti_comm *comm);

  /* ---- Memory that ranks of a node share (node_internal.h) ---- */

  /* Fill in what others find this rank's memory by, or the reason why they cannot. */
  void (*card)(dti_card *card);
  /* Fill in the memory of the member that has this card, or the reason. */
  void (*reach)(dti_comm *comm, const dti_card *card, dti_member *member, dti_reason *reason);
  void (*let_go)(dti_member *member);
  int64_t (*export_memory)(const void *data, size_t bytes);
  dtensor_status (*check)(dti_comm *comm, const dti_member *member);

  /* ---- Batches ---- */

  /* An empty batch; the caller fills in its head. */
  dtensor_status (*batch_create)(dti_comm *comm, int64_t operations, const size_t bytes[],
                                 dti_batch **batch);
  /* Start the operation that has this index. A message of a batch that has failed is sent empty.
   * After an error the call is made again, for what of the operation it has not started. */
  dtensor_status (*send)(dti_batch *batch, int64_t index, const void *data, size_t bytes, int peer,
                         int tag);
  dtensor_status (*recv)(dti_batch *batch, int64_t index, void *data, size_t bytes, int peer,
                         int tag);
  dtensor_status (*allreduce)(dti_batch *batch, int64_t index, int64_t values[], int n,
                              dti_comm_op op);
  dtensor_status (*allgather)(dti_batch *batch, int64_t index, const void *in, size_t bytes,
                              void *out);
  dtensor_status (*alltoallv)(dti_batch *batch, int64_t index, const void *in, const int in_bytes[],
                              const int in_at[], void *out, const int out_bytes[],
                              const int out_at[]);
  dtensor_status (*allgatherv)(dti_batch *batch, int64_t index, const void *in, int bytes,
                               void *out, const int out_bytes[], const int out_at[]);
  /* Progress; done may be NULL. An operation that has failed is complete: base.failed tells. An
   * error is one of the call itself. */
  dtensor_status (*test)(dti_batch *batch, int64_t done[], int64_t *n);
  /* Let time pass until a test may find something; `round` as in dti_comm_relax(). */
  void (*idle)(dti_batch *batch, int64_t round);
  /* Gives up what is in flight and frees the batch. */
  void (*batch_destroy)(dti_batch *batch);
} dti_backend;

enum { DTI_CONTROL_VALUES = 64 }; /* the most that an all-reduce takes */

struct dti_comm {
  dti_refcount refs;
  const dti_backend *backend;
  int rank, size;
  int tag, tag_limit; /* the last one given out, and the largest allowed */
  int closed;
  /* Room for one control collective: ranks can agree that there is no memory without needing any.
   */
  dti_batch *control;
  int64_t
      control_values[DTI_CONTROL_VALUES]; /* what it reduces: after a failure it may still run */
  int *node_of, nodes, node_size;         /* of each rank; in all; ranks on this one's */
  dti_node *node; /* NULL: not asked for yet, or nobody to share memory with */
  int node_asked, nodes_share;
  dti_reason node_reason;
  void *attached; /* by another layer; NULL: nothing */
  int *ranks;     /* of a group or lane: its ranks in the parent */
  int is_lane;
  dti_turn *turns;         /* of a lane: taken and not left, in order */
  dti_comm *groups, *next; /* made from this one, each with a reference; the next of the parent's */
};

struct dti_batch {
  dti_comm *comm;
  int64_t room, started, open;
  int is_carrier;
  dtensor_status failed; /* what the first failure was */
  int failed_tests;      /* in a row */
  int is_lost;           /* nothing is started or awaited any more */
};

/* The failure of a receive that met a message of another length. */
dtensor_status dti_message_failure(int peer, int64_t received, int64_t expected);

/* Fill in the shared part of a new handle, with one reference. On failure nothing is held. */
dtensor_status dti_comm_init(dti_comm *comm, const dti_backend *backend, int rank, int size);

/* Ranks with the same key, of 0, ..., keys - 1, live on one node; number[keys] is for its work. In
 * a new handle all ranks live on one. */
void dti_comm_set_nodes(dti_comm *comm, const int key[], int keys, int number[]);

/* The communicator of these ranks in the parent's list of groups, or NULL. Borrowed. */
dti_comm *dti_comm_find(const dti_comm *parent, int n, const int ranks[], int is_lane);

/* A new one, which is not in that list. Collective over the listed ranks. */
dtensor_status dti_comm_make(dti_comm *parent, int n, const int ranks[], int is_lane,
                             dti_comm **group);

/* Put it there. */
void dti_comm_keep(dti_comm *parent, dti_comm *group);

/* Close a communicator and the groups made from it. Handles stay valid, calls fail from now on. */
void dti_comm_close(dti_comm *comm);

/* DTENSOR_EMPI if it was closed. */
dtensor_status dti_comm_check_open(const dti_comm *comm);

/* As dti_batch_create() and dti_batch_destroy(), without a reference to comm and without waiting.
 */
dtensor_status dti_batch_make(dti_comm *comm, int64_t operations, const size_t bytes[],
                              dti_batch **batch);
void dti_batch_discard(dti_batch **batch);

#endif
