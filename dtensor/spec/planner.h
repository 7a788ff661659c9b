/* Choosing how a tensor goes from one layout to another: the candidates, what each costs, the best.
 *
 * All of it follows from the layouts, the machine and the topology alone, so that every rank finds
 * the same without communication. Costs are those of the first two places of the mesh, the
 * last one and the last of the first line, the worst of them: no array has an entry per rank.
 * Whether a candidate fits a budget does not depend on them, but on what any rank needs at most
 * (buffers.h).
 *
 * What is never left to the machine is which sums are made in which order: results do not depend on
 * the figures of a calibration. */
#ifndef DTENSOR_SPEC_PLANNER_H_
#define DTENSOR_SPEC_PLANNER_H_

#include "dtensor/spec/cost.h"

typedef struct dti_question {
  const dti_layout *from, *to;
  int same_mesh;
  size_t element;
  int64_t max_bytes;      /* of workspace; 0: no limit */
  int64_t message_limit;  /* bytes of a collective in one direction; 0: no limit */
  int is_near;            /* all ranks share memory */
  unsigned inside_nodes;  /* bit m: ranks that differ in mesh dimension m alone share a node */
  int64_t most_on_a_node; /* ranks of a node, wherever they stand; 0: topology.ranks_per_node */
  /* On some rank the source is not packed, or in memory that its neighbours cannot read. */
  int is_strided, is_foreign;
  int in_batch; /* others travel with it: a few bytes are not gathered by messages of their own */
  const dtensor_machine *machine;
  dti_topology topology; /* of the larger mesh, if there are two */
} dti_question;

typedef struct dti_candidate {
  dti_engine engine;
  int fits; /* 0: its workspace is above max_bytes, however it is cut */
  int64_t rounds;
  dti_cost cost;
  dti_route route;
} dti_candidate;

#define DTI_CANDIDATES_MAX 12
typedef struct dti_candidates {
  int n; /* at least 1 */
  dti_candidate list[DTI_CANDIDATES_MAX];
} dti_candidates;

/* A chain of collectives may move an element more than once, where an exchange would send it
 * straight, if that saves at least this many messages. */
#define DTI_WORTH_A_DETOUR 32

/* A candidate that talks to more ranks than this, and to many times more than another one, is not
 * looked at: planning must not take longer than what is planned. */
#define DTI_MANY_PEERS 4096

/* Neither is a chain whose steps cut arrays into more pieces than this for each rank that it talks
 * to: planning takes a time and memory for each piece. */
#define DTI_PIECES_PER_PEER 150

/* A sum of more contributions than this is made along one mesh dimension after the other, the last
 * one first, as nobody can talk to so many. All others, and sums of 2-byte elements, are made at
 * once, in the order of mesh places. */
#define DTI_SUMS_AT_ONCE 4096

/* All of them, the best first: those that fit before those that do not, then the fastest, and
 * direct ones before others that are as fast.
 *
 * Errors: DTENSOR_ENOMEM */
dtensor_status dti_route_candidates(const dti_question *question, dti_candidates *candidates);

/* For tests: on this thread, candidates of that engine that fit come before all others, and steps
 * of collectives are not left to the direct engine. -1: as they are priced. */
void dti_route_force_engine(int engine);
int dti_route_forced_engine(void);

/* DTENSOR_EBUDGET if the best one does not fit. */
dtensor_status dti_route_check_budget(const dti_candidates *candidates, int64_t max_bytes);

#endif
