/* Making node-shared tensors: one rank of each group allocates the segment, and all take their
 * windows in it. */
#include "dtensor/base/dtype.h"
#include "dtensor/base/fail.h"
#include "dtensor/comm/node.h"
#include "dtensor/kernels/strided.h"
#include "dtensor/node_shared.h"
#include "dtensor/redistribute/alike.h"
#include "dtensor/redistribute/meet.h"
#include "dtensor/spec/window.h"
#include "dtensor/tensor/tensor.h"

/* ---- over which mesh dimensions */

/* *node_dims: 0 if the tensor cannot be node-shared; the same on all ranks. */
static dtensor_status find_node_dims(const dtensor_mesh *mesh, dti_comm *comm,
                                     const dti_layout *layout, unsigned *node_dims) {
  *node_dims = dti_mesh_inside_nodes(mesh);
  if (!dti_window_fits(layout, *node_dims)) *node_dims = 0;
  if (!*node_dims) return DTENSOR_OK;
  dti_node *node;
  DTI_TRY(dti_comm_node(comm, &node));
  int64_t all_share = node != NULL; /* another node may have a reason not to */
  DTI_TRY(dti_comm_allreduce(comm, &all_share, 1, DTI_COMM_MIN));
  if (!all_share) *node_dims = 0;
  return DTENSOR_OK;
}

/* ---- the segment */

/* The rank of its group that allocates: of all coordinates on the node, the first. */
static int leader_of(const dtensor_mesh *mesh, unsigned node_dims) {
  int64_t coord[DTENSOR_MAX_NDIM];
  for (int m = 0; m < mesh->ndim; m++) coord[m] = node_dims >> m & 1u ? 0 : mesh->coord[m];
  return (int)dti_mesh_linear(mesh->ndim, mesh->shape, coord);
}

static int group_size(const dtensor_mesh *mesh, unsigned node_dims) {
  int64_t size = 1;
  for (int m = 0; m < mesh->ndim; m++) size *= node_dims >> m & 1u ? mesh->shape[m] : 1;
  return (int)size;
}

static dtensor_status allocate(const dtensor *x, unsigned node_dims, dti_segment **segment) {
  const int64_t elements = dti_window_segment_elements(&x->layout, node_dims, x->mesh->coord);
  const size_t element = dtensor_dtype_size(x->dtype);
  if ((uint64_t)elements <= SIZE_MAX / 4 / element)
    *segment = dti_segment_create((size_t)elements * element, group_size(x->mesh, node_dims));
  DTI_CHECK(*segment, DTENSOR_ENOMEM, "no memory for %lld elements of %s that a node shares",
            (long long)elements, dtensor_dtype_name(x->dtype));
  return DTENSOR_OK;
}

/* A handle, and of the leader the segment. What fails is this rank's alone. */
static dtensor_status prepare(dtensor_mesh *mesh, dtensor_dtype dtype, const dti_layout *layout,
                              dti_comm *comm, unsigned node_dims, dtensor **x,
                              dti_segment **segment) {
  dti_storage *storage;
  const int64_t no_stride[DTENSOR_MAX_NDIM] = {0};
  *x = NULL;
  *segment = NULL;
  DTI_TRY(dti_storage_create_window(comm, &storage));
  const dtensor_status status = dti_tensor_wrap(mesh, dtype, layout, storage, NULL, no_stride, x);
  if (status == DTENSOR_OK) (*x)->is_foreign = 0;
  dti_storage_release(&storage);
  DTI_TRY(status);
  (*x)->node_dims = node_dims;
  if (leader_of(mesh, node_dims) != (int)mesh->rank) return DTENSOR_OK;
  return allocate(*x, node_dims, segment);
}

/* All ranks of the group find the segment by its leader's note. */
static dtensor_status take_windows(dtensor *x, dti_comm *comm, dti_segment *segment) {
  dti_node *node;
  uint64_t meeting;
  DTI_TRY(dti_comm_node(comm, &node));
  const int64_t address = segment ? dti_node_export(node, segment, dti_segment_header_bytes()) : -1;
  DTI_TRY(dti_meet(node, &address, sizeof address, &meeting));
  const int leader = dti_node_member(node, leader_of(x->mesh, x->node_dims));
  const int64_t *its = dti_node_brought(node, meeting, leader);
  dti_storage_attach(x->storage, dti_node_import(node, leader, *its));
  dti_tensor_take_window(x);
  dti_node_leave(node, meeting);
  return DTENSOR_OK;
}

static dtensor_status make_shared(dtensor_mesh *mesh, dtensor_dtype dtype, const dti_layout *layout,
                                  dti_comm *comm, unsigned node_dims, dtensor **out) {
  dti_segment *segment;
  const dtensor_status mine = prepare(mesh, dtype, layout, comm, node_dims, out, &segment);
  dtensor_status status = dti_comm_agree(comm, mine);
  if (status == DTENSOR_OK) return take_windows(*out, comm, segment);
  for (int users = group_size(mesh, node_dims); segment && users > 0; users--)
    dti_segment_release(segment);
  return status;
}

/* Collective over the mesh. On failure *out may hold a part of it. */
static dtensor_status make(dtensor_mesh *mesh, dtensor_dtype dtype, const dti_layout *layout,
                           dtensor **out) {
  if (!dti_mesh_is_member(mesh)) return dti_tensor_create(mesh, dtype, layout, out);
  dti_comm *comm;
  unsigned node_dims;
  const dti_transfer_end end = {.mesh = mesh, .layout = layout};
  DTI_TRY(dti_mesh_comm(mesh, &comm));
  const dti_transfer_item item = {.from = end, .to = end, .dtype = dtype};
  DTI_TRY(dti_alike_check(comm, &item, NULL));
  DTI_TRY(find_node_dims(mesh, comm, layout, &node_dims));
  if (node_dims) return make_shared(mesh, dtype, layout, comm, node_dims, out);
  return dti_comm_agree(comm, dti_tensor_create(mesh, dtype, layout, out));
}

/* ---- the public functions */

static dtensor_status check(dtensor_mesh *mesh, dtensor_dtype dtype, int ndim,
                            const int64_t shape[], const dtensor_placement p[],
                            dti_layout *layout) {
  DTI_CHECK(p, DTENSOR_EINVAL, "placements must not be NULL");
  DTI_CHECK(shape || ndim == 0, DTENSOR_EINVAL, "shape must not be NULL with %d dimensions", ndim);
  DTI_TRY(dti_dtype_check(dtype));
  DTI_TRY(dti_layout_init(layout, ndim, shape, mesh->ndim, mesh->shape, p));
  return dti_tensor_check(dtype, layout);
}

dtensor_status dtensor_empty_node_shared(dtensor_mesh *mesh, dtensor_dtype dtype, int ndim,
                                         const int64_t shape[], const dtensor_placement p[],
                                         dtensor **out) {
  DTI_API();
  DTI_CHECK(out, DTENSOR_EINVAL, "out must not be NULL");
  *out = NULL;
  DTI_CHECK(mesh, DTENSOR_EINVAL, "mesh must not be NULL");
  dti_layout layout;
  const dtensor_status verdict = check(mesh, dtype, ndim, shape, p, &layout);
  if (verdict != DTENSOR_OK) return dti_alike_refuse(mesh, mesh, verdict);
  const dtensor_status status = make(mesh, dtype, &layout, out);
  if (status != DTENSOR_OK) dtensor_destroy(out);
  return status;
}

/* Of the ranks that have one window, the first writes it. */
static int is_writer(const dtensor *y) {
  for (int m = 0; m < y->mesh->ndim; m++)
    if ((y->node_dims >> m & 1u) && y->layout.p[m].kind == DTENSOR_REPLICATE &&
        y->mesh->coord[m] != 0)
      return 0;
  return 1;
}

static dtensor_status copy(const dtensor *x, dtensor *y) {
  if (is_writer(y) && y->data) {
    const dti_array from = dti_tensor_array(x), to = dti_tensor_array(y);
    dti_copy(&to, &from, dtensor_dtype_size(x->dtype), x->mesh->threads);
  }
  if (!y->node_dims) return DTENSOR_OK;
  dti_comm *comm;
  dti_node *node;
  uint64_t meeting;
  const int64_t written = 1;
  DTI_TRY(dti_mesh_comm(y->mesh, &comm));
  DTI_TRY(dti_comm_node(comm, &node));
  DTI_TRY(dti_meet(node, &written, sizeof written, &meeting));
  dti_node_leave(node, meeting);
  return DTENSOR_OK;
}

dtensor_status dtensor_share_node(const dtensor *x, dtensor **out) {
  DTI_API();
  DTI_CHECK(out, DTENSOR_EINVAL, "out must not be NULL");
  *out = NULL;
  DTI_CHECK(x, DTENSOR_EINVAL, "x must not be NULL");
  dtensor_status status = make(x->mesh, x->dtype, &x->layout, out);
  if (status == DTENSOR_OK) status = copy(x, *out);
  if (status != DTENSOR_OK) dtensor_destroy(out);
  return status;
}
