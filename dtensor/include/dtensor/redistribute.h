/* Changing how a tensor lies over its mesh, and moving it in and out. */
#ifndef DTENSOR_REDISTRIBUTE_H_
#define DTENSOR_REDISTRIBUTE_H_

#include <stdint.h>

#include "dtensor/mesh.h"
#include "dtensor/placement.h"
#include "dtensor/status.h"
#include "dtensor/tensor.h"
#include "dtensor/types.h"

#ifdef __cplusplus
extern "C" {
#endif

/* All zero is the default. */
typedef struct dtensor_redistribute_opts {
  /* The most bytes of buffers that a rank may allocate beside the source and the result; 0: no
   * limit. Messages are cut to fit, so that a transfer goes in rounds; what does not fit even so is
   * refused on every rank with DTENSOR_EBUDGET. */
  int64_t max_bytes;
  /* Refuse with DTENSOR_EBUDGET, on every rank, if any rank would have to receive more bytes than
   * this; 0: no limit. */
  int64_t max_received;
} dtensor_redistribute_opts;

/* Change how x is laid out over its mesh; the global value does not change.
 *
 * Collective over the mesh of x.
 *
 *   x     any placements.
 *   to    one placement per mesh dimension.
 *   opts  NULL for defaults.
 *   out   new tensor with storage of its own, owned by the caller.
 *
 * Cost: a direct exchange. Each rank receives the elements that it needs and does not hold, once:
 *   S -> R  all-gather      (p-1)/p n       P -> S  reduce-scatter  (p-1)/p n
 *   S -> S' all-to-all      (p-1)/p^2 n     P -> R  all-reduce      2 (p-1)/p n
 *   R -> anything, S -> P   nothing
 * bytes per rank for n bytes over a mesh dimension of p. Memory: x, out, and the bytes in flight.
 *
 * Sums of Partial values are made in the row-major order of all mesh coordinates that contribute,
 * whatever the engine, the machine and the timing, and rounded once: the bits are the same inside a
 * node and between nodes. There are two exceptions, between nodes, which depend on the layouts
 * alone: over several mesh dimensions, Partial tensors of at most 512 bytes whose contributions
 * together are more than 16 KiB are summed along one after the other, the first one first; and so
 * are larger ones of more than 4096 contributions, the last one first where shards of the target
 * that split one tensor dimension do not ask for another order. (Not bf16 and f16.)
 *
 * Replicate to Partial leaves the value on coordinate 0 and the identity of the reduction
 * elsewhere, so it is exact for integers too; Shard to Partial leaves every value where it is. A
 * Partial average is the one that rounds: all coordinates hold the value, and reading it back sums
 * and divides.
 *
 * Errors: DTENSOR_EPLACEMENT  `to` does not fit the shape or the mesh
 *         DTENSOR_EDTYPE      `to` has a reduction that the dtype does not have
 *         DTENSOR_EBUDGET     see opts
 *         DTENSOR_ENOMEM      on any rank: every rank returns it, unless nothing moves at all; then
 *                             no rank waits for another, and it fails alone
 *         DTENSOR_EMPI        MPI failed on this rank, or on one that this rank's part depends on.
 *                             The others have theirs, no rank is left waiting, and the mesh can be
 *                             used further, as long as MPI does what it is asked the second time
 *
 * Source: PyTorch DTensor.redistribute(); the exchange of index boxes: Kabic, Pintarelli,
 * Kozhevnikov, VandeVondele, "COSTA: communication-optimal shuffle and transpose algorithm", 2021.
 */
dtensor_status dtensor_redistribute(const dtensor *x, const dtensor_placement to[],
                                    const dtensor_redistribute_opts *opts, dtensor **out);

/* The same onto another mesh of the same communicator.
 *
 * Collective over that communicator: all of its ranks call, whether they are in one of the meshes,
 * both or none. A rank outside of a mesh has a handle without a local part there. */
dtensor_status dtensor_redistribute_to(const dtensor *x, dtensor_mesh *mesh,
                                       const dtensor_placement to[],
                                       const dtensor_redistribute_opts *opts, dtensor **out);

/* Several tensors of one mesh at once: what one rank sends another of all of them is one message,
 * so many small tensors cost the latency of one.
 *
 * Collective over the mesh.
 *
 *   n     tensors, at least 1.
 *   x     any shapes, dtypes and placements.
 *   to    for each tensor one placement per mesh dimension.
 *   out   room for n results. On an error all of them are NULL.
 *
 * Errors: as dtensor_redistribute(); DTENSOR_EMESH  the tensors are on different meshes
 *
 * Source: COSTA's batched transform (see dtensor_redistribute()). */
dtensor_status dtensor_redistribute_many(int n, const dtensor *const x[],
                                         const dtensor_placement *const to[],
                                         const dtensor_redistribute_opts *opts, dtensor *out[]);

/* A redistribution on its way. */
typedef struct dtensor_request dtensor_request;

/* Start a redistribution. x is retained until the request ends, and its elements must not be
 * changed before: dtensor_matmul_ex() refuses to write into it.
 *
 * Collective over the mesh of x, as are the test and wait that complete it; several requests may be
 * in flight when all ranks begin them in the same order. Progress is made in dtensor_request_test()
 * and _wait() of any of the thread's requests; MPI_THREAD_FUNNELED is enough.
 *
 * Errors: as dtensor_redistribute(); what is found later is returned by test or wait. */
dtensor_status dtensor_redistribute_begin(const dtensor *x, const dtensor_placement to[],
                                          const dtensor_redistribute_opts *opts,
                                          dtensor_request **request);

/* The same for several tensors, as dtensor_redistribute_many(). */
dtensor_status dtensor_redistribute_many_begin(int n, const dtensor *const x[],
                                               const dtensor_placement *const to[],
                                               const dtensor_redistribute_opts *opts,
                                               dtensor_request **request);

/* Make progress; *done becomes 1 when wait would not block. Safe to call again after that. */
dtensor_status dtensor_request_test(dtensor_request *request, int *done);

/* Complete the request, free it and give its result. *request becomes NULL, *out NULL on error.
 *
 * Errors: DTENSOR_EINVAL  the request is of several tensors; it goes on, and is not freed */
dtensor_status dtensor_request_wait(dtensor_request **request, dtensor **out);

/* Complete a request of n tensors, free it and give its results; all NULL on error. */
dtensor_status dtensor_request_wait_many(dtensor_request **request, int n, dtensor *out[]);

/* Complete a request whose result nobody wants, and free it. Accepts NULL, sets NULL.
 *
 * Collective over the mesh, as wait: peers are still reading this rank's source. */
void dtensor_request_destroy(dtensor_request **request);

/* Make a tensor of a global array.
 *
 * Collective over the mesh.
 *
 *   global  row-major, `shape`; read on mesh rank `src` only (others may pass NULL), or on every
 * rank if src is -1: then each rank copies its part and nothing is communicated. src     row-major
 * place in the mesh, or -1.
 *
 * Each rank receives what it owns and no more; no other rank than src ever holds a full copy unless
 * p asks for one. Replicas are made by a scatter and an all-gather.
 *
 * Errors: DTENSOR_EINVAL  src is out of range, or global is NULL where it is read
 *         and those of dtensor_empty(); DTENSOR_ENOMEM on any rank: every rank returns it
 *
 * Source: PyTorch distribute_tensor(). */
dtensor_status dtensor_distribute_tensor(dtensor_mesh *mesh, dtensor_dtype dtype, int ndim,
                                         const int64_t shape[], const void *global, int src,
                                         const dtensor_placement p[], dtensor **out);

/* Gather the whole tensor, row-major, into the caller's array on every rank of the mesh; Partial
 * values are reduced. Ranks outside of the mesh get DTENSOR_EMESH without taking part.
 *
 * Collective over the mesh of x.
 *
 * Source: PyTorch DTensor.full_tensor(). */
dtensor_status dtensor_full_tensor(const dtensor *x, void *global);

#ifdef __cplusplus
}
#endif
#endif
