/* The old path of PyTorch's module, torch.distributed._tensor; kept as a redirection, as there. */
#ifndef DTENSOR__TENSOR_H_
#define DTENSOR__TENSOR_H_
#include "dtensor/dtensor.h"
#endif
