/* Tensors that have a window in a segment of their node as local array. */
#include "dtensor/spec/window.h"

#include "dtensor/base/fail.h"
#include "dtensor/comm/comm.h"
#include "dtensor/kernels/strided.h"
#include "dtensor/tensor/tensor.h"

static void release_window(void *ctx) {
  dti_storage *storage = ctx;
  if (storage->segment) dti_segment_release(storage->segment);
  dti_comm_release(&storage->comm);
}

dtensor_status dti_storage_create_window(dti_comm *comm, dti_storage **out) {
  DTI_TRY(dti_storage_create(NULL, release_window, NULL, out));
  (*out)->ctx = *out;
  (*out)->comm = dti_comm_retain(comm);
  return DTENSOR_OK;
}

void dti_storage_attach(dti_storage *storage, dti_segment *segment) {
  storage->segment = segment;
  storage->data = dti_segment_data(segment);
}

void dti_tensor_take_window(dtensor *x) {
  const int64_t first = dti_window_of(&x->layout, x->node_dims, x->mesh->coord, x->stride);
  x->data = (char *)x->storage->data + first * (int64_t)dtensor_dtype_size(x->dtype);
  x->storage->is_replica = dti_window_is_replica(&x->layout, x->node_dims);
}

dtensor_status dti_tensor_own(dtensor *x) {
  if (!x->storage || !x->storage->is_replica || x->local_numel == 0) return DTENSOR_OK;
  dtensor *copy;
  DTI_TRY(dti_tensor_create(x->mesh, x->dtype, &x->layout, &copy));
  const dti_array from = dti_tensor_array(x), to = dti_tensor_array(copy);
  dti_copy(&to, &from, dtensor_dtype_size(x->dtype), x->mesh->threads);
  /* Of a tensor with another owner, a request on its way may be reading the segment. */
  if (dti_refcount_is_one(&x->refs))
    dti_storage_release(&x->storage);
  else
    x->left = x->storage;
  x->storage = copy->storage;
  x->data = copy->data;
  dti_packed_strides(x->layout.ndim, x->local_shape, x->stride);
  copy->storage = NULL;
  dtensor_destroy(&copy);
  return DTENSOR_OK;
}
