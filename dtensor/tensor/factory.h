/* What every factory does first. */
#ifndef DTENSOR_TENSOR_FACTORY_H_
#define DTENSOR_TENSOR_FACTORY_H_

#include "dtensor/tensor/tensor.h"

/* Check the arguments of a factory and make the tensor, not initialised. allowed: dti_dtype_class
 * bits. */
dtensor_status dti_factory(dtensor_mesh *mesh, dtensor_dtype dtype, int allowed, int ndim,
                           const int64_t shape[], const dtensor_placement p[], dtensor **out);

/* End a factory: settle the Partial placements, or destroy the tensor if status is a failure. */
dtensor_status dti_factory_end(dtensor_status status, dtensor **out);

#define DTI_ANY_CLASS 31

#endif
