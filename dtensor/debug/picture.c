#include "dtensor/debug/picture.h"

#include <inttypes.h>
#include <stddef.h>
#include <string.h>

#include "dtensor/spec/axis.h"

/* Ranks that a label lists before it skips to the last one. */
enum { LISTED_RANKS = 6 };

typedef struct band_builder {
  const dti_axis *axis;
  dti_picture_axis *out;
} band_builder;

/* Ends the walk early; it is no error. */
static const dtensor_status full = DTENSOR_EBUDGET;

static int same_owner(const dti_axis *axis, const int64_t a[], const int64_t b[]) {
  for (int level = 0; level < axis->levels; level++)
    if (a[axis->mesh_dim[level]] != b[axis->mesh_dim[level]]) return 0;
  return 1;
}

static dtensor_status add_piece(const dti_piece *piece, void *ctx) {
  const band_builder *builder = ctx;
  const dti_axis *axis = builder->axis;
  dti_picture_axis *out = builder->out;
  if (piece->length == 0) return DTENSOR_OK;
  if (out->bands > 0 && same_owner(axis, out->band[out->bands - 1].coord, piece->coord)) {
    out->band[out->bands - 1].end = piece->begin + piece->length;
  } else if (out->bands < DTI_PICTURE_BANDS) {
    dti_picture_band *band = &out->band[out->bands++];
    band->begin = piece->begin;
    band->end = piece->begin + piece->length;
    for (int m = 0; m < DTENSOR_MAX_NDIM; m++) band->coord[m] = -1;
    for (int level = 0; level < axis->levels; level++)
      band->coord[axis->mesh_dim[level]] = piece->coord[axis->mesh_dim[level]];
  } else {
    return full;
  }
  out->rest = piece->begin + piece->length;
  return DTENSOR_OK;
}

/* A split over one coordinate changes nothing, but block-cyclic it would be walked block by block.
 */
static void drop_trivial_levels(dti_axis *axis) {
  int kept = 0;
  for (int level = 0; level < axis->levels; level++) {
    if (axis->parts[level] == 1) continue;
    axis->mesh_dim[kept] = axis->mesh_dim[level];
    axis->parts[kept] = axis->parts[level];
    axis->p[kept] = axis->p[level];
    kept++;
  }
  axis->levels = kept;
}

static dtensor_status cut(const dti_layout *layout, int dim, dti_picture_axis *out) {
  dti_axis axis = dti_axis_of(layout, dim);
  drop_trivial_levels(&axis);
  int64_t any[DTENSOR_MAX_NDIM];
  for (int m = 0; m < DTENSOR_MAX_NDIM; m++) any[m] = -1;
  *out = (dti_picture_axis){.size = axis.size};
  band_builder builder = {&axis, out};
  const dtensor_status status = dti_axis_walk(&axis, 0, axis.size, any, add_piece, &builder);
  return status == full ? DTENSOR_OK : status;
}

dtensor_status dti_picture_init(dti_picture *picture, const dti_layout *layout) {
  picture->layout = layout;
  if (layout->ndim >= 2) {
    const dtensor_status status = cut(layout, 0, &picture->rows);
    return status == DTENSOR_OK ? cut(layout, 1, &picture->columns) : status;
  }
  picture->rows = (dti_picture_axis){.size = 1, .bands = 1, .rest = 1, .band = {{.end = 1}}};
  for (int m = 0; m < DTENSOR_MAX_NDIM; m++) picture->rows.band[0].coord[m] = -1;
  return cut(layout, 0, &picture->columns);
}

/* The next coordinate in row-major order among those that agree with `fixed`; 0 at the end. */
static int next_owner(const dti_layout *layout, const int64_t fixed[], int64_t coord[]) {
  for (int m = layout->mesh_ndim - 1; m >= 0; m--) {
    if (fixed[m] >= 0) continue;
    if (++coord[m] < layout->mesh[m]) return 1;
    coord[m] = 0;
  }
  return 0;
}

int64_t dti_picture_owners(const dti_picture *picture, int row, int column, char *label,
                           size_t size, int64_t *first) {
  const dti_layout *layout = picture->layout;
  int64_t fixed[DTENSOR_MAX_NDIM], coord[DTENSOR_MAX_NDIM] = {0}, last[DTENSOR_MAX_NDIM];
  int64_t owners = 1;
  for (int m = 0; m < layout->mesh_ndim; m++) {
    const int64_t by_row = picture->rows.band[row].coord[m];
    fixed[m] = by_row >= 0 ? by_row : picture->columns.band[column].coord[m];
    if (fixed[m] < 0) owners *= layout->mesh[m];
    coord[m] = fixed[m] >= 0 ? fixed[m] : 0;
    last[m] = fixed[m] >= 0 ? fixed[m] : layout->mesh[m] - 1;
  }
  if (first) *first = dti_mesh_linear(layout->mesh_ndim, layout->mesh, coord);
  const int64_t listed = owners <= LISTED_RANKS ? owners : LISTED_RANKS - 1;
  size_t used = 0;
  label[0] = '\0';
  for (int64_t i = 0; i < listed; i++) {
    const int64_t rank = dti_mesh_linear(layout->mesh_ndim, layout->mesh, coord);
    const int n = snprintf(label + used, size - used, "%s%" PRId64, i ? "," : "", rank);
    if (n < 0 || (size_t)n >= size - used) return owners;
    used += (size_t)n;
    if (!next_owner(layout, fixed, coord)) break;
  }
  if (listed < owners)
    snprintf(label + used, size - used, ",...,%" PRId64,
             dti_mesh_linear(layout->mesh_ndim, layout->mesh, last));
  return owners;
}
