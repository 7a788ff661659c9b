/* A tensor as one side of a transfer. */
#ifndef DTENSOR_REDISTRIBUTE_END_H_
#define DTENSOR_REDISTRIBUTE_END_H_

#include "dtensor/redistribute/transfer.h"
#include "dtensor/tensor/tensor.h"

static inline dti_transfer_end dti_tensor_end(const dtensor *x) {
  return (dti_transfer_end){
      .mesh = x->mesh, .layout = &x->layout, .data = x->data, .stride = x->stride};
}

/* x on its way into y, which has `layout` on `mesh`, and may be NULL where it could not be made. */
static inline dti_transfer_item dti_transfer_item_of(const dtensor *x, dtensor_mesh *mesh,
                                                     const dti_layout *layout, const dtensor *y) {
  const dti_transfer_end nowhere = {.mesh = mesh, .layout = layout};
  return (dti_transfer_item){.from = dti_tensor_end(x),
                             .to = y ? dti_tensor_end(y) : nowhere,
                             .dtype = x->dtype,
                             .is_strided = x->is_strided,
                             .is_foreign = x->is_foreign};
}

#endif
