#include "dtensor/base/fail.h"
#include "dtensor/node_shared.h"
#include "dtensor/spec/axis.h"
#include "dtensor/tensor/tensor.h"

static int has_dim(const dtensor *x, int dim) { return x && dim >= 0 && dim < x->layout.ndim; }

int dtensor_ndim(const dtensor *x) { return x ? x->layout.ndim : 0; }

int64_t dtensor_size(const dtensor *x, int dim) {
  if (x && dim == -1) return dti_numel(x->layout.ndim, x->layout.shape);
  return has_dim(x, dim) ? x->layout.shape[dim] : 0;
}

dtensor_dtype dtensor_dtype_of(const dtensor *x) { return x ? x->dtype : (dtensor_dtype)0; }

dtensor_mesh *dtensor_mesh_of(const dtensor *x) { return x ? x->mesh : NULL; }

dtensor_placement dtensor_placement_of(const dtensor *x, int mesh_dim) {
  if (!x || mesh_dim < 0 || mesh_dim >= x->layout.mesh_ndim) return dtensor_replicate();
  return x->layout.p[mesh_dim];
}

dtensor_status dtensor_placements_of(const dtensor *x, char *text, size_t size) {
  DTI_API();
  DTI_CHECK(x && text, DTENSOR_EINVAL, "x and text must not be NULL");
  return dtensor_placements_format(x->layout.p, x->layout.mesh_ndim, text, size);
}

void *dtensor_local_data(const dtensor *x) {
  if (!x || !x->storage) return NULL;
  if (x->storage->is_replica) {
    DTI_API();
    if (dti_tensor_own((dtensor *)x) != DTENSOR_OK) return NULL; /* the values stay */
  }
  dti_storage_expose(x->storage);
  return x->data;
}

void dtensor_local_done(const dtensor *x) {
  if (x && x->storage) x->storage->is_exposed = 0;
}

const void *dtensor_local_read(const dtensor *x) { return x ? x->data : NULL; }

int dtensor_is_node_shared(const dtensor *x) { return x && x->storage && x->storage->segment; }

int64_t dtensor_local_size(const dtensor *x, int dim) {
  if (x && dim == -1) return x->local_numel;
  return has_dim(x, dim) ? x->local_shape[dim] : 0;
}

int64_t dtensor_local_stride(const dtensor *x, int dim) {
  return has_dim(x, dim) && dti_mesh_is_member(x->mesh) ? x->stride[dim] : 0;
}

int64_t dtensor_local_offset(const dtensor *x, int dim) {
  return has_dim(x, dim) ? x->local_offset[dim] : 0;
}

int64_t dtensor_global_index(const dtensor *x, int dim, int64_t local_index) {
  if (!has_dim(x, dim) || local_index < 0 || local_index >= x->local_shape[dim]) return -1;
  const dti_axis axis = dti_axis_of(&x->layout, dim);
  return dti_axis_global(&axis, x->mesh->coord, local_index, NULL);
}

dtensor_status dtensor_to_local(const dtensor *x, dtensor_local *view) {
  DTI_API();
  DTI_CHECK(x && view, DTENSOR_EINVAL, "x and view must not be NULL");
  DTI_CHECK(dti_mesh_is_member(x->mesh), DTENSOR_EMESH, "this rank is not a member of the mesh");
  DTI_TRY(dti_tensor_own((dtensor *)x)); /* the values stay */
  dti_storage_expose(x->storage);
  *view = (dtensor_local){.data = x->data, .ndim = x->layout.ndim, .own = DTENSOR_BORROW};
  for (int d = 0; d < x->layout.ndim; d++) {
    view->shape[d] = x->local_shape[d];
    view->stride[d] = x->stride[d];
  }
  return DTENSOR_OK;
}
