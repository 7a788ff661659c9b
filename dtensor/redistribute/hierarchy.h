/* Hierarchical transport: what all ranks of one node send to all ranks of another goes between two
 * carriers, one of each node. The sending carrier packs it straight from its neighbours' arrays;
 * the receiving one keeps the message where its neighbours read their parcels from it, together
 * with those of their own node. What several ranks of a node want of one rank crosses the wire
 * once.
 *
 * The members of a node share out the other nodes: to the k-th node after theirs, in a circle, the
 * carrier is member k modulo their number. The ranks of a node wait for each other twice: until all
 * arrays are there, and until all messages are. */
#ifndef DTENSOR_REDISTRIBUTE_HIERARCHY_H_
#define DTENSOR_REDISTRIBUTE_HIERARCHY_H_

#include "dtensor/redistribute/manifest.h"

/* All that goes to, or comes from, another node. It travels in pieces of DTI_STREAM_CHUNK bytes. */
typedef struct dti_freight {
  int node;    /* the other one */
  int carrier; /* there: rank of leg->comm */
  dti_manifest manifest;
  char *buffer;
  int64_t started; /* bytes that are on their way, or may come */
  /* Of what is sent: how much is packed, in bytes, and what comes next. */
  int64_t packed;
  int64_t item, chunk;
} dti_freight;

typedef struct dti_hierarchy {
  dti_node_plans plans; /* of this node; empty on a rank that carries nothing */
  int sends, receives;
  dti_freight *send, *receive; /* that this rank carries */
  int64_t *index;              /* of what it receives (arrivals.h); NULL: nothing */
  dti_chunk_room room;         /* for one chunk that is packed */
  int64_t workspace;

  dti_batch *batch;      /* NULL: no messages, or they were given up */
  int64_t *done;         /* room for what a test reports */
  char *is_receive;      /* by operation of the batch */
  int64_t operations;    /* pieces that are started */
  int64_t receives_open; /* pieces */
  int is_collected;      /* what comes from this node is in its place */
  int has_told;          /* that all has arrived that this rank receives */
} dti_hierarchy;

/* The number of ranks on a node, and the k-th of them; and which of `members` on a node carries to
 * and from another one. */
int dti_hierarchy_members(const dti_leg *leg, int node);
int dti_hierarchy_rank(const dti_leg *leg, int node, int k);
int dti_hierarchy_carrier(const dti_leg *leg, int node, int members, int other);

/* Plan what this rank carries, and allocate. */
dtensor_status dti_hierarchy_prepare(dti_leg *leg);
void dti_hierarchy_free(dti_leg *leg);

/* ---- Running (hierarchy_leg.c) */
dtensor_status dti_hierarchy_leg_prepare(dti_leg *leg);
dtensor_status dti_hierarchy_leg_start(dti_leg *leg);
dtensor_status dti_hierarchy_leg_advance(dti_leg *leg, int *done);

/* A member of the node whose messages this rank waits for; else -1. */
int dti_hierarchy_awaited_member(const dti_leg *leg);

#endif
