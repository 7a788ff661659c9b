/* A matrix product under way: what matmul_run.c, which computes, and matmul_transfers.c, which
 * moves, know of it. */
#ifndef DTENSOR_OPS_MATMUL_PIPELINE_H_
#define DTENSOR_OPS_MATMUL_PIPELINE_H_

#include "dtensor/ops/matmul_job.h"

/* A transfer that was begun. */
typedef struct dti_flight {
  dti_transfer *transfer; /* NULL: none, or it could not begin */
  dtensor_status begun;
} dti_flight;

struct dti_pipeline {
  dti_matmul_job *job;
  /* The first failure. All later transfers are still begun, to tell the others: a rank cannot know
   * whether they have failed too, and all have to call alike. */
  dtensor_status status;
  int started;     /* something was added to the product */
  int64_t arrived; /* panels, one after the other, and the others of this node know */
  dti_flight a[DTI_MATMUL_PANELS], b[DTI_MATMUL_PANELS], c[DTI_MATMUL_SLICES];
};

void dti_pipeline_note(dti_pipeline *p, dtensor_status status);

/* What a step needs of the operands: panels together, and what cannot be cut. */
void dti_pipeline_begin_panels(dti_pipeline *p, int64_t step);

/* All slices of the product, before they are computed: each is released when it is there. */
void dti_pipeline_begin_slices(dti_pipeline *p);

/* The product, when it is there, as a whole. */
void dti_pipeline_begin_product(dti_pipeline *p);

/* The rows or columns of a slice. */
int64_t dti_pipeline_slice_runs(const dti_matmul_job *job, int64_t slice, dti_run **runs);

int dti_pipeline_has_arrived(dti_flight *f);
void dti_pipeline_finish(dti_pipeline *p, dti_flight *f);

/* From the layout in between to the one that was asked for: begun and finished. */
void dti_pipeline_spread(dti_pipeline *p);

#endif
