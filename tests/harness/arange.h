/* Tensors whose every element is known. */
#ifndef DTENSOR_TESTS_HARNESS_ARANGE_H_
#define DTENSOR_TESTS_HARNESS_ARANGE_H_

#include <dtensor/mesh.h>
#include <dtensor/tensor.h>
#include <stdbool.h>

/* Whether this rank's part of x, f64 and not Partial, holds the global row-major index of each
 * element: what dtensor_arange() makes. */
bool holds_arange(const dtensor *x);

/* An f64 tensor with these values. Where p is Partial, every coordinate has a share in them. */
dtensor_status make_arange(dtensor_mesh *mesh, int ndim, const int64_t shape[], const char *p,
                           dtensor **x);

#endif
