/* Known values for the inputs of an operator, on any layout, and comparison of results. */
#ifndef DTENSOR_TESTS_CONFORMANCE_VALUES_H_
#define DTENSOR_TESTS_CONFORMANCE_VALUES_H_

#include "dtensor/ops/op.h"

/* The global value of element `index` (row-major) of input `input`: a small multiple of a quarter,
 * and whole for dtypes without fractions. */
double value_at(int input, int64_t index, dtensor_dtype dtype);

/* A new tensor of these values. What a rank of a Partial holds is different from rank to rank, and
 * at some places it is the identity of the reduction. */
dtensor_status value_tensor(dtensor_mesh *mesh, dtensor_dtype dtype, const dti_layout *layout,
                            int input, dtensor **out);

/* The first element that differs, or -1. Exact where the dtype or `exact` asks for it, else up to
 * rounding. NaN equals NaN. */
int64_t value_mismatch(dtensor_dtype dtype, const void *a, const void *b, int64_t n, int exact);

#endif
