/* Reducing a few bytes along some mesh dimensions: all-gather, then every rank adds up in the order
 * of mesh places, so that all of them get the same bits.
 *
 * The all-gather is made of messages with a tag of its own. A collective would have to start in the
 * same order on all ranks, and legs start when the agreement before them happens to arrive.
 *
 * Source: Bruck, Ho, Kipnis, Upfal, Weathersby, "Efficient algorithms for all-to-all communications
 * in multiport message-passing systems", 1997. */
#include <stdlib.h>

#include "dtensor/base/alloc.h"
#include "dtensor/base/fail.h"
#include "dtensor/kernels/strided.h"
#include "dtensor/redistribute/leg.h"
#include "dtensor/redistribute/members.h"

enum { ROUNDS_MAX = 32 };

static dti_array packed(const dti_array *like, void *data) {
  dti_array array = *like;
  array.data = data;
  int64_t step = 1;
  for (int d = array.ndim - 1; d >= 0; d--) {
    array.stride[d] = step;
    step *= array.shape[d];
  }
  return array;
}

static int64_t ranks_of(const dti_leg *leg) {
  return dti_members(leg->part->to.mesh, leg->gathers);
}

static int64_t me_of(const dti_leg *leg) {
  const dtensor_mesh *mesh = leg->part->to.mesh;
  return dti_members_index(mesh, leg->gathers, mesh->rank);
}

/* Block i of gathered is what the rank i places further along the line of them brings. */
static void *block(const dti_leg *leg, int64_t i) {
  return (char *)leg->gathered + i * leg->elements * (int64_t)leg->part->element;
}

/* A round doubles the blocks that are there, as far as some are missing. */
static int64_t blocks_of_round(const dti_leg *leg, int64_t have) {
  const int64_t missing = ranks_of(leg) - have;
  return missing < have ? missing : have;
}

dtensor_status dti_gather_leg_prepare(dti_leg *leg) {
  const dti_array from = dti_leg_array(&leg->part->from);
  const int64_t ranks = ranks_of(leg);
  leg->elements = dti_numel(from.ndim, from.shape);
  const size_t bytes = (size_t)leg->elements * leg->part->element;
  leg->gathered = dti_alloc(bytes * (size_t)ranks);
  DTI_CHECK(leg->gathered, DTENSOR_ENOMEM, "no memory to gather %zu bytes of %lld ranks", bytes,
            (long long)ranks);
  leg->input = malloc((size_t)ranks * sizeof *leg->input);
  DTI_CHECK(leg->input, DTENSOR_ENOMEM, "no memory for a table of %lld contributions",
            (long long)ranks);
  size_t message[2 * ROUNDS_MAX];
  int64_t operations = 0;
  for (int64_t have = 1; have < ranks && bytes > 0; have += blocks_of_round(leg, have))
    for (int both = 0; both < 2; both++)
      message[operations++] = (size_t)blocks_of_round(leg, have) * bytes;
  return operations > 0 ? dti_batch_create(leg->comm, operations, message, &leg->batch)
                        : DTENSOR_OK;
}

/* The rank that stands `by` places further along the line, which is a circle here. */
static int neighbour(const dti_leg *leg, int64_t by) {
  const int64_t ranks = ranks_of(leg), index = (me_of(leg) + by + ranks) % ranks;
  return (int)dti_members_place(leg->part->to.mesh, leg->gathers, (int)index);
}

static dtensor_status start_round(dti_leg *leg) {
  const int64_t have = leg->have;
  const size_t bytes = (size_t)(blocks_of_round(leg, have) * leg->elements) * leg->part->element;
  DTI_TRY(dti_batch_recv(leg->batch, block(leg, have), bytes, neighbour(leg, have), leg->tag));
  return dti_batch_send(leg->batch, block(leg, 0), bytes, neighbour(leg, -have), leg->tag);
}

/* How the values of several mesh dimensions combine, and the ranks that are averaged over. Sums and
 * averages may stand side by side. */
static dtensor_reduce_op op_of(const dti_leg *leg, int64_t *divisor) {
  const dti_layout *from = leg->part->from.layout;
  dtensor_reduce_op op = DTENSOR_SUM;
  *divisor = 1;
  for (int m = 0; m < from->mesh_ndim; m++) {
    if (!(leg->gathers & (1u << m))) continue;
    if (from->p[m].op == DTENSOR_AVG)
      *divisor *= from->mesh[m];
    else
      op = from->p[m].op;
  }
  return op;
}

/* Reduce in the order of places. */
static void reduce_blocks(dti_leg *leg) {
  const dti_leg_part *part = leg->part;
  const int64_t ranks = ranks_of(leg), me = me_of(leg);
  int64_t divisor;
  const dtensor_reduce_op op = op_of(leg, &divisor);
  const dti_array to = dti_leg_array(&part->to), block_array = packed(&to, NULL);
  dti_run run[DTENSOR_MAX_NDIM];
  dti_region whole = {.ndim = to.ndim, .elements = leg->elements};
  for (int d = 0; d < to.ndim; d++) {
    run[d] = (dti_run){0, to.shape[d]};
    whole.runs[d] = &run[d];
    whole.count[d] = 1;
  }
  for (int64_t r = 0; r < ranks; r++)
    leg->input[r] = (dti_part){block(leg, (r - me + ranks) % ranks), block_array.stride, &whole};
  const dti_part out = {to.data, to.stride, &whole};
  if (leg->elements > 0) dti_combine(part->dtype, op, divisor, (int)ranks, leg->input, 1, &out, 1);
}

dtensor_status dti_gather_leg_start(dti_leg *leg) {
  const dti_array from = dti_leg_array(&leg->part->from), in = packed(&from, block(leg, 0));
  dti_copy(&in, &from, leg->part->element, 1);
  leg->have = 1;
  return leg->batch ? start_round(leg) : DTENSOR_OK;
}

dtensor_status dti_gather_leg_advance(dti_leg *leg, int *done) {
  *done = 0;
  while (leg->batch && leg->have < ranks_of(leg)) {
    int64_t finished[2], n, open;
    DTI_TRY(dti_batch_test(leg->batch, finished, &n, &open));
    if (open) return DTENSOR_OK;
    dti_leg_fail(leg, dti_batch_failure(leg->batch));
    leg->have += blocks_of_round(leg, leg->have);
    if (leg->have < ranks_of(leg)) DTI_TRY(start_round(leg));
  }
  if (leg->failure == DTENSOR_OK) reduce_blocks(leg);
  *done = 1;
  return DTENSOR_OK;
}
