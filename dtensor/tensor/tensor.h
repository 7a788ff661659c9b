/* Inside of a tensor handle. */
#ifndef DTENSOR_TENSOR_TENSOR_H_
#define DTENSOR_TENSOR_TENSOR_H_

#include "dtensor/base/refcount.h"
#include "dtensor/base/region.h"
#include "dtensor/base/segment.h"
#include "dtensor/comm/node.h"
#include "dtensor/mesh/mesh.h"
#include "dtensor/spec/layout.h"
#include "dtensor/tensor.h"

/* Memory that one or several tensors (views) use. */
typedef struct dti_storage {
  dti_refcount refs;
  void *data;
  void (*release)(void *ctx); /* NULL: borrowed */
  void *ctx;
  dti_segment *segment; /* of the node, in which this rank has a window; else NULL */
  dti_comm *comm;       /* keeps the segment's memory mapped; else NULL */
  int is_replica;       /* other ranks of the node read this memory as their own part */
  int64_t requests;     /* that are open and read it: nobody may write */
  int is_foreign;       /* the user's own array */
  int is_exposed;       /* the user has a pointer to it, and may write */
  dti_comm *readers;    /* whose ranks on this node may still read it, in that meeting; or NULL */
  dti_node *read_on;
  uint64_t read_in;
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
  /* On some rank the local array is not packed, or in memory that is not the library's, as all
   * ranks know. */
  int is_strided, is_foreign;
  unsigned node_dims; /* node-shared over these mesh dimensions (spec/window.h), 0: ordinary; the
                         same on all ranks, also where one has made its part its own since */
  dti_storage *left;  /* what others may still be reading in place of `storage`; NULL: nothing */
};

/* DTENSOR_EDTYPE unless the dtype exists and has the reductions of the Partial placements. */
dtensor_status dti_tensor_check(dtensor_dtype dtype, const dti_layout *layout);

/* A new tensor with packed storage, not initialised. Explicit sizes are copied. Checks as
 * dti_tensor_check() does. Local. */
dtensor_status dti_tensor_create(dtensor_mesh *mesh, dtensor_dtype dtype, const dti_layout *layout,
                                 dtensor **out);

/* The same where it is known what this rank owns of the layout. */
dtensor_status dti_tensor_create_local(dtensor_mesh *mesh, dtensor_dtype dtype,
                                       const dti_layout *layout, const dti_local *local,
                                       dtensor **out);

/* A new tensor on storage that exists already (retained; NULL outside of the mesh). The layout's
 * local shape is what data and stride describe. It counts as strided, and as foreign memory, unless
 * the caller knows better. Local. */
dtensor_status dti_tensor_wrap(dtensor_mesh *mesh, dtensor_dtype dtype, const dti_layout *layout,
                               dti_storage *storage, void *data, const int64_t stride[],
                               dtensor **out);

/* The same where it is known what this rank owns of the layout. */
dtensor_status dti_tensor_wrap_local(dtensor_mesh *mesh, dtensor_dtype dtype,
                                     const dti_layout *layout, const dti_local *local,
                                     dti_storage *storage, void *data, const int64_t stride[],
                                     dtensor **out);

/* Storage with one reference. On failure nothing was taken. */
dtensor_status dti_storage_create(void *data, void (*release)(void *ctx), void *ctx,
                                  dti_storage **out);
void dti_storage_release(dti_storage **storage);

/* Neighbours may go on reading a storage when the call in which they do has returned on this rank,
 * as long as nobody can change it but by asking the library, which then waits for them. They are
 * all in that call, and read without waiting for this rank. It is lent for one meeting at a time:
 * dti_storage_can_lend() says whether that may be now. */
int dti_storage_can_lend(const dti_storage *storage);
void dti_storage_lend(dti_storage *storage, dti_comm *comm, dti_node *node, uint64_t meeting);

/* Before its elements change: return when no neighbour reads them any more. NULL has none. */
void dti_storage_await_readers(dti_storage *storage);

/* The same, and from now on they may change at any time. */
void dti_storage_expose(dti_storage *storage);

/* Storage for a window in a segment, which is attached later. comm is retained: in its node the
 * ranks reach the segment. */
dtensor_status dti_storage_create_window(dti_comm *comm, dti_storage **out);

/* Takes over one reference of the segment. */
void dti_storage_attach(dti_storage *storage, dti_segment *segment);

/* Place a node-shared tensor at its window in the segment of its storage. Local. */
void dti_tensor_take_window(dtensor *x);

/* Make x's local array one that this rank alone has, where it shares it with others: a packed copy.
 * On failure x is as it was. Local. */
dtensor_status dti_tensor_own(dtensor *x);

/* The local array. */
dti_array dti_tensor_array(const dtensor *x);

/* 1 if an array, or the local one, is packed row-major (or has at most one element). */
int dti_array_is_packed(const dti_array *array);
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
