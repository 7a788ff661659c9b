/* Node-shared tensors: the ranks of a node have one array, and each a window of it. */
#ifndef DTENSOR_NODE_SHARED_H_
#define DTENSOR_NODE_SHARED_H_

#include <stdint.h>

#include "dtensor/mesh.h"
#include "dtensor/placement.h"
#include "dtensor/redistribute.h"
#include "dtensor/status.h"
#include "dtensor/tensor.h"
#include "dtensor/types.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A copy of x that lives in node-wide arrays. Over the mesh dimensions of which every line of ranks
 * is inside one node, the ranks have one array in global order, and a shard is a strided window of
 * it: see dtensor_local_stride(). A replica is the array itself, once per node.
 *
 * Everything takes such a tensor, as it takes any other. dtensor_redistribute_consume() changes how
 * it lies without moving it.
 *
 * It is an ordinary tensor where that cannot be, on all ranks: no mesh dimension lies inside nodes,
 * memory is not shared there, or x has on such a dimension a Partial, block-cyclic or strided
 * placement, or a shard of what that dimension has split already lies across nodes.
 * dtensor_is_node_shared() tells.
 *
 * The array is memory of the rank with the lowest coordinates in its node, and is freed when the
 * last of the ranks has destroyed its tensor; that needs no communication.
 *
 * Collective over the mesh of x.
 *
 * Errors: DTENSOR_ENOMEM  on any rank: every rank returns it
 *         DTENSOR_EMPI    a rank has ended */
dtensor_status dtensor_share_node(const dtensor *x, dtensor **out);

/* As dtensor_empty(), but node-shared where dtensor_share_node() would be. To fill a replica, make
 * shards, write them and have dtensor_redistribute_consume() make it: a rank that asks for the
 * local data of a replica gets a copy of its own.
 *
 * Collective over the mesh.
 *
 * Errors: as dtensor_empty(); DTENSOR_ENOMEM on any rank: every rank returns it */
dtensor_status dtensor_empty_node_shared(dtensor_mesh *mesh, dtensor_dtype dtype, int ndim,
                                         const int64_t shape[], const dtensor_placement p[],
                                         dtensor **out);

/* 1 if this rank's part is a window of an array that its node shares. Local. */
int dtensor_is_node_shared(const dtensor *x);

/* Change how x is laid out, and give x up: as dtensor_redistribute() and dtensor_destroy(), but a
 * node-shared tensor that stays so moves nothing. Then ranks of a node meet once, and the result
 * has other strides in the same array: microseconds at any size, and no memory. The result is
 * node-shared, too.
 *
 * That takes S and R placements in runs on the mesh dimensions over which x is node-shared, the
 * placements on the others as they were, and that nobody else uses the tensor: if on any rank there
 * is another handle of it (dtensor_retain), a view, a request on its way, or local data of a
 * replica that the rank has made its own, all ranks agree to move the data, and the result is an
 * ordinary tensor. If the mesh lies on several nodes, that agreement is an all-reduce.
 *
 * Collective over the mesh of x.
 *
 *   x    *x becomes NULL on success. On failure it is as it was, and nothing is lost.
 *   out  another place than x. New tensor, owned by the caller; NULL on failure.
 *
 * Errors: as dtensor_redistribute() */
dtensor_status dtensor_redistribute_consume(dtensor **x, const dtensor_placement to[],
                                            const dtensor_redistribute_opts *opts, dtensor **out);

#ifdef __cplusplus
}
#endif
#endif
