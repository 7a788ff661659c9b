#include "tests/redistribute/ownership.h"

#include <stdlib.h>
#include <string.h>

static int64_t product(int n, const int64_t sizes[]) {
  int64_t all = 1;
  for (int i = 0; i < n; i++) all *= sizes[i];
  return all;
}

static void unravel(int n, const int64_t sizes[], int64_t at, int64_t digits[]) {
  for (int i = n - 1; i >= 0; i--) {
    digits[i] = at % sizes[i];
    at /= sizes[i];
  }
}

int64_t ownership_coordinate(const ownership *o, int64_t rank, int mesh_dim) {
  int64_t coord[DTENSOR_MAX_NDIM];
  unravel(o->mesh_ndim, o->mesh, rank, coord);
  return coord[mesh_dim];
}

int64_t ownership_local(const ownership *o, int64_t rank, int64_t element) {
  return o->local[rank * o->elements + element];
}

int64_t ownership_local_size(const ownership *o, int64_t rank) {
  return product(o->ndim, o->local_shape + rank * DTENSOR_MAX_NDIM);
}

static bool place_element(ownership *o, int64_t element) {
  int64_t index[DTENSOR_MAX_NDIM], local[DTENSOR_MAX_NDIM];
  int64_t *owner = o->owner + element * DTENSOR_MAX_NDIM;
  unravel(o->ndim, o->shape, element, index);
  for (int m = 0; m < o->mesh_ndim; m++) owner[m] = -1;
  for (int d = 0; d < o->ndim; d++) {
    int64_t coord[DTENSOR_MAX_NDIM];
    if (dtensor_compute_owner(o->mesh_ndim, o->mesh, o->ndim, o->shape, o->p, d, index[d], coord,
                              &local[d]) != DTENSOR_OK)
      return false;
    for (int m = 0; m < o->mesh_ndim; m++)
      if (coord[m] >= 0) owner[m] = coord[m];
  }
  for (int64_t rank = 0; rank < o->ranks; rank++) {
    bool holds = true;
    for (int m = 0; m < o->mesh_ndim; m++)
      if (owner[m] >= 0 && owner[m] != ownership_coordinate(o, rank, m)) holds = false;
    int64_t at = 0;
    for (int d = 0; d < o->ndim; d++)
      at = at * o->local_shape[rank * DTENSOR_MAX_NDIM + d] + local[d];
    o->local[rank * o->elements + element] = holds ? at : -1;
  }
  return true;
}

bool ownership_make(int mesh_ndim, const int64_t mesh[], int ndim, const int64_t shape[],
                    const dtensor_placement p[], ownership *o) {
  *o = (ownership){.mesh_ndim = mesh_ndim, .ndim = ndim};
  memcpy(o->mesh, mesh, (size_t)mesh_ndim * sizeof *mesh);
  if (ndim > 0) memcpy(o->shape, shape, (size_t)ndim * sizeof *shape);
  memcpy(o->p, p, (size_t)mesh_ndim * sizeof *p);
  o->ranks = product(mesh_ndim, mesh);
  o->elements = product(ndim, o->shape);
  o->local = malloc((size_t)(o->ranks * o->elements + 1) * sizeof *o->local);
  o->owner = malloc((size_t)(o->elements + 1) * DTENSOR_MAX_NDIM * sizeof *o->owner);
  o->local_shape = calloc((size_t)o->ranks * DTENSOR_MAX_NDIM, sizeof *o->local_shape);
  bool ok = o->local && o->owner && o->local_shape;
  for (int64_t rank = 0; ok && rank < o->ranks; rank++) {
    int64_t coord[DTENSOR_MAX_NDIM], offset[DTENSOR_MAX_NDIM];
    unravel(mesh_ndim, mesh, rank, coord);
    ok = dtensor_compute_local_shape_and_global_offset(mesh_ndim, mesh, coord, ndim, o->shape, p,
                                                       o->local_shape + rank * DTENSOR_MAX_NDIM,
                                                       offset) == DTENSOR_OK;
  }
  for (int64_t e = 0; ok && e < o->elements; e++) ok = place_element(o, e);
  if (!ok) ownership_free(o);
  return ok;
}

void ownership_free(ownership *o) {
  free(o->local);
  free(o->owner);
  free(o->local_shape);
  *o = (ownership){0};
}

static bool is_partial(dtensor_placement p) { return p.kind == DTENSOR_PARTIAL; }

bool ownership_keeps_partial(const ownership *from, const ownership *to, int m) {
  return is_partial(from->p[m]) && is_partial(to->p[m]) && from->p[m].op == to->p[m].op;
}

bool ownership_needs(const ownership *from, const ownership *to, int64_t rank, int64_t element) {
  if (ownership_local(to, rank, element) < 0) return false;
  for (int m = 0; m < to->mesh_ndim; m++) {
    if (!is_partial(to->p[m]) || to->p[m].op == DTENSOR_AVG || ownership_keeps_partial(from, to, m))
      continue;
    const int64_t owner = from->owner[element * DTENSOR_MAX_NDIM + m];
    if (ownership_coordinate(to, rank, m) != (owner >= 0 ? owner : 0)) return false;
  }
  return true;
}

double ownership_value(int64_t element) { return (double)(3 * element + 1); }

double ownership_contribution(const ownership *o, int64_t rank, int64_t element) {
  int64_t contributors = 1, which = 0, averaged = 1;
  dtensor_reduce_op op = DTENSOR_SUM;
  for (int m = 0; m < o->mesh_ndim; m++) {
    if (!is_partial(o->p[m])) continue;
    contributors *= o->mesh[m];
    which = which * o->mesh[m] + ownership_coordinate(o, rank, m);
    if (o->p[m].op == DTENSOR_AVG)
      averaged *= o->mesh[m];
    else
      op = o->p[m].op;
  }
  const double value = ownership_value(element);
  if (contributors == 1) return value;
  if (op == DTENSOR_MAX || op == DTENSOR_MIN) {
    const double away = (double)((which + element) % contributors);
    return op == DTENSOR_MAX ? value - away : value + away;
  }
  if (op == DTENSOR_PRODUCT) return which == element % contributors ? value : 1;
  double rest = value * (double)averaged;
  for (int64_t k = 0; k + 1 < contributors; k++) {
    const double part = (double)((7 * element + 13 * k) % 50 - 20);
    if (k == which) return part;
    rest -= part;
  }
  return rest;
}

bool ownership_reduces(const ownership *from, const ownership *to) {
  for (int m = 0; m < from->mesh_ndim; m++)
    if (is_partial(from->p[m]) && from->mesh[m] > 1 && !ownership_keeps_partial(from, to, m))
      return true;
  return false;
}

int64_t ownership_least_received(const ownership *from, const ownership *to, int64_t rank) {
  int64_t n = 0;
  for (int64_t e = 0; e < to->elements; e++)
    n += ownership_needs(from, to, rank, e) && ownership_local(from, rank, e) < 0;
  return n;
}

/* The coordinates of the placements that stay Partial, as one number. */
static int64_t kept_coordinate(const ownership *from, const ownership *to, int64_t rank) {
  int64_t kept = 0;
  for (int m = 0; m < from->mesh_ndim; m++)
    if (ownership_keeps_partial(from, to, m))
      kept = kept * from->mesh[m] + ownership_coordinate(from, rank, m);
  return kept;
}

int64_t ownership_least_total(const ownership *from, const ownership *to) {
  int64_t contributors = 1, kept = 1, total = 0;
  for (int m = 0; m < from->mesh_ndim; m++) {
    if (!is_partial(from->p[m])) continue;
    if (ownership_keeps_partial(from, to, m))
      kept *= from->mesh[m];
    else
      contributors *= from->mesh[m];
  }
  for (int64_t e = 0; e < to->elements; e++) {
    for (int64_t k = 0; k < kept; k++) {
      int64_t receivers = 0;
      bool meet = false;
      for (int64_t rank = 0; rank < to->ranks; rank++) {
        if (kept_coordinate(from, to, rank) != k || !ownership_needs(from, to, rank, e)) continue;
        receivers++;
        meet |= ownership_local(from, rank, e) >= 0;
      }
      if (receivers > 0) total += contributors - 1 + receivers - meet;
    }
  }
  return total;
}

double ownership_combined(const ownership *to, const double *const part[], int64_t first,
                          int64_t element) {
  double value = 0;
  int64_t averaged = 1, n = 0;
  for (int m = 0; m < to->mesh_ndim; m++)
    if (to->p[m].kind == DTENSOR_PARTIAL && to->p[m].op == DTENSOR_AVG) averaged *= to->mesh[m];
  for (int64_t rank = 0; rank < to->ranks; rank++) {
    bool same_line = true;
    dtensor_reduce_op op = DTENSOR_SUM;
    for (int m = 0; m < to->mesh_ndim; m++) {
      const bool partial = to->p[m].kind == DTENSOR_PARTIAL;
      if (partial && to->p[m].op != DTENSOR_AVG) op = to->p[m].op;
      if (!partial && ownership_coordinate(to, rank, m) != ownership_coordinate(to, first, m))
        same_line = false;
    }
    if (!same_line) continue;
    const double here = part[rank][ownership_local(to, rank, element)];
    if (n++ == 0)
      value = here;
    else if (op == DTENSOR_MAX)
      value = here > value ? here : value;
    else
      value += here;
  }
  return value / (double)averaged;
}

bool ownership_is_first_of_line(const ownership *to, int64_t rank) {
  for (int m = 0; m < to->mesh_ndim; m++)
    if (to->p[m].kind == DTENSOR_PARTIAL && ownership_coordinate(to, rank, m) != 0) return false;
  return true;
}
