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
#include "dtensor/spec/box.h"

/* One side: an array laid out over a mesh. data may be NULL where this rank has none. */
typedef struct dti_transfer_end {
  dtensor_mesh *mesh;
  const dti_layout *layout;
  void *data;
  const int64_t *stride;
} dti_transfer_end;

typedef struct dti_transfer dti_transfer;

/* Start. `box`: what moves, and where to; NULL: everything, then the global shapes are the same.
 * What the target holds outside of the box stays as it is. `mine`: what this rank alone has failed
 * at before; max_bytes: 0, or the most that a rank may receive. Both ends' arrays must live until
 * the end; layouts are copied. A transfer that moves nothing between ranks is complete at once,
 * without communication.
 *
 * Collective over the mesh, or, if the meshes differ, over their common communicator. */
dtensor_status dti_transfer_begin(const dti_transfer_end *from, const dti_transfer_end *to,
                                  const dti_box *box, dtensor_dtype dtype, int64_t max_bytes,
                                  dtensor_status mine, dti_transfer **transfer);

/* Advance all transfers of this thread without blocking. *done: 1 if this one is complete; the
 * status is its outcome then. */
dtensor_status dti_transfer_test(dti_transfer *transfer, int *done);

/* Complete it and free it. *transfer becomes NULL. */
dtensor_status dti_transfer_wait(dti_transfer **transfer);

/* begin and wait. */
dtensor_status dti_transfer_run(const dti_transfer_end *from, const dti_transfer_end *to,
                                const dti_box *box, dtensor_dtype dtype, int64_t max_bytes,
                                dtensor_status mine);

#endif
