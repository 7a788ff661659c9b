/* A tensor as one side of a transfer. */
#ifndef DTENSOR_REDISTRIBUTE_END_H_
#define DTENSOR_REDISTRIBUTE_END_H_

#include "dtensor/redistribute/transfer.h"
#include "dtensor/tensor/tensor.h"

static inline dti_transfer_end dti_tensor_end(const dtensor *x) {
  return (dti_transfer_end){
      .mesh = x->mesh, .layout = &x->layout, .data = x->data, .stride = x->stride};
}

#endif
