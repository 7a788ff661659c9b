/* The loops of the elementwise functions, by function and dtype; NULL where there is none. Their
 * context is the scalar, one element of the dtype. */
#ifndef DTENSOR_KERNELS_ROWS_H_
#define DTENSOR_KERNELS_ROWS_H_

#include "dtensor/kernels/elementwise.h"
#include "dtensor/kernels/nest.h"

dti_row dti_binary_row(dti_binary f, dtensor_dtype dtype);
dti_row dti_unary_row(dti_unary f, dtensor_dtype dtype);

#endif
