/* For operators that keep the shape of their one input. */
#ifndef DTENSOR_OPS_SAME_SHAPE_H_
#define DTENSOR_OPS_SAME_SHAPE_H_

#include "dtensor/ops/op.h"

/* The output has the input's shape. */
void dti_same_shape_infer(dti_call *call);

/* S(i) -> S(i). */
void dti_same_shape_rules(const dti_call *call, dti_rules *rules);

#endif
