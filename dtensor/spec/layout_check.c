/* Making a layout: the only place where shapes, meshes and placements are checked. */
#include <inttypes.h>
#include <stdbool.h>

#include "dtensor/base/dtype.h"
#include "dtensor/base/fail.h"
#include "dtensor/spec/axis.h"
#include "dtensor/spec/layout.h"
#include "dtensor/spec/placement_text.h"
#include "dtensor/spec/split.h"

enum { TEXT = 96 }; /* of one placement in a message */

static const char *placement_text(dtensor_placement p, char text[TEXT]) {
  dti_placements_write(&p, 1, text, TEXT);
  return text;
}

/* The product of the sizes that are not 0 fits an int64_t. */
static bool product_fits(int n, const int64_t sizes[]) {
  int64_t product = 1;
  for (int i = 0; i < n; i++) {
    if (sizes[i] == 0) continue;
    if (product > INT64_MAX / sizes[i]) return false;
    product *= sizes[i];
  }
  return true;
}

static dtensor_status check_shape(int ndim, const int64_t shape[]) {
  DTI_CHECK(ndim >= 0 && ndim <= DTENSOR_MAX_NDIM, DTENSOR_EINVAL,
            "a tensor of %d dimensions: need 0 to %d", ndim, DTENSOR_MAX_NDIM);
  DTI_CHECK(ndim == 0 || shape, DTENSOR_EINVAL, "shape is NULL");
  for (int d = 0; d < ndim; d++)
    DTI_CHECK(shape[d] >= 0, DTENSOR_EINVAL, "dimension %d has the negative size %" PRId64, d,
              shape[d]);
  DTI_CHECK(product_fits(ndim, shape), DTENSOR_EINVAL, "the shape has more than 2^63-1 elements");
  return DTENSOR_OK;
}

static dtensor_status check_mesh(int mesh_ndim, const int64_t mesh[]) {
  DTI_CHECK(mesh_ndim >= 1 && mesh_ndim <= DTENSOR_MAX_NDIM, DTENSOR_EINVAL,
            "a mesh of %d dimensions: need 1 to %d", mesh_ndim, DTENSOR_MAX_NDIM);
  DTI_CHECK(mesh, DTENSOR_EINVAL, "the mesh shape is NULL");
  for (int m = 0; m < mesh_ndim; m++)
    DTI_CHECK(mesh[m] >= 1, DTENSOR_EINVAL, "mesh dimension %d has the size %" PRId64, m, mesh[m]);
  DTI_CHECK(product_fits(mesh_ndim, mesh), DTENSOR_EINVAL, "the mesh has more than 2^63-1 ranks");
  return DTENSOR_OK;
}

static int64_t sum_of(int64_t n, const int64_t sizes[]) {
  int64_t sum = 0;
  for (int64_t i = 0; i < n; i++) sum += sizes[i];
  return sum;
}

static dtensor_status check_sizes_array(const dti_layout *layout, int m, dtensor_placement *p) {
  DTI_CHECK(p->sizes, DTENSOR_EPLACEMENT, "placement %d is shard_sizes with sizes NULL", m);
  DTI_CHECK(p->count == 0 || p->count == layout->mesh[m], DTENSOR_EPLACEMENT,
            "placement %d has %" PRId64 " sizes for a mesh dimension of %" PRId64, m, p->count,
            layout->mesh[m]);
  p->count = layout->mesh[m];
  int64_t sum = 0;
  for (int64_t i = 0; i < p->count; i++) {
    DTI_CHECK(p->sizes[i] >= 0, DTENSOR_EPLACEMENT,
              "placement %d gives coordinate %" PRId64 " the negative size %" PRId64, m, i,
              p->sizes[i]);
    DTI_CHECK(p->sizes[i] <= INT64_MAX - sum, DTENSOR_EPLACEMENT,
              "the sizes of placement %d add up to more than 2^63-1", m);
    sum += p->sizes[i];
  }
  return DTENSOR_OK;
}

static dtensor_status check_shard(const dti_layout *layout, int m, dtensor_placement *p) {
  char text[TEXT];
  if (p->dim < 0 && p->dim >= -layout->ndim) p->dim += layout->ndim;
  DTI_CHECK(p->dim >= 0 && p->dim < layout->ndim, DTENSOR_EPLACEMENT,
            "placement %d, %s, shards a dimension out of range for a tensor of %d dimensions", m,
            placement_text(*p, text), layout->ndim);
  if (p->kind == DTENSOR_SHARD_CYCLIC || p->kind == DTENSOR_SHARD_STRIDED)
    DTI_CHECK(p->param >= 1, DTENSOR_EPLACEMENT, "placement %d, %s, needs a %s of at least 1", m,
              placement_text(*p, text),
              p->kind == DTENSOR_SHARD_CYCLIC ? "block size" : "split factor");
  return p->kind == DTENSOR_SHARD_SIZES ? check_sizes_array(layout, m, p) : DTENSOR_OK;
}

/* DTI_OWNED is refused too: whoever needs it sets it in a checked layout. */
static dtensor_status check_placement(const dti_layout *layout, int m, dtensor_placement *p) {
  if (dti_placement_is_shard(*p)) return check_shard(layout, m, p);
  if (p->kind == DTENSOR_PARTIAL)
    DTI_CHECK(p->op >= DTENSOR_SUM && p->op <= DTENSOR_BXOR, DTENSOR_EPLACEMENT,
              "placement %d is partial with an unknown reduction %d", m, (int)p->op);
  else
    DTI_CHECK(p->kind == DTENSOR_REPLICATE, DTENSOR_EPLACEMENT,
              "placement %d is of an unknown kind %d", m, (int)p->kind);
  return DTENSOR_OK;
}

static dtensor_reduce_op linear(dtensor_reduce_op op) {
  return op == DTENSOR_AVG ? DTENSOR_SUM : op;
}

static dtensor_status check_partials(const dti_layout *layout) {
  int first = -1;
  for (int m = 0; m < layout->mesh_ndim; m++) {
    if (layout->p[m].kind != DTENSOR_PARTIAL) continue;
    if (first < 0) first = m;
    const dtensor_reduce_op a = layout->p[first].op, b = layout->p[m].op;
    DTI_CHECK(linear(a) == linear(b), DTENSOR_EPLACEMENT,
              "placements %d and %d are Partial of different reductions, %s and %s", first, m,
              dti_reduce_op_name(a), dti_reduce_op_name(b));
  }
  return DTENSOR_OK;
}

/* The sizes of level `sized` must add up to what the levels above leave, whatever the coordinates.
 * This follows the distinct lengths down from `level`, which splits n: a handful per level, but
 * with explicit sizes one per coordinate. */
static dtensor_status check_sum(const dti_axis *axis, int dim, int level, int sized, int64_t n,
                                int64_t sum) {
  if (level == sized) {
    DTI_CHECK(n == sum, DTENSOR_EPLACEMENT,
              "the sizes of placement %d add up to %" PRId64
              ", but the length of dimension %d "
              "that they split is %" PRId64 "%s",
              axis->mesh_dim[sized], sum, dim, n, sized > 0 ? " for some coordinates" : "");
    return DTENSOR_OK;
  }
  const dti_split split = dti_split_of(axis->p[level], n, axis->parts[level]);
  int64_t previous = -1;
  for (int64_t c = 0; c < split.parts; c = dti_split_next_length(&split, c)) {
    const int64_t length = dti_split_length(&split, c);
    if (length != previous) DTI_TRY(check_sum(axis, dim, level + 1, sized, length, sum));
    previous = length;
  }
  return DTENSOR_OK;
}

static dtensor_status check_sums(const dti_layout *layout, int dim) {
  const dti_axis axis = dti_axis_of(layout, dim);
  int level = 0; /* the last one that splits one length only, n, whatever the coordinates */
  int64_t n = axis.size;
  for (int sized = 0; sized < axis.levels; sized++) {
    if (axis.p[sized].kind != DTENSOR_SHARD_SIZES) continue;
    const int64_t sum = sum_of(axis.p[sized].count, axis.p[sized].sizes);
    DTI_TRY(check_sum(&axis, dim, level, sized, n, sum));
    level = sized;
    n = sum;
  }
  return DTENSOR_OK;
}

dtensor_status dti_layout_init(dti_layout *layout, int ndim, const int64_t shape[], int mesh_ndim,
                               const int64_t mesh[], const dtensor_placement p[]) {
  DTI_TRY(check_shape(ndim, shape));
  DTI_TRY(check_mesh(mesh_ndim, mesh));
  DTI_CHECK(p, DTENSOR_EINVAL, "the placements are NULL");
  dti_layout made = {.ndim = ndim, .mesh_ndim = mesh_ndim};
  for (int d = 0; d < ndim; d++) made.shape[d] = shape[d];
  for (int m = 0; m < mesh_ndim; m++) {
    made.mesh[m] = mesh[m];
    made.p[m] = p[m];
    made.order[m] = m;
    DTI_TRY(check_placement(&made, m, &made.p[m]));
  }
  DTI_TRY(check_partials(&made));
  for (int d = 0; d < ndim; d++) DTI_TRY(check_sums(&made, d));
  *layout = made;
  return DTENSOR_OK;
}
