/* What an operator is: a value that says all that is known of it.
 *
 * docs/adding_an_op.md shows how to write one. */
#ifndef DTENSOR_OPS_OP_H_
#define DTENSOR_OPS_OP_H_

#include <stdint.h>

#include "dtensor/ops/rule.h"
#include "dtensor/status.h"
#include "dtensor/tensor/tensor.h"
#include "dtensor/types.h"

typedef struct dti_op dti_op;

/* What a caller may pass beside tensors; an operator reads what it needs. */
typedef struct dti_params {
  dtensor_scalar scalar;
  dtensor_dtype dtype;
  int ndims;
  const int *dims; /* NULL: all of them */
  int keepdim;
} dti_params;

/* One call of an operator. */
typedef struct dti_call {
  const dti_op *op;
  const dtensor *in[DTI_OP_INPUTS];
  dti_params params;

  /* Written by op->infer: the output, and what it made of the params. */
  dtensor_dtype dtype;
  int ndim;
  int64_t shape[DTENSOR_MAX_NDIM];
  int axis[DTENSOR_MAX_NDIM]; /* reductions: 1 where reduced; views: the input's dimension */
  _Alignas(16) unsigned char scalar[16]; /* one element of the inputs' dtype */
} dti_call;

/* Inputs and params that the conformance test tries the operator with. */
typedef struct dti_sample {
  struct {
    int ndim;
    int64_t n[4];
  } in[DTI_OP_INPUTS];
  dti_params params;
} dti_sample;

struct dti_op {
  const char *name;
  int n_in;
  int function; /* for operators that share a kernel: which of its functions */

  /* Check dtypes, shapes and params; write the inferred part of the call. The inputs are known to
   * have one mesh and one dtype. Local, and the same verdict on every rank. */
  dtensor_status (*infer)(dti_call *call);

  /* Rows that depend on shapes or params, and rows that don't. Either may be missing. The order
   * matters where two rows are equally good: the first is taken. */
  void (*make_rules)(const dti_call *call, dti_rules *rules);
  const dti_rule *rules;
  int n_rules;

  /* Compute the local part of `out` of the local parts of `in`, which lie as a row says. */
  dtensor_status (*local)(const dti_call *call, const dtensor *const in[], dtensor *out);

  /* Instead of `local`: make the result of the input's own storage. */
  dtensor_status (*view)(const dti_call *call, const dti_layout *layout, const dtensor *x,
                         dtensor **out);

  int traced; /* the kernel emits its own compute event */

  const dti_sample *samples;
  int n_samples;
};

/* An array and its length, for .rules and .samples. */
#define DTI_TABLE(field, array) \
  .field = (array), .n_##field = (int)(sizeof(array) / sizeof *(array))

#endif
