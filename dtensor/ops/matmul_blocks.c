/* Where the blocks of an operand lie: in this rank's memory, or at a neighbour's. */
#include <stdlib.h>
#include <string.h>

#include "dtensor/base/fail.h"
#include "dtensor/ops/matmul_job.h"

/* More blocks than this, or narrower ones, are copied together: BLAS needs room to be fast. It may
 * be slower if that saves bytes on the wire. */
enum { STRETCHES = 256, BLOCKS = 4096, FEW = 4, NARROW = 32, NARROW_IF_DEALT = 8 };

/* ---- stretches: the local indices of one dimension by who has them and who gets them */

typedef struct stretcher {
  dti_operand *operand;
  int dim;
  int64_t local, origin; /* local and global index where the current run begins */
  dti_axis carried;
  const dti_piece *source; /* the current piece of the source */
} stretcher;

static int same_place(const int64_t a[], const int64_t b[]) {
  return memcmp(a, b, DTENSOR_MAX_NDIM * sizeof *a) == 0;
}

static int goes_on(const dti_stretch *last, const dti_stretch *next) {
  return last->source + last->length == next->source && same_place(last->coord, next->coord) &&
         last->held + last->length == next->held && same_place(last->holder, next->holder);
}

/* Any status other than DTENSOR_OK ends the walk: too many. */
static dtensor_status add_stretch(const dti_piece *piece, void *ctx) {
  const stretcher *s = ctx;
  int64_t *n = &s->operand->stretches[s->dim];
  dti_stretch *last = *n ? &s->operand->stretch[s->dim][*n - 1] : NULL;
  dti_stretch next = {.begin = s->local + (piece->begin - s->origin),
                      .length = piece->length,
                      .source = s->source->local + (piece->begin - s->source->begin),
                      .held = piece->local};
  memcpy(next.coord, s->source->coord, sizeof next.coord);
  memcpy(next.holder, piece->coord, sizeof next.holder);
  if (last && goes_on(last, &next)) {
    last->length += next.length;
    return DTENSOR_OK;
  }
  if (*n == STRETCHES) return DTENSOR_EUNSUPPORTED;
  s->operand->stretch[s->dim][(*n)++] = next;
  return DTENSOR_OK;
}

static dtensor_status add_source(const dti_piece *piece, void *ctx) {
  stretcher *s = ctx;
  s->source = piece;
  return dti_axis_walk(&s->carried, piece->begin, piece->begin + piece->length, NULL, add_stretch,
                       s);
}

/* 1 if the dimension comes in few and wide stretches. */
static int stretch_dimension(dti_operand *operand, int dim) {
  const dti_axis mine = dti_axis_of(operand->work, dim),
                 theirs = dti_axis_of(&operand->source->layout, dim);
  const int64_t *me = operand->coord, length = operand->shape[dim];
  stretcher s = {.operand = operand, .dim = dim, .carried = dti_axis_of(&operand->carried, dim)};
  operand->stretches[dim] = 0;
  for (int64_t run; s.local < length; s.local += run) {
    s.origin = dti_axis_global(&mine, me, s.local, &run);
    if (run > length - s.local) run = length - s.local;
    if (dti_axis_walk(&theirs, s.origin, s.origin + run, NULL, add_source, &s) != DTENSOR_OK)
      return 0;
  }
  const int64_t n = operand->stretches[dim];
  return n <= FEW || length / n >= (operand->dealt ? NARROW_IF_DEALT : NARROW);
}

int dti_operand_find_blocks(dti_operand *operand) {
  if (!operand->stretch_table)
    operand->stretch_table = malloc(2 * STRETCHES * sizeof *operand->stretch_table);
  if (!operand->stretch_table) return 0;
  for (int d = 0; d < 2; d++) {
    operand->stretch[d] = operand->stretch_table + d * STRETCHES;
    if (!stretch_dimension(operand, d)) return 0;
  }
  const int64_t blocks = operand->stretches[0] * operand->stretches[1];
  if (blocks > BLOCKS) return 0;
  free(operand->block_table);
  operand->block = operand->block_table =
      malloc(((size_t)blocks + 1) * sizeof *operand->block_table);
  return operand->block_table != NULL;
}

/* ---- who has a block */

/* A place in the mesh, and whether this rank reads memory there. */
typedef struct place {
  int64_t rank;
  int is_near;
} place;

/* Of several places, the one on this rank's own line. */
static place place_of(const dti_operand *operand, const int64_t row[], const int64_t column[]) {
  const dtensor_mesh *mesh = operand->source->mesh;
  const int64_t *me = operand->coord;
  int64_t coord[DTENSOR_MAX_NDIM];
  int is_near = 1;
  for (int m = 0; m < mesh->ndim; m++) {
    coord[m] = row[m] >= 0 ? row[m] : column[m] >= 0 ? column[m] : me[m];
    is_near &= coord[m] == me[m] || (operand->near >> m & 1u);
  }
  return (place){dti_mesh_linear(mesh->ndim, mesh->shape, coord), is_near};
}

static place source_of(const dti_operand *operand, int64_t i, int64_t j) {
  return place_of(operand, operand->stretch[0][i].coord, operand->stretch[1][j].coord);
}

static place holder_of(const dti_operand *operand, int64_t i, int64_t j) {
  return place_of(operand, operand->stretch[0][i].holder, operand->stretch[1][j].holder);
}

/* A block in an array of which it begins at some row and column. */
static void point_to(dti_operand *operand, int64_t i, int64_t j, void *data, int64_t row,
                     int64_t column, const int64_t stride[2]) {
  const int64_t element = (int64_t)dtensor_dtype_size(operand->source->dtype);
  operand->block[i * operand->stretches[1] + j] =
      (dti_array){.data = (char *)data + (row * stride[0] + column * stride[1]) * element,
                  .ndim = 2,
                  .shape = {operand->stretch[0][i].length, operand->stretch[1][j].length},
                  .stride = {stride[0], stride[1]}};
}

static void point_to_source(dti_operand *operand, int64_t i, int64_t j, void *data,
                            const int64_t stride[2]) {
  point_to(operand, i, j, data, operand->stretch[0][i].source, operand->stretch[1][j].source,
           stride);
}

int dti_operand_fill_own_blocks(dti_operand *operand) {
  const dtensor *x = operand->source;
  for (int64_t i = 0; i < operand->stretches[0]; i++)
    for (int64_t j = 0; j < operand->stretches[1]; j++) {
      if (source_of(operand, i, j).rank != x->mesh->rank) return 0;
      point_to_source(operand, i, j, x->data, x->stride);
    }
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

static dti_operand_reach reach_of(dti_operand *operand) {
  if (!dti_operand_find_blocks(operand)) return DTI_REACHES_NOTHING;
  dti_operand_reach reach =
      dti_operand_holds_values(operand) ? DTI_REACHES_ALL : DTI_REACHES_BUFFERS;
  for (int64_t i = 0; i < operand->stretches[0]; i++)
    for (int64_t j = 0; j < operand->stretches[1]; j++) {
      if (reach == DTI_REACHES_ALL && source_of(operand, i, j).is_near) continue;
      if (!holder_of(operand, i, j).is_near) return DTI_REACHES_NOTHING;
      if (reach == DTI_REACHES_ALL) reach = DTI_REACHES_SOURCES;
    }
  return reach;
}

dti_operand_offer dti_operand_make_offer(dti_operand *operand, const dti_node *node) {
  const dtensor *x = operand->source;
  const dti_array array = dti_tensor_array(x);
  dti_operand_offer offer = {.address = -1, .stride = {x->stride[0], x->stride[1]}};
  if (x->local_numel == 0)
    offer.address = 0; /* nobody will read it */
  else if (dti_gemm_takes(&array) && extent(x) > 0)
    offer.address = dti_node_export(node, x->data, extent(x));
  offer.reach = reach_of(operand);
  return offer;
}

int dti_operand_is_here(const dti_operand *operand, int64_t i, int64_t j) {
  return operand->mode != DTI_OPERAND_CARRIED ||
         (operand->reads_sources && source_of(operand, i, j).is_near);
}

void dti_operand_read_in_place(dti_operand *operand, const dti_node *node,
                               const dti_operand_offer *const offers[]) {
  const dtensor *x = operand->source;
  for (int64_t i = 0; i < operand->stretches[0]; i++)
    for (int64_t j = 0; j < operand->stretches[1]; j++) {
      if (!dti_operand_is_here(operand, i, j)) continue;
      const int64_t owner = source_of(operand, i, j).rank;
      const int member = dti_node_member(node, (int)owner);
      void *data =
          owner == x->mesh->rank ? x->data : dti_node_import(node, member, offers[member]->address);
      point_to_source(operand, i, j, data, offers[member]->stride);
    }
}

void dti_operand_read_buffers(dti_operand *operand, const dti_node *node,
                              int64_t (*address)(int member, const void *ctx), const void *ctx) {
  const dtensor_mesh *mesh = operand->source->mesh;
  for (int64_t i = 0; i < operand->stretches[0]; i++)
    for (int64_t j = 0; j < operand->stretches[1]; j++) {
      if (dti_operand_is_here(operand, i, j)) continue;
      const int64_t holder = holder_of(operand, i, j).rank;
      const int member = dti_node_member(node, (int)holder);
      int64_t coord[DTENSOR_MAX_NDIM], shape[2], stride[2];
      dti_mesh_unravel(mesh->ndim, mesh->shape, holder, coord);
      dti_layout_local(&operand->carried, coord, shape, NULL);
      dti_packed_strides(2, shape, stride);
      point_to(operand, i, j, dti_node_import(node, member, address(member, ctx)),
               operand->stretch[0][i].held, operand->stretch[1][j].held, stride);
    }
}

/* ---- what is read at others */

/* The bytes that are read at a rank. */
static int64_t bytes_at(const dti_operand *operand, int64_t rank) {
  int64_t elements = 0;
  for (int64_t i = 0; i < operand->stretches[0]; i++)
    for (int64_t j = 0; j < operand->stretches[1]; j++) {
      const place at =
          dti_operand_is_here(operand, i, j) ? source_of(operand, i, j) : holder_of(operand, i, j);
      if (at.rank == rank)
        elements += operand->stretch[0][i].length * operand->stretch[1][j].length;
    }
  return elements * (int64_t)dtensor_dtype_size(operand->source->dtype);
}

/* The bytes that a rank at some place reads here. */
static dtensor_status count_reader(const dti_operand *operand, int64_t reader, int64_t *bytes) {
  const dtensor_mesh *mesh = operand->source->mesh;
  int64_t coord[DTENSOR_MAX_NDIM];
  dti_mesh_unravel(mesh->ndim, mesh->shape, reader, coord);
  dti_operand theirs = *operand;
  theirs.coord = coord;
  theirs.stretch_table = NULL;
  theirs.block_table = NULL;
  dti_layout_local(operand->work, coord, theirs.shape, NULL);
  const int found = dti_operand_find_blocks(&theirs);
  *bytes = found ? bytes_at(&theirs, mesh->rank) : 0;
  free(theirs.stretch_table);
  free(theirs.block_table);
  DTI_CHECK(found, DTENSOR_ENOMEM, "no memory for the blocks of an operand");
  return DTENSOR_OK;
}

dtensor_status dti_operand_count_reads(dti_operand *operand, const dti_node *node) {
  dti_transfer_plan_totals *read = &operand->read;
  for (int member = 0; member < dti_node_size(node); member++) {
    if (member == dti_node_rank(node)) continue;
    const int64_t other = dti_node_comm_rank(node, member), in = bytes_at(operand, other);
    int64_t out;
    DTI_TRY(count_reader(operand, other, &out));
    read->bytes_received += in;
    read->messages_received += in > 0;
    read->bytes_sent += out;
    read->messages_sent += out > 0;
  }
  return DTENSOR_OK;
}
