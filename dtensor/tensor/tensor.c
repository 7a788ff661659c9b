#include "dtensor/tensor/tensor.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dtensor/base/alloc.h"
#include "dtensor/base/dtype.h"
#include "dtensor/base/fail.h"
#include "dtensor/kernels/strided.h"
#include "dtensor/spec/axis.h"

void dti_packed_strides(int ndim, const int64_t shape[], int64_t stride[]) {
  uint64_t step = 1; /* of an empty array it may wrap, and does not matter */
  for (int d = ndim - 1; d >= 0; d--) {
    stride[d] = (int64_t)step;
    step *= shape[d] > 0 ? (uint64_t)shape[d] : 1;
  }
}

dtensor_status dti_tensor_check(dtensor_dtype dtype, const dti_layout *layout) {
  DTI_TRY(dti_dtype_check(dtype));
  for (int m = 0; m < layout->mesh_ndim; m++) {
    const dtensor_placement *p = &layout->p[m];
    DTI_CHECK(p->kind != DTENSOR_PARTIAL || dti_dtype_reduces(dtype, p->op), DTENSOR_EDTYPE,
              "%s has no partial %s", dtensor_dtype_name(dtype), dti_reduce_op_name(p->op));
  }
  return DTENSOR_OK;
}

/* The handle and its layout, without storage. */
static dtensor_status new_handle(dtensor_mesh *mesh, dtensor_dtype dtype, const dti_layout *layout,
                                 const dti_local *local, dtensor **out) {
  *out = NULL;
  DTI_TRY(dti_tensor_check(dtype, layout));
  int64_t sizes = 0;
  for (int m = 0; m < layout->mesh_ndim; m++) sizes += layout->p[m].count;
  dtensor *x = malloc(sizeof *x);
  int64_t *copies = sizes ? malloc((size_t)sizes * sizeof *copies) : NULL;
  if (!x || (sizes && !copies)) {
    free(x);
    free(copies);
    return DTI_FAIL(DTENSOR_ENOMEM, "no memory for a tensor handle");
  }
  dti_refcount_init(&x->refs);
  x->dtype = dtype;
  x->mesh = dtensor_mesh_retain(mesh);
  x->layout = *layout;
  x->sizes = copies;
  for (int m = 0; copies && m < layout->mesh_ndim; m++) {
    dtensor_placement *p = &x->layout.p[m];
    if (!p->count) continue;
    memcpy(copies, p->sizes, (size_t)p->count * sizeof *copies);
    p->sizes = copies;
    copies += p->count;
  }
  x->storage = NULL;
  x->data = NULL;
  x->is_strided = x->is_foreign = 0;
  x->node_dims = 0;
  x->left = NULL;
  memcpy(x->local_shape, local->shape, sizeof x->local_shape);
  memcpy(x->local_offset, local->offset, sizeof x->local_offset);
  x->local_numel = local->elements;
  dti_packed_strides(layout->ndim, x->local_shape, x->stride);
  *out = x;
  return DTENSOR_OK;
}

static dti_local local_of(const dtensor_mesh *mesh, const dti_layout *layout) {
  return dti_layout_local_part(layout, dti_mesh_is_member(mesh) ? mesh->coord : NULL);
}

dtensor_status dti_tensor_create(dtensor_mesh *mesh, dtensor_dtype dtype, const dti_layout *layout,
                                 dtensor **out) {
  const dti_local local = local_of(mesh, layout);
  return dti_tensor_create_local(mesh, dtype, layout, &local, out);
}

dtensor_status dti_tensor_create_local(dtensor_mesh *mesh, dtensor_dtype dtype,
                                       const dti_layout *layout, const dti_local *local,
                                       dtensor **out) {
  DTI_TRY(new_handle(mesh, dtype, layout, local, out));
  dtensor *x = *out;
  if (!dti_mesh_is_member(mesh)) return DTENSOR_OK;

  const size_t element = dtensor_dtype_size(dtype);
  const int fits = (uint64_t)x->local_numel <= (SIZE_MAX / 2) / element;
  const size_t bytes = fits ? (size_t)x->local_numel * element : 0;
  void *data = fits ? dti_alloc(bytes) : NULL;
  dtensor_status status = DTENSOR_OK;
  if (!data)
    status = DTI_FAIL(DTENSOR_ENOMEM, "no memory for a local array of %" PRId64 " elements of %s",
                      x->local_numel, dtensor_dtype_name(dtype));
  else
    status = dti_storage_create(data, dti_free, data, &x->storage);
  if (status != DTENSOR_OK) {
    dti_free(data);
    dtensor_destroy(out);
    return status;
  }
  x->data = data;
  return DTENSOR_OK;
}

dtensor_status dti_tensor_wrap(dtensor_mesh *mesh, dtensor_dtype dtype, const dti_layout *layout,
                               dti_storage *storage, void *data, const int64_t stride[],
                               dtensor **out) {
  const dti_local local = local_of(mesh, layout);
  return dti_tensor_wrap_local(mesh, dtype, layout, &local, storage, data, stride, out);
}

dtensor_status dti_tensor_wrap_local(dtensor_mesh *mesh, dtensor_dtype dtype,
                                     const dti_layout *layout, const dti_local *local,
                                     dti_storage *storage, void *data, const int64_t stride[],
                                     dtensor **out) {
  DTI_TRY(new_handle(mesh, dtype, layout, local, out));
  dtensor *x = *out;
  x->is_strided = x->is_foreign = 1;
  if (!storage) return DTENSOR_OK;
  dti_refcount_retain(&storage->refs);
  x->storage = storage;
  x->data = data;
  memcpy(x->stride, stride, (size_t)layout->ndim * sizeof *stride);
  return DTENSOR_OK;
}

dtensor *dtensor_retain(dtensor *x) {
  if (x) dti_refcount_retain(&x->refs);
  return x;
}

void dtensor_destroy(dtensor **x) {
  if (!x || !*x) return;
  dtensor *t = *x;
  *x = NULL;
  if (!dti_refcount_release(&t->refs)) return;
  dti_storage_release(&t->storage);
  dti_storage_release(&t->left);
  dtensor_mesh_destroy(&t->mesh);
  free(t->sizes);
  free(t);
}

dti_array dti_tensor_array(const dtensor *x) {
  dti_array array = {.data = x->data, .ndim = x->layout.ndim};
  memcpy(array.shape, x->local_shape, sizeof array.shape);
  memcpy(array.stride, x->stride, sizeof array.stride);
  return array;
}

int dti_array_is_packed(const dti_array *array) {
  if (dti_numel(array->ndim, array->shape) <= 1) return 1;
  int64_t step = 1;
  for (int d = array->ndim - 1; d >= 0; d--) {
    if (array->shape[d] > 1 && array->stride[d] != step) return 0;
    step *= array->shape[d];
  }
  return 1;
}

int dti_tensor_is_packed(const dtensor *x) {
  const dti_array array = dti_tensor_array(x);
  return dti_array_is_packed(&array);
}

void dti_tensor_settle_partial(dtensor *x) {
  if (!x->data || x->local_numel == 0) return;
  for (int m = 0; m < x->layout.mesh_ndim; m++) {
    const dtensor_placement *p = &x->layout.p[m];
    /* An average of equal values is that value: every coordinate keeps it. */
    if (p->kind != DTENSOR_PARTIAL || p->op == DTENSOR_AVG || x->mesh->coord[m] == 0) continue;
    _Alignas(16) unsigned char identity[16];
    dti_identity(x->dtype, p->op, identity);
    const dti_array array = dti_tensor_array(x);
    dti_fill(&array, identity, dtensor_dtype_size(x->dtype), x->mesh->threads);
    return;
  }
}

const char *dti_tensor_text(const dtensor *x, char *text, size_t size) {
  size_t at = 0;
  text[0] = 0;
#define APPEND(...)                                             \
  do {                                                          \
    const int n_ = snprintf(text + at, size - at, __VA_ARGS__); \
    if (n_ < 0 || (size_t)n_ >= size - at) return text;         \
    at += (size_t)n_;                                           \
  } while (0)
  APPEND("[");
  for (int d = 0; d < x->layout.ndim; d++) APPEND("%s%" PRId64, d ? "," : "", x->layout.shape[d]);
  APPEND("] %s ", dtensor_dtype_name(x->dtype));
#undef APPEND
  char placements[DTI_TEXT_SIZE];
  /* A list of sizes that is too long is cut: it is a message. */
  if (dtensor_placements_format(x->layout.p, x->layout.mesh_ndim, placements, sizeof placements) !=
      DTENSOR_OK)
    memcpy(placements + sizeof placements - 4, "...", 4);
  snprintf(text + at, size - at, "%s", placements);
  return text;
}
