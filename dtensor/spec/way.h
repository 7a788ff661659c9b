/* A way from one layout to another: the steps, and what they ask of a few ranks. Candidates of the
 * planner that differ in their engines only share it. */
#ifndef DTENSOR_SPEC_WAY_H_
#define DTENSOR_SPEC_WAY_H_

#include "dtensor/spec/chain.h"
#include "dtensor/spec/route.h"
#include "dtensor/spec/volume.h"

/* Where the ends of a way lie. */
typedef struct dti_way_ends {
  const dti_layout *from, *to;
  int same_mesh;
  int64_t from_ranks, to_ranks;
  int64_t ranks_per_node;
  int sums_at_once; /* as in dti_chain() */
} dti_way_ends;

/* The first place of the mesh and the last one: the most and the least that uneven shards give. And
 * the second and the last of the first line, which are off the diagonal, where transposes of blocks
 * move something: to near by and far away. */
enum { DTI_WAY_PLACES = 4 };

typedef struct dti_way {
  int steps;
  dti_step step[DTENSOR_MAX_NDIM];
  int64_t group[DTENSOR_MAX_NDIM]; /* ranks that talk to each other in a step, at most */
  dti_volume volume[DTI_WAY_PLACES][DTENSOR_MAX_NDIM]; /* of exchanges */
} dti_way;

/* The steps of a route as they are. */
void dti_way_of_route(const dti_way_ends *ends, const dti_route *route, dti_way *way);

/* A chain (chain.h) through each stretch of a route on one mesh; merged: gathers that follow each
 * other become one. 0 if that is more steps than a route can have. */
int dti_way_of_chain(const dti_way_ends *ends, const dti_route *route, dti_chain_order order,
                     int merged, dti_way *way);

/* Fill in the volumes. Errors: DTENSOR_ENOMEM */
dtensor_status dti_way_measure(const dti_way_ends *ends, dti_way *way);

/* The place that stands for `which` of these in the mesh of a layout. */
int64_t dti_way_place(int which, const dti_layout *layout);

/* Estimates that cost nothing: the ranks that a rank talks to, and the pieces of its arrays that
 * they make of them, in all steps. */
int64_t dti_way_peers_at_most(const dti_way_ends *ends, const dti_way *way);
int64_t dti_way_pieces_at_most(const dti_way_ends *ends, const dti_way *way);

/* Once it is measured: what a rank receives in all steps, and whether anything leaves a node in
 * one. */
dti_traffic dti_way_received(const dti_way *way, int which);
int dti_way_leaves_node(const dti_way *way, int step);

#endif
