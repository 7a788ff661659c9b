/* How an operand comes to the multiplication. */
#include <stdlib.h>
#include <string.h>

#include "dtensor/base/alloc.h"
#include "dtensor/base/fail.h"
#include "dtensor/kernels/strided.h"
#include "dtensor/ops/matmul_job.h"

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
                                   const dti_layout *work, int k_dim, unsigned near) {
  *operand = (dti_operand){.source = source,
                           .work = work,
                           .coord = source->mesh->coord,
                           .k_dim = k_dim,
                           .near = near,
                           .carried = *work};
  dti_layout_local(work, source->mesh->coord, operand->shape, NULL);
  if (dti_layout_equal(&source->layout, work)) return be_resident(operand);
  const dti_array array = dti_tensor_array(source);
  if (dti_layout_is_local(&source->layout, work) && dti_gemm_takes(&array) &&
      dti_operand_find_blocks(operand) && dti_operand_fill_own_blocks(operand)) {
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
  dti_layout_local(&operand->carried, operand->source->mesh->coord, array.shape, NULL);
  /* Rows as long as the room, so that a window that is shorter lies as the others do. */
  array.stride[0] = operand->k_dim == 1 ? operand->room : array.shape[1];
  array.stride[1] = 1;
  array.shape[operand->k_dim] = length;
  operand->buffer_begin = begin;
  memcpy(operand->buffer_stride, array.stride, sizeof operand->buffer_stride);
  if (operand->mode == DTI_OPERAND_CARRIED) return;
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

int dti_operand_holds_values(const dti_operand *operand) {
  const dti_layout *source = &operand->source->layout, *work = operand->work;
  for (int m = 0; m < source->mesh_ndim; m++)
    if (source->p[m].kind == DTENSOR_PARTIAL && source->mesh[m] > 1 &&
        !dtensor_placement_equal(source->p[m], work->p[m]))
      return 0;
  return 1;
}

/* 1 if all of the local k [begin, end) is read at its source. */
static int is_here(const dti_operand *operand, int64_t begin, int64_t end) {
  const int k_dim = operand->k_dim;
  for (int64_t i = 0; i < operand->stretches[0]; i++)
    for (int64_t j = 0; j < operand->stretches[1]; j++) {
      const dti_stretch *k = &operand->stretch[k_dim][k_dim == 0 ? i : j];
      if (k->begin >= end || k->begin + k->length <= begin) continue;
      if (!dti_operand_is_here(operand, i, j)) return 0;
    }
  return 1;
}

int dti_operand_own(const dti_operand *operand, int64_t begin, int64_t length, int64_t global,
                    dti_operand *own, dti_stretch stretch[2], dti_array *block) {
  *own = *operand;
  if (operand->mode != DTI_OPERAND_MOVED) return is_here(operand, begin, begin + length);
  const dtensor *x = operand->source;
  const int k_dim = operand->k_dim;
  const dti_axis axis = dti_axis_of(&x->layout, k_dim);
  const int64_t *me = x->mesh->coord, first = dti_axis_below(&axis, me, global);
  *block = dti_tensor_array(x);
  if (!splits_alike(&x->layout, operand->work, 1 - k_dim) || !dti_gemm_takes(block) ||
      !dti_operand_holds_values(operand) ||
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
