/* Taking a route: the state machine behind every redistribution.
 *
 * A transfer plans and allocates everything first, then the ranks agree that all of them could, and
 * only then data move; so no rank is left waiting for one that ran out of memory. It never blocks:
 * tests of any of a thread's transfers advance all of them, so that ranks may wait for several in
 * different orders. */
#ifndef DTENSOR_REDISTRIBUTE_TRANSFER_H_
#define DTENSOR_REDISTRIBUTE_TRANSFER_H_

#include "dtensor/comm/comm.h"
#include "dtensor/mesh/mesh.h"
#include "dtensor/redistribute.h"
#include "dtensor/spec/box.h"

/* One side: an array laid out over a mesh. data may be NULL where this rank has none. */
typedef struct dti_transfer_end {
  dtensor_mesh *mesh;
  const dti_layout *layout;
  void *data;
  const int64_t *stride;
} dti_transfer_end;

/* One tensor that moves. Both ends' arrays must live until the transfer ends; the rest is copied.
 * What the target holds outside of the box stays as it is. */
typedef struct dti_transfer_item {
  dti_transfer_end from, to;
  const dti_box *box; /* what moves, and where to; NULL: everything, of equal global shapes */
  dtensor_dtype dtype;
  struct dti_transfer_plan *plan; /* of everything, where it is known; else NULL. Borrowed */
  int is_private; /* the target may be memory that neighbours cannot reach; alike on all ranks */
  int is_strided, is_foreign; /* the source, on some rank (tensor.h) */
  int is_late; /* dti_transfers_begin(): the source has no values before it is released */
} dti_transfer_item;

typedef struct dti_transfer dti_transfer;

/* Start n >= 1 items, all from the same mesh to the same mesh: they travel together, one message
 * where each would send one. opts may be NULL. `mine`: what this rank alone has failed at before. A
 * transfer that moves nothing between ranks is complete at once, without communication.
 *
 * Collective over the mesh, or, if the meshes differ, over their common communicator. */
dtensor_status dti_transfer_begin(int n, const dti_transfer_item items[],
                                  const dtensor_redistribute_opts *opts, dtensor_status mine,
                                  dti_transfer **transfer);

/* Begin n transfers of one item each, all over the same ranks. They are planned and agreed on
 * together, and then all messages are announced before the first of them moves: the way to begin
 * pieces of one array that are waited for one by one. Each item has a box, and takes one exchange.
 * Blocks until all ranks have come; if any has failed, nothing has begun, on any rank.
 *
 * Collective as dti_transfer_begin(). */
dtensor_status dti_transfers_begin(int n, const dti_transfer_item items[], dtensor_status mine,
                                   dti_transfer *transfers[]);

/* The source of an item that is_late is ready. Local; every rank must come to it, or the others
 * wait. */
void dti_transfer_release(dti_transfer *transfer);

/* Before that: what other ranks get of the source is ready, what stays here is not. Local. */
void dti_transfer_release_sends(dti_transfer *transfer);

/* Advance all transfers of this thread without blocking. *done: 1 if this one is complete; the
 * status is its outcome then. */
dtensor_status dti_transfer_test(dti_transfer *transfer, int *done);

/* 1 if it is complete, well; without advancing anything. */
int dti_transfer_has_ended_well(const dti_transfer *transfer);

/* For those that wait for something else: advance all transfers of this thread and let time pass;
 * `round` counts how often this wait has come by. Transfers that wait for a rank that will never
 * come end with DTENSOR_EMPI. */
void dti_transfers_advance(int64_t round);

/* dti_comm_agree() while the transfers on their way go on: a rank may wait for one of them before
 * it comes. *agreed: all ranks have come; 0: communication is lost. Collective over comm. */
dtensor_status dti_transfers_agree(dti_comm *comm, dtensor_status mine, int *agreed);

/* For those who compute meanwhile: MPI makes progress with all transfers of this thread, and one of
 * them is advanced, another one each time. Cheaper than to advance all. */
void dti_transfers_help(void);

/* Complete it and free it. *transfer becomes NULL. */
dtensor_status dti_transfer_wait(dti_transfer **transfer);

/* begin and wait. */
dtensor_status dti_transfer_run(int n, const dti_transfer_item items[],
                                const dtensor_redistribute_opts *opts, dtensor_status mine);

#endif
