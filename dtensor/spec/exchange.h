/* Who sends what to whom when a tensor changes its layout: one rank's part of a direct exchange.
 *
 * Per tensor dimension, the index runs that this rank owns are cut at the owners' boundaries on the
 * other side, which names the peers without looking at any other rank; the messages are the
 * products of these pieces. Every rank computes its own part alone, and sender and receiver find
 * the same elements in the same order.
 *
 * Source: COSTA (Kabic et al., 2021), extended to n dimensions, replicas and partial sums. */
#ifndef DTENSOR_SPEC_EXCHANGE_H_
#define DTENSOR_SPEC_EXCHANGE_H_

#include "dtensor/base/region.h"
#include "dtensor/spec/box.h"
#include "dtensor/spec/layout.h"

/* Two layouts of one global array, or with a box of two: then its elements alone move, and the
 * global shapes may differ. When the meshes are not the same, a receiving process that is
 * also in the source mesh prefers its own copy; the sender must be able to tell. */
typedef struct dti_exchange_ends {
  const dti_layout *from, *to;
  const dti_box *box;           /* NULL: everything */
  int64_t from_place, to_place; /* this process in each mesh, row-major; -1: not a member */
  int same_mesh;
  /* Different meshes only: the place in the source mesh of the process at a place of the target
   * mesh, or -1; and whether the two places are one process. */
  int64_t (*source_place_of)(int64_t to_place, const void *ctx);
  const void *ctx;
} dti_exchange_ends;

typedef struct dti_send {
  int64_t peer;      /* place in the target mesh */
  dti_region region; /* of this process' source array */
  dti_region theirs; /* of the peer's target array */
} dti_send;

/* A part of the target's local array, and where its value comes from: one source place, or one for
 * each contribution to a reduction, in the order of reducing. */
typedef struct dti_parcel {
  dti_region region;      /* of this process' target array */
  dti_region theirs;      /* of the source array: the same part in all of its sources */
  int64_t contributions;  /* at least 1 */
  const int64_t *sources; /* places in the source mesh; DTI_SELF for this process itself */
} dti_parcel;
#define DTI_SELF ((int64_t)-1)

typedef struct dti_exchange {
  int64_t sends, parcels;
  dti_send *send;
  dti_parcel *parcel;
  int64_t messages_received, elements_received, elements_sent;
  int fill; /* parcels leave elements out: fill (the box) with the identity of fill_op first */
  dtensor_reduce_op fill_op;
  int64_t contributions; /* to each parcel of any rank */
  dtensor_reduce_op op;  /* how they combine */
  int64_t divisor;       /* what the combined value is divided by: 1, or the ranks averaged over */
  void *memory;          /* behind the tables */
} dti_exchange;

/* Errors: DTENSOR_ENOMEM */
dtensor_status dti_exchange_plan(const dti_exchange_ends *ends, dti_exchange *exchange);
void dti_exchange_free(dti_exchange *exchange);

#endif
