/* One step of a transfer on its way: every rank's part of moving arrays from one layout to another.
 *
 * What lies on this rank's node is read straight from the neighbour's memory into its place, one
 * pass over the data (near.h). What comes from other nodes arrives in messages (stream.h). */
#ifndef DTENSOR_REDISTRIBUTE_LEG_H_
#define DTENSOR_REDISTRIBUTE_LEG_H_

#include "dtensor/comm/comm.h"
#include "dtensor/comm/node.h"
#include "dtensor/kernels/combine.h"
#include "dtensor/mesh/mesh.h"
#include "dtensor/redistribute/collective.h"
#include "dtensor/redistribute/stream.h"
#include "dtensor/spec/exchange.h"
#include "dtensor/spec/route.h"

/* An array on one side of a leg. */
typedef struct dti_leg_side {
  dtensor_mesh *mesh;
  const dti_layout *layout; /* the plan's */
  void *data;
  const int64_t *shape; /* of the local array; zeros where there is none; the plan's */
  int64_t elements;     /* of it */
  int64_t stride[DTENSOR_MAX_NDIM];
} dti_leg_side;

static inline dti_array dti_leg_array(const dti_leg_side *side) {
  dti_array array = {.data = side->data, .ndim = side->layout->ndim};
  for (int d = 0; d < array.ndim; d++) {
    array.shape[d] = side->shape[d];
    array.stride[d] = side->stride[d];
  }
  return array;
}

typedef enum dti_part_kind {
  DTI_PART_EXCHANGE, /* each rank collects what it needs */
  /* Inside one node: each rank reduces its share of a Partial value and writes the result to all
   * that want it, so that every element is reduced once and stored once per copy. */
  DTI_PART_SHARE_OUT
} dti_part_kind;

/* One tensor's part of a leg. */
typedef struct dti_leg_part {
  dti_part_kind kind;
  dti_leg_side from, to;
  dti_box box; /* exchanges: what moves */
  dtensor_dtype dtype;
  size_t element;
  const dti_exchange *exchange; /* from -> to; of SHARE_OUT to the shares, one parcel at most */
  const dti_exchange *copies;   /* SHARE_OUT: from the shares to `to`; else NULL */
  /* What neighbours use in place of an array that they cannot reach; else NULL. */
  void *lent_from, *lent_to;
  int is_private; /* the target may be such an array */
  int delivers;   /* the source is: this rank writes its parts into the neighbours' targets */
} dti_leg_part;

enum { DTI_LEG_FEW = 4 };

/* What an exchange that has started does not do yet. */
typedef enum dti_hold {
  DTI_HOLD_NOTHING,
  DTI_HOLD_RECEIVES, /* other sends are announced first (stream.h) */
  DTI_HOLD_OWN,      /* what other ranks get is ready, what stays here is not: nothing is read */
  DTI_HOLD_SOURCE    /* the source is not ready: only receives are posted */
} dti_hold;

typedef struct dti_leg {
  unsigned gathers; /* bit m: it gathers, and reduces mesh dimension m; 0: it does not */
  int parts;
  dti_leg_part *part;
  int threads;
  int same_mesh;        /* both sides lie on the same places */
  int ranks_are_places; /* comm is the mesh's own, not that of a larger communicator */
  dti_comm *comm;       /* borrowed */
  int tag;
  int64_t chunk_bytes; /* of a message, at most */
  int is_limited;      /* a window of messages is under way with each peer, not all */
  dti_node *node;      /* NULL: all peers are far */
  int has_far_peers;   /* there may be some */
  uint64_t meeting;    /* of node */
  dti_engine engine;   /* how messages travel */
  int is_later;        /* a leg before it may have failed on one rank alone */

  /* The first failure of this rank. The leg goes on, with messages that are empty, and takes all
   * that come, but moves no more data: so nobody waits, and the next leg finds nothing left over.
   */
  dtensor_status failure;

  /* exchanges */
  dti_hold hold;
  int is_filled;
  int posted, collected, left; /* how far the meeting has come */
  int is_copied;               /* neighbours read copies of its sources */
  int sources_stay;            /* as they are, also after the leg: until all have left */
  int awaited;                 /* neighbours use this rank's arrays; known when it leaves */
  int takes_delivery;          /* neighbours write into its targets what it cannot read */
  int64_t bytes_lent;
  void *entries; /* what this rank posted, if it is more than a desk holds */
  dti_streams streams;
  dti_part *input, *output; /* room for those of one combine: `few`, or of their own */
  dti_part few[2][DTI_LEG_FEW];

  dti_collective collective;       /* of the legs that are one */
  struct dti_hierarchy *hierarchy; /* of the legs that go by way of carriers */

  /* gathers */
  dti_batch *batch;
  void *gathered;   /* room for what each rank of the line brings */
  int64_t elements; /* that one of them brings */
  int64_t have;     /* how many are there */
} dti_leg;

/* The memory that the legs of n items take, with their parts and the addresses in between. */
static inline size_t dti_legs_bytes(int legs, int n) {
  return (size_t)legs * (sizeof(dti_leg) + (size_t)n * (sizeof(dti_leg_part) + sizeof(void *)));
}

/* Plan and allocate. The sides' data may be set later, before the leg is started. */
dtensor_status dti_leg_prepare(dti_leg *leg);

/* Tell the neighbours where this rank's arrays are, or with which failure it comes (`verdict` of
 * dti_agree_value()). 0: there is no room on the board yet. Without neighbours always 1. */
int dti_leg_post(dti_leg *leg, int64_t verdict);

/* 1 if all neighbours have posted; *verdict is the least of theirs and the given one. */
int dti_leg_all_posted(const dti_leg *leg, int64_t *verdict);

/* Post receives, pack and send, and do what needs nobody else. After the agreement, or, of a later
 * leg, after the one before it. */
dtensor_status dti_leg_start(dti_leg *leg);

/* Go on with what leg->hold has kept back, and `hold` does not. Start, release and advance return
 * an error only if the leg's messages are lost (dti_batch_send()). */
dtensor_status dti_leg_release(dti_leg *leg, dti_hold hold);

/* *done: everything has arrived and is in its place, or leg->failure tells why not, and nobody
 * needs this rank's arrays. */
dtensor_status dti_leg_advance(dti_leg *leg, int *done);

/* DTENSOR_EMPI if it waits for a rank that will never come. */
dtensor_status dti_leg_check(const dti_leg *leg);

/* It fails here, unless the failure is DTENSOR_OK or it has failed before. */
void dti_leg_fail(dti_leg *leg, dtensor_status failure);

/* It fails, and has no messages any more. */
void dti_leg_give_up(dti_leg *leg, dtensor_status failure);

/* For a leg that this rank has given up and others may have started or not: tell the neighbours. 1
 * when they know, and use this rank's arrays no more. */
int dti_leg_is_forsaken(dti_leg *leg);

/* What this rank sends and receives in it. */
int64_t dti_leg_bytes_received(const dti_leg *leg);
int64_t dti_leg_bytes_sent(const dti_leg *leg);

/* Buffers that it holds. */
int64_t dti_leg_workspace(const dti_leg *leg);

/* Free what it holds, also a half-prepared one; not the sides' arrays. A meeting that was not left
 * is left. */
void dti_leg_free(dti_leg *leg);

/* ---- Exchanges (exchange_leg.c) and gathers (gather_leg.c) */
dtensor_status dti_exchange_leg_prepare(dti_leg *leg);
dtensor_status dti_exchange_leg_start(dti_leg *leg);
dtensor_status dti_exchange_leg_advance(dti_leg *leg, int *done);
dtensor_status dti_gather_leg_prepare(dti_leg *leg);
dtensor_status dti_gather_leg_start(dti_leg *leg);
dtensor_status dti_gather_leg_advance(dti_leg *leg, int *done);

/* leg->input and leg->output: room for those of any one combine. */
dtensor_status dti_leg_make_lists(dti_leg *leg);

/* A region of the array of a source on this node, or this rank's own. */
dti_part dti_leg_source(const dti_leg *leg, int part, int64_t source, const dti_region *region);

/* The rank of leg->comm at a place of a side's mesh; this process for DTI_SELF. */
int dti_leg_rank(const dti_leg *leg, const dti_leg_side *side, int64_t place);

/* Targets that no parcel fills whole: the identity of the reduction, once, before anybody writes.
 */
void dti_leg_fill(dti_leg *leg);

/* leg->input[k]: the k-th source of a parcel of which all are on this node. */
void dti_leg_list_inputs(const dti_leg *leg, int part, const dti_parcel *parcel);

static inline int dti_leg_is_collective(const dti_leg *leg) {
  return leg->collective.mesh_dims != 0;
}

static inline int dti_leg_is_gather(const dti_leg *leg) { return leg->gathers != 0; }

#endif
