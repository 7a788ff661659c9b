/* Inside of a tensor handle. */
#ifndef DTENSOR_TENSOR_TENSOR_H_
#define DTENSOR_TENSOR_TENSOR_H_

#include "dtensor/base/refcount.h"
#include "dtensor/base/region.h"
#include "dtensor/mesh/mesh.h"
#include "dtensor/spec/layout.h"
#include "dtensor/tensor.h"

/* Memory that one or several tensors (views) use. */
typedef struct dti_storage {
  dti_refcount refs;
  void *data;
  void (*release)(void *ctx); /* NULL: borrowed */
  void *ctx;
} dti_storage;

struct dtensor {
  dti_refcount refs;
  dtensor_dtype dtype;
  dtensor_mesh *mesh;
  dti_layout layout;                     /* explicit sizes point into `sizes` */
  int64_t *sizes;                        /* owned copies, or NULL */
  dti_storage *storage;                  /* NULL outside of the mesh */
  void *data;                            /* first local element; NULL outside of the mesh */
  int64_t local_shape[DTENSOR_MAX_NDIM]; /* zeros outside of the mesh */
  int64_t local_offset[DTENSOR_MAX_NDIM];
  int64_t stride[DTENSOR_MAX_NDIM]; /* in elements */
  int64_t local_numel;
};

/* DTENSOR_EDTYPE unless the dtype exists and has the reductions of the Partial placements. */
dtensor_status dti_tensor_check(dtensor_dtype dtype, const dti_layout *layout);

/* A new tensor with packed storage, not initialised. Explicit sizes are copied. Checks as
 * dti_tensor_check() does. Local. */
dtensor_status dti_tensor_create(dtensor_mesh *mesh, dtensor_dtype dtype, const dti_layout *layout,
                                 dtensor **out);

/* A new tensor on storage that exists already (retained; NULL outside of the mesh). The layout's
 * local shape is what data and stride describe. Local. */
dtensor_status dti_tensor_wrap(dtensor_mesh *mesh, dtensor_dtype dtype, const dti_layout *layout,
                               dti_storage *storage, void *data, const int64_t stride[],
                               dtensor **out);

/* Storage with one reference. On failure nothing was taken. */
dtensor_status dti_storage_create(void *data, void (*release)(void *ctx), void *ctx,
                                  dti_storage **out);
void dti_storage_release(dti_storage **storage);

/* The local array. */
dti_array dti_tensor_array(const dtensor *x);

/* 1 if the local array is packed row-major (or has at most one element). */
int dti_tensor_is_packed(const dtensor *x);

/* Make x's local part the one of the Partial placements among p that hold a value only where every
 * such coordinate is 0: others get the identity. The end of the factories. */
void dti_tensor_settle_partial(dtensor *x);

/* "[128,64] f64 S(0),R" for messages. Returns text. */
const char *dti_tensor_text(const dtensor *x, char *text, size_t size);
#define DTI_TEXT_SIZE 256

/* Row-major strides of a shape. */
void dti_packed_strides(int ndim, const int64_t shape[], int64_t stride[]);

#endif
