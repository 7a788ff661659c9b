#include "dtensor/redistribute/plan.h"

#include <stdlib.h>
#include <string.h>

#include "dtensor/base/fail.h"
#include "dtensor/mesh/machine.h"
#include "dtensor/redistribute/leg.h"
#include "dtensor/spec/confine.h"
#include "dtensor/spec/volume.h"

void dti_transfer_plan_release(dti_transfer_plan **plan_) {
  dti_transfer_plan *plan = *plan_;
  *plan_ = NULL;
  if (!plan || --plan->refs > 0) return;
  for (int i = 0; i < DTENSOR_MAX_NDIM; i++) dti_exchange_free(&plan->exchange[i]);
  dti_exchange_free(&plan->copies);
  free(plan->sizes);
  free(plan->room);
  free(plan);
}

dti_question dti_transfer_plan_question(const dti_transfer_item *item,
                                        const dti_transfer_terms *terms) {
  const dtensor_mesh *to = item->to.mesh;
  return (dti_question){.from = item->from.layout,
                        .to = item->to.layout,
                        .same_mesh = dti_mesh_same(item->from.mesh, to),
                        .element = dtensor_dtype_size(item->dtype),
                        .max_bytes = terms->max_bytes,
                        .message_limit = (int64_t)dti_comm_message_limit(),
                        .is_near = terms->is_near,
                        .in_batch = terms->in_batch,
                        .inside_nodes = dti_mesh_inside_nodes(to),
                        .most_on_a_node = dti_mesh_machine_of(to)->most_on_a_node,
                        .is_strided = terms->is_strided,
                        .is_foreign = terms->is_foreign,
                        .machine = &dti_mesh_machine_of(to)->machine,
                        .topology = dti_mesh_topology(to)};
}

static int is_everywhere(const dti_layout *layout) {
  for (int m = 0; m < layout->mesh_ndim; m++)
    if (layout->p[m].kind != DTENSOR_REPLICATE) return 0;
  return 1;
}

static int is_in_place(const dti_box *box, int ndim) {
  for (int d = 0; box && d < ndim; d++)
    if (box->from[d] != box->to[d]) return 0;
  return 1;
}

int dti_transfer_plan_moves_nothing(const dti_transfer_item *item) {
  const dti_layout *from = item->from.layout, *to = item->to.layout;
  if (!dti_mesh_same(item->from.mesh, item->to.mesh)) return 0;
  if (item->to.mesh->size == 1 || (item->box && is_everywhere(from))) return 1;
  return is_in_place(item->box, to->ndim) && dti_layout_is_local(from, to);
}

/* Placements borrow their sizes; a plan outlives the tensors that it was made for. */
static int64_t sizes_of(const dti_layout *layout) {
  int64_t n = 0;
  for (int m = 0; m < layout->mesh_ndim; m++)
    if (layout->p[m].kind == DTENSOR_SHARD_SIZES) n += layout->mesh[m];
  return n;
}

static int64_t *copy_sizes(dti_layout *layout, int64_t *room) {
  for (int m = 0; m < layout->mesh_ndim; m++) {
    if (layout->p[m].kind != DTENSOR_SHARD_SIZES) continue;
    const size_t count = (size_t)layout->mesh[m];
    layout->p[m].sizes = memcpy(room, layout->p[m].sizes, count * sizeof *room);
    room += count;
  }
  return room;
}

static dtensor_status new_plan(const dti_layout *from, const dti_layout *to,
                               dti_transfer_plan **out) {
  const size_t sizes = (size_t)(sizes_of(from) + sizes_of(to));
  dti_transfer_plan *plan = calloc(1, sizeof *plan);
  int64_t *room = malloc((sizes + 1) * sizeof *room);
  if (!plan || !room) {
    free(plan);
    free(room);
    return DTI_FAIL(DTENSOR_ENOMEM, "no memory for a plan");
  }
  plan->refs = 1;
  plan->sizes = room;
  plan->from = *from;
  plan->to = *to;
  (void)copy_sizes(&plan->to, copy_sizes(&plan->from, room));
  plan->bytes = sizeof *plan + (sizes + 1) * sizeof *room;
  *out = plan;
  return DTENSOR_OK;
}

static dtensor_status choose(const dti_question *question, dti_transfer_plan *plan) {
  dti_candidates *candidates = malloc(sizeof *candidates);
  DTI_CHECK(candidates, DTENSOR_ENOMEM, "no memory for %zu bytes of plans", sizeof *candidates);
  dtensor_status status = dti_route_candidates(question, candidates);
  if (status == DTENSOR_OK) status = dti_route_check_budget(candidates, question->max_bytes);
  if (status == DTENSOR_OK) {
    plan->engine = candidates->list[0].engine;
    plan->route = candidates->list[0].route;
    plan->cost = candidates->list[0].cost;
  }
  free(candidates);
  return status;
}

int64_t dti_two_meshes_source_place(int64_t to_place, const void *ctx) {
  const dti_two_meshes *meshes = ctx;
  return dti_mesh_place(meshes->from, dti_mesh_root_rank(meshes->to, to_place));
}

/* This rank's part in each step. */
static dtensor_status plan_exchanges(dti_transfer_plan *plan, const dti_transfer_item *item) {
  const dti_two_meshes meshes = {item->from.mesh, item->to.mesh};
  const int same_mesh = dti_mesh_same(meshes.from, meshes.to);
  for (int i = 0; i < plan->route.steps; i++) {
    if (plan->route.step[i].kind == DTI_STEP_GATHER) continue;
    dti_box part = item->box ? *item->box : dti_box_whole(&plan->to);
    /* What lies in between is the box alone. */
    if (i > 0) memset(part.from, 0, sizeof part.from);
    if (i + 1 < plan->route.steps) memset(part.to, 0, sizeof part.to);
    const int shares_out = plan->route.step[i].kind == DTI_STEP_SHARE_OUT;
    dti_box shared = part;
    if (shares_out) memset(shared.to, 0, sizeof shared.to);
    dti_exchange_ends ends = {
        .from = i == 0 ? &plan->from : &plan->route.step[i - 1].to,
        .to = shares_out ? &plan->route.shares : &plan->route.step[i].to,
        .box = &shared,
        .from_place = i == 0 ? meshes.from->rank : meshes.to->rank,
        .to_place = meshes.to->rank,
        .same_mesh = same_mesh || i > 0,
        .source_place_of = dti_two_meshes_source_place,
        .ctx = &meshes,
    };
    DTI_TRY(dti_exchange_plan(&ends, &plan->exchange[i]));
    plan->bytes += dti_exchange_bytes(&plan->exchange[i]);
    if (!shares_out) continue;
    shared = part;
    memset(shared.from, 0, sizeof shared.from);
    ends.from = &plan->route.shares;
    ends.to = &plan->route.step[i].to;
    DTI_TRY(dti_exchange_plan(&ends, &plan->copies));
    plan->bytes += dti_exchange_bytes(&plan->copies);
  }
  return DTENSOR_OK;
}

static dti_local local_of(const dti_transfer_end *end, const dti_layout *layout) {
  return dti_layout_local_part(layout, dti_mesh_is_member(end->mesh) ? end->mesh->coord : NULL);
}

static void find_locals(dti_transfer_plan *plan, const dti_transfer_item *item) {
  plan->source = local_of(&item->from, &plan->from);
  for (int i = 0; i < plan->route.steps; i++)
    plan->target[i] = local_of(&item->to, &plan->route.step[i].to);
  plan->whole = dti_box_whole(&plan->to);
}

dtensor_status dti_transfer_plan_make(const dti_transfer_item *item,
                                      const dti_transfer_terms *terms, dti_transfer_plan **out) {
  *out = NULL;
  dti_transfer_plan *plan = NULL;
  DTI_TRY(new_plan(item->from.layout, item->to.layout, &plan));
  dtensor_status status = DTENSOR_OK;
  plan->is_local = dti_transfer_plan_moves_nothing(item);
  if (plan->is_local) {
    plan->route = (dti_route){.steps = 1, .step = {{.kind = DTI_STEP_EXCHANGE, .to = plan->to}}};
  } else if (item->box) {
    dti_route_make(&plan->from, &plan->to, item->box, dti_mesh_same(item->from.mesh, item->to.mesh),
                   terms->is_near, dtensor_dtype_size(item->dtype), &plan->route);
  } else {
    dti_question question = dti_transfer_plan_question(item, terms);
    question.from = &plan->from; /* the route's layouts point to the sizes of these */
    question.to = &plan->to;
    status = choose(&question, plan);
  }
  if (status == DTENSOR_OK) status = plan_exchanges(plan, item);
  find_locals(plan, item);
  plan->bytes += dti_legs_bytes(plan->route.steps, 1);
  if (status != DTENSOR_OK) dti_transfer_plan_release(&plan);
  *out = plan;
  return status;
}

/* As the gather leg sends: in each round what is there already, as far as some are missing. */
static void count_gather(const dti_transfer_plan *plan, int step, const dtensor_mesh *mesh,
                         size_t element, dti_transfer_plan_totals *totals) {
  const dti_step *s = &plan->route.step[step];
  int64_t shape[DTENSOR_MAX_NDIM];
  dti_layout_local(&s->to, mesh->coord, shape, NULL);
  const int64_t ranks = dti_group_size(&s->to, s->mesh_dims);
  const int64_t bytes = (ranks - 1) * dti_numel(s->to.ndim, shape) * (int64_t)element;
  for (int64_t have = 1; have < ranks && bytes > 0; have *= 2) {
    totals->messages_received++;
    totals->messages_sent++;
  }
  totals->bytes_received += bytes;
  totals->bytes_sent += bytes;
}

static void count_exchange(const dti_exchange *x, size_t element,
                           dti_transfer_plan_totals *totals) {
  totals->messages_received += x->messages_received;
  totals->messages_sent += x->sends;
  totals->bytes_received += x->elements_received * (int64_t)element;
  totals->bytes_sent += x->elements_sent * (int64_t)element;
}

dti_transfer_plan_totals dti_transfer_plan_count(const dti_transfer_plan *plan,
                                                 const dtensor_mesh *to, size_t element) {
  dti_transfer_plan_totals totals = {0};
  for (int i = 0; i < plan->route.steps; i++) {
    if (plan->route.step[i].kind == DTI_STEP_GATHER) {
      if (dti_mesh_is_member(to)) count_gather(plan, i, to, element, &totals);
      continue;
    }
    count_exchange(&plan->exchange[i], element, &totals);
  }
  count_exchange(&plan->copies, element, &totals);
  return totals;
}
