/* Where the blocks of an operand lie. */
#include <stdlib.h>
#include <string.h>

#include "dtensor/base/alloc.h"
#include "dtensor/base/fail.h"
#include "dtensor/kernels/strided.h"
#include "dtensor/ops/matmul_job.h"

/* More blocks than this, or narrower ones, are copied together: BLAS needs room to be fast. */
enum { STRETCHES = 64, FEW = 4, NARROW = 32 };

/* ---- stretches: the local indices of one dimension by who has them */

typedef struct stretcher {
  dti_operand *operand;
  int dim;
  int64_t local, origin; /* local and global index where the current run begins */
} stretcher;

static int same_owner(const dti_stretch *stretch, const int64_t coord[]) {
  for (int m = 0; m < DTENSOR_MAX_NDIM; m++)
    if (stretch->coord[m] != coord[m]) return 0;
  return 1;
}

/* Any status other than DTENSOR_OK ends the walk: too many. */
static dtensor_status add_stretch(const dti_piece *piece, void *ctx) {
  const stretcher *s = ctx;
  int64_t *n = &s->operand->stretches[s->dim];
  dti_stretch *last = *n ? &s->operand->stretch[s->dim][*n - 1] : NULL;
  if (last && last->source + last->length == piece->local && same_owner(last, piece->coord)) {
    last->length += piece->length;
    return DTENSOR_OK;
  }
  if (*n == STRETCHES) return DTENSOR_EUNSUPPORTED;
  dti_stretch *fresh = &s->operand->stretch[s->dim][(*n)++];
  *fresh = (dti_stretch){s->local + (piece->begin - s->origin), piece->length, piece->local, {0}};
  memcpy(fresh->coord, piece->coord, sizeof fresh->coord);
  return DTENSOR_OK;
}

/* 1 if the dimension comes in few and wide stretches. */
static int stretch_dimension(dti_operand *operand, int dim) {
  const dti_axis mine = dti_axis_of(operand->work, dim),
                 theirs = dti_axis_of(&operand->source->layout, dim);
  const int64_t *me = operand->source->mesh->coord, length = operand->shape[dim];
  stretcher s = {operand, dim, 0, 0};
  operand->stretches[dim] = 0;
  for (int64_t run; s.local < length; s.local += run) {
    s.origin = dti_axis_global(&mine, me, s.local, &run);
    if (run > length - s.local) run = length - s.local;
    if (dti_axis_walk(&theirs, s.origin, s.origin + run, NULL, add_stretch, &s) != DTENSOR_OK)
      return 0;
  }
  const int64_t n = operand->stretches[dim];
  return n <= FEW || length / n >= NARROW;
}

/* 1 if the operand comes in few and wide blocks, and there is memory to list them. */
static int find_blocks(dti_operand *operand) {
  if (!operand->stretch_table)
    operand->stretch_table = malloc(2 * STRETCHES * sizeof *operand->stretch_table);
  if (!operand->stretch_table) return 0;
  for (int d = 0; d < 2; d++) {
    operand->stretch[d] = operand->stretch_table + d * STRETCHES;
    if (!stretch_dimension(operand, d)) return 0;
  }
  const size_t blocks = (size_t)(operand->stretches[0] * operand->stretches[1]) + 1;
  free(operand->block_table);
  operand->block = operand->block_table = malloc(blocks * sizeof *operand->block_table);
  return operand->block_table != NULL;
}

/* The place in the mesh of who has a block; of several, the one on this rank's own line. */
static int64_t owner_of(const dti_operand *operand, const dti_stretch *row,
                        const dti_stretch *column) {
  const dtensor_mesh *mesh = operand->source->mesh;
  int64_t coord[DTENSOR_MAX_NDIM];
  for (int m = 0; m < mesh->ndim; m++)
    coord[m] = row->coord[m] >= 0      ? row->coord[m]
               : column->coord[m] >= 0 ? column->coord[m]
                                       : mesh->coord[m];
  return dti_mesh_linear(mesh->ndim, mesh->shape, coord);
}

/* A block in the local array of the rank that has it. */
static void point_to(dti_operand *operand, int64_t i, int64_t j, void *data,
                     const int64_t stride[2]) {
  const dti_stretch *row = &operand->stretch[0][i], *column = &operand->stretch[1][j];
  const int64_t element = (int64_t)dtensor_dtype_size(operand->source->dtype);
  operand->block[i * operand->stretches[1] + j] = (dti_array){
      .data = (char *)data + (row->source * stride[0] + column->source * stride[1]) * element,
      .ndim = 2,
      .shape = {row->length, column->length},
      .stride = {stride[0], stride[1]}};
}

/* Point to the blocks in this rank's own memory; 0 if some are elsewhere. */
static int fill_own_blocks(dti_operand *operand) {
  const dtensor *x = operand->source;
  for (int64_t i = 0; i < operand->stretches[0]; i++)
    for (int64_t j = 0; j < operand->stretches[1]; j++) {
      if (owner_of(operand, &operand->stretch[0][i], &operand->stretch[1][j]) != x->mesh->rank)
        return 0;
      point_to(operand, i, j, x->data, x->stride);
    }
  return 1;
}

/* ---- the modes */

static void one_block(dti_operand *operand, const dti_array *array) {
  operand->block = &operand->only_block;
  for (int d = 0; d < 2; d++) {
    operand->stretches[d] = 1;
    operand->stretch[d] = &operand->only_stretch[d];
    operand->stretch[d][0] = (dti_stretch){.length = array->shape[d]};
  }
  operand->block[0] = *array;
}

static dtensor_status be_resident(dti_operand *operand) {
  dti_array array = dti_tensor_array(operand->source);
  operand->mode = DTI_OPERAND_RESIDENT;
  if (!dti_gemm_takes(&array)) {
    const dtensor *x = operand->source;
    DTI_TRY(dti_tensor_create(x->mesh, x->dtype, &x->layout, &operand->packed));
    const dti_array packed = dti_tensor_array(operand->packed);
    dti_copy(&packed, &array, dtensor_dtype_size(x->dtype), x->mesh->threads);
    array = packed;
  }
  one_block(operand, &array);
  return DTENSOR_OK;
}

dtensor_status dti_operand_prepare(dti_operand *operand, const dtensor *source,
                                   const dti_layout *work, int k_dim) {
  *operand = (dti_operand){.source = source, .work = work, .k_dim = k_dim};
  dti_layout_local(work, source->mesh->coord, operand->shape, NULL);
  if (dti_layout_equal(&source->layout, work)) return be_resident(operand);
  const dti_array array = dti_tensor_array(source);
  if (dti_layout_is_local(&source->layout, work) && dti_gemm_takes(&array) &&
      find_blocks(operand) && fill_own_blocks(operand)) {
    operand->mode = DTI_OPERAND_IN_PLACE;
    return DTENSOR_OK;
  }
  operand->mode = DTI_OPERAND_MOVED;
  return DTENSOR_OK;
}

void dti_operand_free(dti_operand *operand) {
  free(operand->stretch_table);
  free(operand->block_table);
  dti_free(operand->buffer);
  dtensor_destroy(&operand->packed);
  *operand = (dti_operand){0};
}

void dti_operand_window(dti_operand *operand, int64_t begin, int64_t length) {
  dti_array array = {.data = operand->buffer, .ndim = 2};
  memcpy(array.shape, operand->shape, sizeof operand->shape);
  array.shape[operand->k_dim] = length;
  /* Rows as long as the room, so that a window that is shorter lies as the others do. */
  array.stride[0] = operand->k_dim == 1 ? operand->room : operand->shape[1];
  array.stride[1] = 1;
  one_block(operand, &array);
  operand->stretch[operand->k_dim][0].begin = begin;
}

/* ---- what is here before anything has moved */

static int splits_alike(const dti_layout *a, const dti_layout *b, int dim) {
  for (int m = 0; m < a->mesh_ndim; m++) {
    const int in_a = dti_placement_is_shard(a->p[m]) && a->p[m].dim == dim;
    const int in_b = dti_placement_is_shard(b->p[m]) && b->p[m].dim == dim;
    if (in_a != in_b || (in_a && !dtensor_placement_equal(a->p[m], b->p[m]))) return 0;
  }
  return 1;
}

static int holds_values(const dti_layout *source, const dti_layout *work) {
  for (int m = 0; m < source->mesh_ndim; m++)
    if (source->p[m].kind == DTENSOR_PARTIAL && source->mesh[m] > 1 &&
        !dtensor_placement_equal(source->p[m], work->p[m]))
      return 0;
  return 1;
}

int dti_operand_own(const dti_operand *operand, int64_t begin, int64_t length, int64_t global,
                    dti_operand *own, dti_stretch stretch[2], dti_array *block) {
  *own = *operand;
  if (operand->mode != DTI_OPERAND_MOVED) return 1;
  const dtensor *x = operand->source;
  const int k_dim = operand->k_dim;
  const dti_axis axis = dti_axis_of(&x->layout, k_dim);
  const int64_t *me = x->mesh->coord, first = dti_axis_below(&axis, me, global);
  *block = dti_tensor_array(x);
  if (!splits_alike(&x->layout, operand->work, 1 - k_dim) || !dti_gemm_takes(block) ||
      !holds_values(&x->layout, operand->work) ||
      dti_axis_below(&axis, me, global + length) - first != length)
    return 0;
  block->shape[k_dim] = length;
  block->data =
      (char *)block->data + first * block->stride[k_dim] * (int64_t)dtensor_dtype_size(x->dtype);
  for (int d = 0; d < 2; d++) {
    own->stretch[d] = &stretch[d];
    own->stretches[d] = 1;
    stretch[d] = (dti_stretch){.length = block->shape[d]};
  }
  stretch[k_dim].begin = begin;
  own->block = block;
  return 1;
}

/* ---- blocks at the neighbours' */

/* The bytes from the first to behind the last element, if the first is the lowest; else 0. */
static size_t extent(const dtensor *x) {
  int64_t last = 0;
  for (int d = 0; d < 2; d++) {
    if (x->stride[d] < 0) return 0;
    last += (x->local_shape[d] - 1) * x->stride[d];
  }
  return (size_t)(last + 1) * dtensor_dtype_size(x->dtype);
}

dti_operand_offer dti_operand_make_offer(dti_operand *operand, const dti_node *node) {
  const dtensor *x = operand->source;
  const dti_array array = dti_tensor_array(x);
  dti_operand_offer offer = {.address = -1, .stride = {x->stride[0], x->stride[1]}};
  if (x->local_numel == 0)
    offer.address = 0; /* nobody will read it */
  else if (dti_gemm_takes(&array) && extent(x) > 0)
    offer.address = dti_node_export(node, x->data, extent(x));
  offer.reads = holds_values(&x->layout, operand->work) && find_blocks(operand);
  return offer;
}

void dti_operand_read_in_place(dti_operand *operand, const dti_node *node,
                               const dti_operand_offer *const offers[]) {
  const dtensor *x = operand->source;
  operand->mode = DTI_OPERAND_IN_PLACE;
  for (int64_t i = 0; i < operand->stretches[0]; i++)
    for (int64_t j = 0; j < operand->stretches[1]; j++) {
      const int64_t owner = owner_of(operand, &operand->stretch[0][i], &operand->stretch[1][j]);
      const int member = dti_node_member(node, (int)owner);
      void *data =
          owner == x->mesh->rank ? x->data : dti_node_import(node, member, offers[member]->address);
      point_to(operand, i, j, data, offers[member]->stride);
    }
}
