/* The descriptors of all operators. */
#ifndef DTENSOR_OPS_OP_LIST_H_
#define DTENSOR_OPS_OP_LIST_H_

#include "dtensor/ops/op.h"

#define DTI_OP(name) extern const dti_op dti_op_##name;
#include "dtensor/ops/op_list.def"
#undef DTI_OP

#endif
