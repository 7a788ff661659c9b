/* How redistributions are planned: what the planner knows of the machine, what it decides, and the
 * plans that it remembers. */
#ifndef DTENSOR_PLAN_H_
#define DTENSOR_PLAN_H_

#include <stddef.h>
#include <stdint.h>

#include "dtensor/machine.h"
#include "dtensor/mesh.h"
#include "dtensor/placement.h"
#include "dtensor/redistribute.h"
#include "dtensor/status.h"
#include "dtensor/tensor.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Measure the machine under a mesh and plan with the figures from now on.
 *
 * Collective over the communicator that the mesh was made on: all of its ranks call. Every mesh of
 * that communicator plans with the new figures; there should be no request in flight.
 *
 *   path     NULL, or a file that rank 0 writes the figures to
 *   machine  NULL, or where the figures go, the same numbers on every rank
 *
 * Messages go back and forth between rank 0 and a rank of its node, and one of another node; where
 * there is no such rank, the figures stay what they were. Copies, packing, additions and matrix
 * multiplications are timed on all ranks at once, as they share the memory, and the slowest counts.
 * Cost: about a quarter of a second, and what 36 MiB take on the wire between nodes; 32 MiB per
 * rank.
 *
 * Errors: DTENSOR_EIO     the file cannot be written: on every rank; the figures are not taken
 *         DTENSOR_ENOMEM  on any rank: every rank returns it */
dtensor_status dtensor_calibrate(dtensor_mesh *mesh, const char *path, dtensor_machine *machine);

/* Plan with the figures of a file that dtensor_calibrate() wrote, or that was written by hand: one
 * `name value unit` per line, the names those of dtensor_machine, `#` for comments. What is not
 * named keeps its default. Rank 0 reads it.
 *
 * Collective over the communicator that the mesh was made on.
 *
 * Errors: DTENSOR_EIO     the file cannot be read: on every rank
 *         DTENSOR_EINVAL  a line of it is wrong; rank 0's message tells which */
dtensor_status dtensor_machine_load(dtensor_mesh *mesh, const char *path);

/* The figures that tensors on this mesh are planned with. Local. */
dtensor_machine dtensor_machine_of(const dtensor_mesh *mesh);

/* The ways to carry out a plan. */
typedef enum dtensor_engine {
  DTENSOR_ENGINE_DIRECT,      /* each element once from a rank that has it, in one or two exchanges;
                                 ranks of a node read each other's memory */
  DTENSOR_ENGINE_COLLECTIVE,  /* one collective after the other, each over some mesh dimensions */
  DTENSOR_ENGINE_HIERARCHICAL /* direct, but between two nodes all goes in one message */
} dtensor_engine;

/* One plan that was considered. Figures are those of the busiest of four ranks, the first two of
 * the mesh, the last one and the last of its first line: they are the same on every rank. Whether
 * it fits max_bytes does not depend on these four: no rank may need more, and what any rank needs
 * at most follows from the layouts. */
typedef struct dtensor_plan_option {
  dtensor_engine engine;
  int steps;              /* one after the other */
  int64_t rounds;         /* parts that messages are cut into to fit max_bytes; 1: none */
  int64_t messages;       /* received or sent, whichever is more */
  int64_t bytes_received; /* by messages or from other ranks' memory */
  int64_t bytes_sent;
  int64_t workspace; /* bytes in use at the same time beside source and target; where it does not
                        fit, the least max_bytes that it does fit */
  double seconds;    /* predicted */
  int fits;          /* 0: some rank may need more than max_bytes, however many rounds */
  int chosen;
} dtensor_plan_option;

/* What a redistribution would do. */
#define DTENSOR_PLAN_OPTIONS 12
typedef struct dtensor_plan_info {
  dtensor_engine engine;
  int steps;
  int64_t rounds;
  /* Of this rank: what dtensor_comm_stats() counts when the redistribution is run. A message that
   * is cut, to fit max_bytes or because it is longer than 4 MiB, is one here; its pieces count. */
  int64_t messages_received, messages_sent;
  int64_t bytes_received, bytes_sent;
  int64_t workspace; /* as in the chosen option, like seconds */
  double seconds;
  int64_t ranks_per_node;
  int shared_memory; /* 1: ranks of a node read each other's memory */
  int options;       /* how many plans were considered; 0: nothing moves between ranks */
  dtensor_plan_option option[DTENSOR_PLAN_OPTIONS]; /* the best first */
} dtensor_plan_info;

/* What dtensor_redistribute(x, to, opts) would do, without doing it.
 *
 * Local. The plan is remembered, so the redistribution that follows need not plan again.
 *
 *   opts  NULL for defaults; max_received is not looked at (see bytes_received of each rank)
 *   info  NULL, or where the figures go
 *   text  NULL, or where a table for people goes, cut to fit `size` and ended by a zero
 *
 * Errors: those of dtensor_redistribute() that its arguments cause; DTENSOR_EBUDGET if no plan fits
 * max_bytes: then info and text show the plans all the same */
dtensor_status dtensor_explain(const dtensor *x, const dtensor_placement to[],
                               const dtensor_redistribute_opts *opts, dtensor_plan_info *info,
                               char *text, size_t size);

/* Plans are remembered, so that the same redistribution is planned once. The calling thread's: that
 * is the rank's. */
typedef struct dtensor_plan_cache_info {
  int64_t hits, misses; /* since the start or the last clear */
  int64_t plans, bytes; /* remembered now */
} dtensor_plan_cache_info;

/* Read the figures; forget all plans and start the figures anew. Local. */
void dtensor_plan_cache_stats(dtensor_plan_cache_info *info);
void dtensor_plan_cache_clear(void);

/* How much may be remembered: at first 256 plans of at most 8 MiB together. The plans that were not
 * used for the longest time go first; a plan that is larger than the limit is not remembered; 0
 * turns it off. Local. */
void dtensor_plan_cache_limit(int64_t plans, int64_t bytes);

#ifdef __cplusplus
}
#endif
#endif
