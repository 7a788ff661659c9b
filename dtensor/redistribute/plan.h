/* What a transfer needs to know before it starts: the route, and this rank's part in every step. */
#ifndef DTENSOR_REDISTRIBUTE_PLAN_H_
#define DTENSOR_REDISTRIBUTE_PLAN_H_

#include "dtensor/redistribute/transfer.h"
#include "dtensor/spec/exchange.h"
#include "dtensor/spec/planner.h"

typedef struct dti_transfer_plan {
  int refs; /* all of the thread that made it */
  dti_engine engine;
  int is_local; /* nobody sends anything to another: one exchange of each rank with itself */
  dti_route route;
  dti_cost cost;
  dti_exchange exchange[DTENSOR_MAX_NDIM]; /* per step; of a gather step empty; of one that shares
                                              out from the source to the shares */
  dti_exchange copies;                     /* of the step that shares out: from the shares on */
  dti_layout from, to;                     /* with explicit sizes of their own */
  /* What this rank owns of the source, and after each step. */
  dti_local source, target[DTENSOR_MAX_NDIM];
  dti_box whole;  /* the box of a transfer of everything */
  int64_t *sizes; /* those */
  void *room;     /* for the legs of the next transfer, or NULL */
  size_t bytes;   /* of heap */
} dti_transfer_plan;

/* What a plan depends on beside what moves. */
typedef struct dti_transfer_terms {
  int64_t max_bytes; /* of workspace; 0: no limit */
  int is_near;       /* all ranks share memory */
  int in_batch;      /* others travel with it */
  /* Of the source, on some rank (tensor.h); where there is a limit. */
  int is_strided, is_foreign;
} dti_transfer_terms;

/* Of ranks that are not in the source's mesh nobody has told how it lies. */
static inline void dti_transfer_terms_of_source(dti_transfer_terms *terms, int same_mesh,
                                                int is_strided, int is_foreign) {
  terms->is_strided = terms->max_bytes > 0 && (!same_mesh || is_strided);
  terms->is_foreign = terms->max_bytes > 0 && (!same_mesh || is_foreign);
}

/* The plan of a transfer: the remembered one, or a new one that is remembered. Local; every rank
 * comes to the same route and to the same DTENSOR_EBUDGET. Retained for the caller, who may hold it
 * after it was forgotten. Plans of boxes are not remembered. Of the item, where its arrays are is
 * not read.
 *
 * Errors: DTENSOR_EBUDGET  no way fits: on all ranks
 *         DTENSOR_ENOMEM   on this rank */
dtensor_status dti_transfer_plan_get(const dti_transfer_item *item, const dti_transfer_terms *terms,
                                     dti_transfer_plan **plan);

/* The remembered plan of a transfer that keeps the mesh and the shape and changes the placements to
 * `to`, which nobody has checked: they are good if there is one. Retained; NULL if there is none.
 */
dti_transfer_plan *dti_transfer_plan_recall(const dtensor_mesh *mesh, const dti_layout *from,
                                            const dtensor_placement to[], dtensor_dtype dtype,
                                            const dti_transfer_terms *terms);

static inline dti_transfer_plan *dti_transfer_plan_retain(dti_transfer_plan *plan) {
  plan->refs++;
  return plan;
}
void dti_transfer_plan_release(dti_transfer_plan **plan);

/* What this rank owns in the end. */
static inline const dti_local *dti_transfer_plan_target(const dti_transfer_plan *plan) {
  return &plan->target[plan->route.steps - 1];
}

/* The question that a transfer of everything puts to the planner. */
dti_question dti_transfer_plan_question(const dti_transfer_item *item,
                                        const dti_transfer_terms *terms);

/* For exchanges between two meshes: dti_exchange_ends.source_place_of, and its ctx. */
typedef struct dti_two_meshes {
  const dtensor_mesh *from, *to;
} dti_two_meshes;
int64_t dti_two_meshes_source_place(int64_t to_place, const void *ctx);

/* 1 if no rank has anything to send to another: the same answer on all of them. */
int dti_transfer_plan_moves_nothing(const dti_transfer_item *item);

/* A new plan, whether there is a remembered one or not. */
dtensor_status dti_transfer_plan_make(const dti_transfer_item *item,
                                      const dti_transfer_terms *terms, dti_transfer_plan **plan);

/* What this rank sends and receives. */
typedef struct dti_transfer_plan_totals {
  int64_t messages_received, messages_sent;
  int64_t bytes_received, bytes_sent;
} dti_transfer_plan_totals;
dti_transfer_plan_totals dti_transfer_plan_count(const dti_transfer_plan *plan,
                                                 const dtensor_mesh *to, size_t element);

#endif
