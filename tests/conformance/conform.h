/* Does an operator give the same on every layout? */
#ifndef DTENSOR_TESTS_CONFORMANCE_CONFORM_H_
#define DTENSOR_TESTS_CONFORMANCE_CONFORM_H_

#include "dtensor/ops/op.h"

/* Try the n operators, with their samples and all dtypes, on a mesh of this shape: on each rule,
 * with shards of every kind, where nothing may be communicated, and on other layouts, all of them
 * if that is possible. The result must be what one rank computes. */
void conform(int n, const dti_op *const ops[], int ndim, const int64_t shape[]);

#endif
