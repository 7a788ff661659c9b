#include "dtensor/tensor/factory.h"

#include "dtensor/base/dtype.h"
#include "dtensor/base/fail.h"
#include "dtensor/kernels/strided.h"

dtensor_status dti_factory(dtensor_mesh *mesh, dtensor_dtype dtype, int allowed, int ndim,
                           const int64_t shape[], const dtensor_placement p[], dtensor **out) {
  DTI_CHECK(out, DTENSOR_EINVAL, "out must not be NULL");
  *out = NULL;
  DTI_CHECK(mesh && p, DTENSOR_EINVAL, "mesh and placements must not be NULL");
  DTI_CHECK(shape || ndim == 0, DTENSOR_EINVAL, "shape must not be NULL with %d dimensions", ndim);
  DTI_TRY(dti_dtype_check(dtype));
  DTI_CHECK((int)dti_dtype_class_of(dtype) & allowed, DTENSOR_EDTYPE, "not for dtype %s",
            dtensor_dtype_name(dtype));
  dti_layout layout;
  DTI_TRY(dti_layout_init(&layout, ndim, shape, mesh->ndim, mesh->shape, p));
  return dti_tensor_create(mesh, dtype, &layout, out);
}

dtensor_status dti_factory_end(dtensor_status status, dtensor **out) {
  if (status == DTENSOR_OK)
    dti_tensor_settle_partial(*out);
  else
    dtensor_destroy(out);
  return status;
}

dtensor_status dtensor_empty(dtensor_mesh *mesh, dtensor_dtype dtype, int ndim,
                             const int64_t shape[], const dtensor_placement p[], dtensor **out) {
  DTI_API();
  return dti_factory(mesh, dtype, DTI_ANY_CLASS, ndim, shape, p, out);
}

dtensor_status dtensor_full(dtensor_mesh *mesh, dtensor_dtype dtype, int ndim,
                            const int64_t shape[], dtensor_scalar value,
                            const dtensor_placement p[], dtensor **out) {
  DTI_API();
  DTI_TRY(dti_factory(mesh, dtype, DTI_ANY_CLASS, ndim, shape, p, out));
  _Alignas(16) unsigned char element[16];
  const dtensor_status status = dti_scalar_store(value, dtype, element);
  if (status == DTENSOR_OK && (*out)->local_numel > 0) {
    const dti_array array = dti_tensor_array(*out);
    dti_fill(&array, element, dtensor_dtype_size(dtype), mesh->threads);
  }
  return dti_factory_end(status, out);
}

dtensor_status dtensor_zeros(dtensor_mesh *mesh, dtensor_dtype dtype, int ndim,
                             const int64_t shape[], const dtensor_placement p[], dtensor **out) {
  DTI_API();
  return dtensor_full(mesh, dtype, ndim, shape, dtensor_int(0), p, out);
}

dtensor_status dtensor_ones(dtensor_mesh *mesh, dtensor_dtype dtype, int ndim,
                            const int64_t shape[], const dtensor_placement p[], dtensor **out) {
  DTI_API();
  return dtensor_full(mesh, dtype, ndim, shape, dtensor_int(1), p, out);
}
