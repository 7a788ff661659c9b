#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "dtensor/base/alloc.h"
#include "dtensor/base/dtype.h"
#include "dtensor/base/fail.h"
#include "dtensor/comm/check.h"
#include "dtensor/kernels/strided.h"
#include "dtensor/spec/axis.h"
#include "dtensor/spec/placement_text.h"
#include "dtensor/tensor/tensor.h"

/* What every rank tells the others. */
typedef struct offer {
  int64_t verdict; /* dti_agree_value */
  int64_t ndim;
  int64_t shape[DTENSOR_MAX_NDIM];
  int64_t is_strided, is_foreign;
} offer;

static dtensor_status check_local(const dtensor_mesh *mesh, dtensor_dtype dtype,
                                  const dtensor_local *local, const dtensor_placement p[]) {
  DTI_TRY(dti_dtype_check(dtype));
  DTI_CHECK(local && p, DTENSOR_EINVAL, "local and placements must not be NULL");
  DTI_CHECK(local->ndim >= 0 && local->ndim <= DTENSOR_MAX_NDIM, DTENSOR_EINVAL,
            "local array of %d dimensions, must be 0 to %d", local->ndim, DTENSOR_MAX_NDIM);
  int64_t bytes = (int64_t)dtensor_dtype_size(dtype);
  int empty = 0;
  for (int d = 0; d < local->ndim; d++) {
    DTI_CHECK(local->shape[d] >= 0, DTENSOR_EINVAL, "size %" PRId64 " of local dimension %d",
              local->shape[d], d);
    empty |= local->shape[d] == 0;
  }
  for (int d = 0; !empty && d < local->ndim; d++)
    DTI_CHECK(!__builtin_mul_overflow(bytes, local->shape[d], &bytes), DTENSOR_EINVAL,
              "the local array has more than 2^63-1 bytes");
  DTI_CHECK(local->data || empty, DTENSOR_EINVAL, "the local array has no data");
  DTI_CHECK(local->own == DTENSOR_COPY || local->own == DTENSOR_BORROW || local->own == DTENSOR_OWN,
            DTENSOR_EINVAL, "ownership %d is none", (int)local->own);
  DTI_CHECK(local->own != DTENSOR_OWN || local->release, DTENSOR_EINVAL,
            "an owned array needs a release function");
  for (int m = 0; m < mesh->ndim; m++) {
    const int64_t dim = p[m].dim < 0 ? p[m].dim + local->ndim : p[m].dim;
    DTI_CHECK(!dti_placement_is_shard(p[m]) || (dim >= 0 && dim < local->ndim), DTENSOR_EPLACEMENT,
              "mesh dimension %d shards dimension %d of a %d-d array", m, p[m].dim, local->ndim);
  }
  return DTENSOR_OK;
}

static dti_array array_of(const dtensor_local *local) {
  dti_array array = {.data = local->data, .ndim = local->ndim};
  int strides_given = 0;
  for (int d = 0; d < local->ndim; d++) {
    array.shape[d] = local->shape[d];
    array.stride[d] = local->stride[d];
    strides_given |= local->stride[d] != 0;
  }
  if (!strides_given) dti_packed_strides(array.ndim, array.shape, array.stride);
  return array;
}

/* The storage that the tensor will have. Nothing is released by it until the ranks have agreed. */
static dtensor_status prepare_storage(const dtensor_local *local, dtensor_dtype dtype, int threads,
                                      dti_array *array, dti_storage **storage) {
  *array = array_of(local);
  if (local->own != DTENSOR_COPY) {
    DTI_TRY(dti_storage_create(local->data, NULL, local->ctx, storage));
    (*storage)->is_foreign = 1;
    return DTENSOR_OK;
  }
  const size_t element = dtensor_dtype_size(dtype);
  dti_array copy = *array;
  dti_packed_strides(copy.ndim, copy.shape, copy.stride);
  copy.data = dti_alloc((size_t)dti_numel(copy.ndim, copy.shape) * element);
  DTI_CHECK(copy.data, DTENSOR_ENOMEM, "no memory for a copy of the local array");
  const dtensor_status status = dti_storage_create(copy.data, dti_free, copy.data, storage);
  if (status != DTENSOR_OK) {
    dti_free(copy.data);
    return status;
  }
  dti_copy(&copy, array, element, threads);
  *array = copy;
  return DTENSOR_OK;
}

/* The lengths that the ranks bring along one sharded tensor dimension: one per owner, the owners'
 * coordinates row-major over the mesh dimensions that shard it. */
typedef struct lengths {
  int levels;
  int mesh_dim[DTENSOR_MAX_NDIM];
  int64_t parts[DTENSOR_MAX_NDIM];
  int64_t owners, total;
  int64_t *of; /* -1: not seen so far */
} lengths;

static int64_t owner_of_place(const dtensor_mesh *mesh, const lengths *l, int64_t place) {
  int64_t coord[DTENSOR_MAX_NDIM], owner = 0;
  dti_mesh_unravel(mesh->ndim, mesh->shape, place, coord);
  for (int k = 0; k < l->levels; k++) owner = owner * l->parts[k] + coord[l->mesh_dim[k]];
  return owner;
}

static dtensor_status gather_lengths(const dtensor_mesh *mesh, const offer offers[], int dim,
                                     const dtensor_placement p[], lengths *l) {
  const int ndim = (int)offers[0].ndim;
  *l = (lengths){.owners = 1};
  for (int m = 0; m < mesh->ndim; m++) {
    if (!dti_placement_is_shard(p[m]) || (p[m].dim < 0 ? p[m].dim + ndim : p[m].dim) != dim)
      continue;
    l->mesh_dim[l->levels] = m;
    l->parts[l->levels++] = mesh->shape[m];
    l->owners *= mesh->shape[m];
  }
  l->of = malloc((size_t)l->owners * sizeof *l->of);
  DTI_CHECK(l->of, DTENSOR_ENOMEM, "no memory for %" PRId64 " lengths", l->owners);
  for (int64_t i = 0; i < l->owners; i++) l->of[i] = -1;
  for (int64_t place = 0; place < mesh->size; place++) {
    int64_t *length = &l->of[owner_of_place(mesh, l, place)];
    const int64_t brought = offers[place].shape[dim];
    if (*length < 0) *length = brought;
    DTI_CHECK(*length == brought, DTENSOR_ESHAPE,
              "rank %" PRId64 " brings %" PRId64
              " of dimension %d where another rank of the same "
              "part brings %" PRId64,
              place, brought, dim, *length);
  }
  int overflow = 0;
  for (int64_t i = 0; i < l->owners; i++)
    overflow |= __builtin_add_overflow(l->total, l->of[i], &l->total);
  DTI_CHECK(!overflow, DTENSOR_ESHAPE, "dimension %d has more than 2^63-1 indices in all", dim);
  return DTENSOR_OK;
}

/* Whether the lengths are those of the placements' own split. */
static int split_fits(const dti_layout *layout, int dim, const lengths *l) {
  const dti_axis axis = dti_axis_of(layout, dim);
  int64_t coord[DTENSOR_MAX_NDIM] = {0};
  for (int64_t owner = 0; owner < l->owners; owner++) {
    int64_t rest = owner;
    for (int k = l->levels - 1; k >= 0; k--) {
      coord[l->mesh_dim[k]] = rest % l->parts[k];
      rest /= l->parts[k];
    }
    if (dti_axis_length(&axis, coord) != l->of[owner]) return 0;
  }
  return 1;
}

/* Replace the placements that shard `dim` by explicit sizes: at each level, the sum of what the
 * levels below bring, which must not depend on the levels above. */
static dtensor_status use_sizes(int dim, const lengths *l, dtensor_placement p[],
                                int64_t *sizes[DTENSOR_MAX_NDIM]) {
  int64_t above = 1, below = l->owners;
  for (int k = 0; k < l->levels; k++) {
    const int m = l->mesh_dim[k];
    const int64_t parts = l->parts[k];
    DTI_CHECK(p[m].kind == DTENSOR_SHARD || p[m].kind == DTENSOR_SHARD_BALANCED, DTENSOR_ESHAPE,
              "the local sizes of dimension %d are not those of mesh dimension %d's placement", dim,
              m);
    below /= parts;
    sizes[m] = calloc((size_t)parts, sizeof **sizes);
    DTI_CHECK(sizes[m], DTENSOR_ENOMEM, "no memory for %" PRId64 " sizes", parts);
    for (int64_t a = 0; a < above; a++) {
      for (int64_t c = 0; c < parts; c++) {
        int64_t sum = 0;
        for (int64_t b = 0; b < below; b++) sum += l->of[(a * parts + c) * below + b];
        if (a == 0) sizes[m][c] = sum;
        DTI_CHECK(
            sum == sizes[m][c], DTENSOR_EPLACEMENT,
            "dimension %d: sizes along mesh dimension %d differ with the coordinates above it", dim,
            m);
      }
    }
    above *= parts;
    p[m] = dtensor_shard_sizes(dim, sizes[m]);
  }
  return DTENSOR_OK;
}

/* The layout that the offers make up. sizes[m] holds what p[m] borrows; the caller frees them. */
static dtensor_status infer_layout(const dtensor_mesh *mesh, const offer offers[],
                                   const int64_t global_shape[], dtensor_placement p[],
                                   int64_t *sizes[DTENSOR_MAX_NDIM], dti_layout *layout) {
  const int ndim = (int)offers[0].ndim;
  lengths l[DTENSOR_MAX_NDIM] = {{0}};
  int64_t shape[DTENSOR_MAX_NDIM] = {0};
  dtensor_status status = DTENSOR_OK;
  for (int64_t place = 1; place < mesh->size; place++)
    DTI_CHECK(offers[place].ndim == ndim, DTENSOR_ESHAPE,
              "rank 0 brings %d dimensions, rank %" PRId64 " brings %" PRId64, ndim, place,
              offers[place].ndim);
  for (int d = 0; d < ndim; d++) {
    DTI_TRY_OR(done, status, gather_lengths(mesh, offers, d, p, &l[d]));
    shape[d] = l[d].total;
    if (global_shape && global_shape[d] != shape[d]) {
      status = DTI_FAIL(DTENSOR_ESHAPE,
                        "the local arrays make up %" PRId64
                        " of dimension %d, the global shape says %" PRId64,
                        shape[d], d, global_shape[d]);
      goto done;
    }
  }
  DTI_TRY_OR(done, status, dti_layout_init(layout, ndim, shape, mesh->ndim, mesh->shape, p));
  int changed = 0;
  for (int d = 0; d < ndim; d++) {
    if (l[d].levels == 0 || split_fits(layout, d, &l[d])) continue;
    DTI_TRY_OR(done, status, use_sizes(d, &l[d], p, sizes));
    changed = 1;
  }
  if (changed) status = dti_layout_init(layout, ndim, shape, mesh->ndim, mesh->shape, p);
done:
  for (int d = 0; d < ndim; d++) free(l[d].of);
  return status;
}

/* With DTENSOR_CHECK=1: do all ranks mean the same tensor? The arrays may differ. */
static dtensor_status check_alike(const dtensor_mesh *mesh, dti_comm *comm, dtensor_dtype dtype,
                                  const dtensor_placement p[], const int64_t global_shape[],
                                  int ndim) {
  if (!dti_check_enabled()) return DTENSOR_OK;
  dti_facts facts = {0};
  dti_facts_add(&facts, "the dtype", &dtype, sizeof dtype);
  char text[512] = "";
  if (p) dti_placements_write(p, mesh->ndim, text, sizeof text);
  dti_facts_add(&facts, "the placements", text, strlen(text));
  dti_facts_add(&facts, "the global shape", global_shape,
                global_shape ? (size_t)ndim * sizeof *global_shape : 0);
  return dti_facts_compare(comm, &facts);
}

static dtensor_status exchange_offers(const dtensor_mesh *mesh, dti_comm *comm,
                                      const dtensor_local *local, const dti_array *array,
                                      dtensor_status mine, offer **offers) {
  offer own = {.verdict = dti_agree_value(mine, (int)mesh->rank), .ndim = local ? local->ndim : 0};
  for (int d = 0; mine == DTENSOR_OK && d < local->ndim; d++) own.shape[d] = local->shape[d];
  own.is_strided = mine == DTENSOR_OK && !dti_array_is_packed(array);
  own.is_foreign = mine == DTENSOR_OK && local->own != DTENSOR_COPY;
  /* A rank that cannot hold the answers still has to take part, and then fails alone: that is the
   * one place where the others cannot be told. */
  *offers = malloc((size_t)mesh->size * sizeof **offers);
  DTI_CHECK(*offers, DTENSOR_ENOMEM, "no memory for %" PRId64 " offers", mesh->size);
  DTI_TRY(dti_comm_allgather(comm, &own, sizeof own, *offers));
  int64_t worst = (*offers)[0].verdict;
  for (int64_t i = 1; i < mesh->size; i++)
    if ((*offers)[i].verdict < worst) worst = (*offers)[i].verdict;
  return dti_agree_verdict(mine, worst);
}

static dtensor_status outside(dtensor_mesh *mesh, dtensor_dtype dtype, const dtensor_local *local,
                              const dtensor_placement p[], const int64_t global_shape[],
                              dtensor **out) {
  DTI_CHECK(global_shape && local && p, DTENSOR_EMESH,
            "this rank is not a member of the mesh and was not given the global shape");
  dti_layout layout;
  DTI_TRY(dti_layout_init(&layout, local->ndim, global_shape, mesh->ndim, mesh->shape, p));
  return dti_tensor_create(mesh, dtype, &layout, out);
}

dtensor_status dtensor_from_local(dtensor_mesh *mesh, dtensor_dtype dtype,
                                  const dtensor_local *local, const dtensor_placement p[],
                                  const int64_t global_shape[], dtensor **out) {
  DTI_API();
  DTI_CHECK(out, DTENSOR_EINVAL, "out must not be NULL");
  *out = NULL;
  DTI_CHECK(mesh, DTENSOR_EINVAL, "mesh must not be NULL");
  if (!dti_mesh_is_member(mesh)) return outside(mesh, dtype, local, p, global_shape, out);

  offer *offers = NULL;
  dti_storage *storage = NULL;
  dti_array array;
  int64_t *sizes[DTENSOR_MAX_NDIM] = {NULL};
  dtensor_placement placements[DTENSOR_MAX_NDIM];
  dti_layout layout;

  dti_comm *comm;
  DTI_TRY(dti_mesh_comm(mesh, &comm));
  const int ndim = local && local->ndim > 0 && local->ndim <= DTENSOR_MAX_NDIM ? local->ndim : 0;
  DTI_TRY(check_alike(mesh, comm, dtype, p, global_shape, ndim));

  /* A local array is one rank's argument, so its faults are agreed on like a lack of memory. */
  dtensor_status status = check_local(mesh, dtype, local, p);
  if (status == DTENSOR_OK) status = prepare_storage(local, dtype, mesh->threads, &array, &storage);
  DTI_TRY_OR(done, status, exchange_offers(mesh, comm, local, &array, status, &offers));

  memcpy(placements, p, (size_t)mesh->ndim * sizeof *p);
  DTI_TRY_OR(done, status, infer_layout(mesh, offers, global_shape, placements, sizes, &layout));
  DTI_TRY_OR(done, status,
             dti_tensor_wrap(mesh, dtype, &layout, storage, array.data, array.stride, out));
  (*out)->is_strided = (*out)->is_foreign = 0;
  for (int64_t i = 0; i < mesh->size; i++) {
    (*out)->is_strided |= offers[i].is_strided != 0;
    (*out)->is_foreign |= offers[i].is_foreign != 0;
  }
  if (local->own == DTENSOR_OWN) storage->release = local->release;
done:
  dti_storage_release(&storage); /* the tensor has its own reference */
  free(offers);
  for (int m = 0; m < DTENSOR_MAX_NDIM; m++) free(sizes[m]);
  return status;
}
