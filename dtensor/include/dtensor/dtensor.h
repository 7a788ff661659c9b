/* dtensor: distributed tensors for C, C++ and Fortran. This header includes the others. */
#ifndef DTENSOR_DTENSOR_H_
#define DTENSOR_DTENSOR_H_

#include "dtensor/debug.h"
#include "dtensor/machine.h"
#include "dtensor/matmul.h"
#include "dtensor/memory.h"
#include "dtensor/mesh.h"
#include "dtensor/node_shared.h"
#include "dtensor/ops.h"
#include "dtensor/placement.h"
#include "dtensor/plan.h"
#include "dtensor/redistribute.h"
#include "dtensor/sim.h"
#include "dtensor/status.h"
#include "dtensor/tensor.h"
#include "dtensor/types.h"
#include "dtensor/version.h"

#endif
