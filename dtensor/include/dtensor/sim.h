/* Simulated ranks: SPMD code on threads of one process, without a launcher and without MPI_Init.
 *
 * Everything that works on MPI ranks works here, so a test can run 64 ranks in a debugger or under
 * a sanitizer, and a program can use the library on one machine without MPI. */
#ifndef DTENSOR_SIM_H_
#define DTENSOR_SIM_H_

#include <stdint.h>

#include "dtensor/mesh.h"
#include "dtensor/status.h"

#ifdef __cplusplus
extern "C" {
#endif

/* One simulated rank; valid inside of `body`. */
typedef struct dtensor_sim dtensor_sim;

/* Run `body` once per rank, each on a thread of its own, and wait for all of them.
 *
 * Returns the first failure in rank order, with that rank's message, or DTENSOR_OK. When a rank
 * returns an error or ends while others wait for it in a collective call, these are released with
 * DTENSOR_EMPI: nothing hangs.
 *
 * Errors: DTENSOR_EINVAL  ranks < 1, or no body
 *         DTENSOR_ENOMEM  a thread could not be started
 *         and whatever body returns */
dtensor_status dtensor_sim_run(int ranks, dtensor_status (*body)(dtensor_sim *rank, void *ctx),
                               void *ctx);

/* The same on simulated nodes: each `ranks_per_node` ranks share one, the last ones what remains.
 * Only ranks of one node use each other's memory, as processes do.
 *
 * Errors: as dtensor_sim_run(), and DTENSOR_EINVAL if ranks_per_node < 1 */
dtensor_status dtensor_sim_run_nodes(int ranks, int ranks_per_node,
                                     dtensor_status (*body)(dtensor_sim *rank, void *ctx),
                                     void *ctx);

/* This rank, from 0, and how many there are. Local. */
int dtensor_sim_rank(const dtensor_sim *rank);
int dtensor_sim_size(const dtensor_sim *rank);

/* As dtensor_init_device_mesh() and dtensor_mesh_from_ranks(). Collective over all simulated ranks.
 */
dtensor_status dtensor_sim_init_device_mesh(dtensor_sim *rank, int ndim, const int64_t shape[],
                                            const dtensor_mesh_opts *opts, dtensor_mesh **mesh);
dtensor_status dtensor_sim_mesh_from_ranks(dtensor_sim *rank, int ndim, const int64_t shape[],
                                           const int ranks[], const dtensor_mesh_opts *opts,
                                           dtensor_mesh **mesh);

#ifdef __cplusplus
}
#endif
#endif
