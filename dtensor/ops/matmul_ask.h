/* From the arguments of a matrix product to its plan. */
#ifndef DTENSOR_OPS_MATMUL_ASK_H_
#define DTENSOR_OPS_MATMUL_ASK_H_

#include "dtensor/kernels/gemm.h"
#include "dtensor/matmul.h"
#include "dtensor/spec/matmul_plan.h"
#include "dtensor/tensor/tensor.h"

/* A checked and planned product. */
typedef struct dti_matmul_asked {
  dtensor *a, *b; /* as they are multiplied: views of what was given, or that itself; retained */
  dtensor_dtype dtype;
  dti_layout wanted; /* of the product; only if it was asked for */
  dti_matmul_problem problem;
  dti_matmul_plan plan;
  dti_gemm_terms terms;
  int64_t max_bytes;
} dti_matmul_asked;

/* Check the arguments and plan. Every rank finds the same. others, n_others: as in
 * dti_matmul_plan_make(). On failure nothing is held. */
dtensor_status dti_matmul_ask(const dtensor *a, const dtensor *b, const dtensor_matmul_opts *opts,
                              dti_matmul_asked *asked, dti_matmul_plan others[], int *n_others);
void dti_matmul_asked_free(dti_matmul_asked *asked);

#endif
