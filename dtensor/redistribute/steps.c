#include "dtensor/redistribute/steps.h"

#include <stdlib.h>
#include <string.h>

#include "dtensor/base/alloc.h"
#include "dtensor/base/fail.h"
#include "dtensor/redistribute/lanes.h"
#include "dtensor/spec/buffers.h"
#include "dtensor/tensor/tensor.h"

/* The most steps of a way where all ranks share memory: a reduction, then copies. */
enum { NEAR_STEPS = 2 };

static int is_same_mesh(const dti_transfer_item *item) {
  return dti_mesh_same(item->from.mesh, item->to.mesh);
}

static int64_t max_bytes(const dti_steps_request *request) {
  return request->opts ? request->opts->max_bytes : 0;
}

dtensor_status dti_steps_begin(dti_steps_request *request) {
  request->is_local = 1;
  for (int i = 0; i < request->n; i++) {
    const dti_transfer_item *item = &request->items[i];
    request->is_local &= item->plan ? item->plan->is_local : dti_transfer_plan_moves_nothing(item);
  }
  request->node = NULL;
  request->is_near = 0;
  request->meetings = 0;
  if (request->is_local) return DTENSOR_OK;
  DTI_TRY(dti_comm_node(request->comm, &request->node));
  request->is_near = dti_comm_is_near(request->comm);
  if (request->node)
    request->meetings = request->is_bundled ? 1 : request->is_near ? NEAR_STEPS : DTENSOR_MAX_NDIM;
  for (int l = 0; l < request->meetings; l++)
    request->meeting[l] = dti_node_next_meeting(request->node);
  for (int l = 0; l < DTENSOR_MAX_NDIM && !request->is_near; l++)
    request->tag[l] = dti_comm_next_tag(request->comm);
  return DTENSOR_OK;
}

/* ---- This rank's part ---- */

static int holds_value(const dti_leg_side *side) {
  for (int m = 0; m < side->layout->mesh_ndim; m++)
    if (side->layout->p[m].kind == DTI_OWNED && side->layout->p[m].param != side->mesh->coord[m])
      return 0;
  return 1;
}

static void set_side(dti_leg_side *side, const dti_transfer_end *end, const dti_layout *layout,
                     const dti_local *local) {
  side->mesh = end->mesh;
  side->layout = layout;
  side->data = end->data;
  side->shape = local->shape;
  side->elements = local->elements;
  if (end->stride) memcpy(side->stride, end->stride, (size_t)layout->ndim * sizeof *end->stride);
}

/* The array that a leg leaves for the next one. */
static dtensor_status make_between(dti_steps *steps, dti_leg_side *side, size_t element,
                                   void **between) {
  side->data = NULL;
  if (!dti_mesh_is_member(side->mesh) || !holds_value(side)) return DTENSOR_OK;
  dti_packed_strides(side->layout->ndim, side->shape, side->stride);
  const size_t bytes = (size_t)side->elements * element;
  *between = side->data = dti_alloc(bytes);
  DTI_CHECK(side->data, DTENSOR_ENOMEM, "no memory for %zu bytes in between", bytes);
  steps->bytes_between += (int64_t)bytes;
  return DTENSOR_OK;
}

/* Gathers and collectives have no use for the node: nobody comes to the meeting. */
static void forgo_meeting(dti_leg *leg) {
  if (leg->node) dti_node_leave(leg->node, leg->meeting);
  leg->node = NULL;
}

/* An item takes part in as many legs as its own way has, the first ones. */
static dtensor_status lay_item(const dti_steps_request *request, int i, dti_steps *steps,
                               dtensor_status mine) {
  const dti_transfer_item *item = &request->items[i];
  const dti_transfer_plan *plan = steps->plan[i];
  const dti_leg_side *before = NULL;
  for (int l = 0; l < plan->route.steps; l++) {
    const dti_step *step = &plan->route.step[l];
    dti_leg *leg = &steps->leg[l];
    const int is_last = l + 1 == plan->route.steps;
    if (step->kind == DTI_STEP_GATHER) leg->gathers = step->mesh_dims;
    if (dti_leg_is_gather(leg) || dti_leg_is_collective(leg)) forgo_meeting(leg);
    dti_leg_part *part = &leg->part[leg->parts++];
    part->kind = step->kind == DTI_STEP_SHARE_OUT ? DTI_PART_SHARE_OUT : DTI_PART_EXCHANGE;
    part->exchange = &plan->exchange[l];
    part->copies = step->kind == DTI_STEP_SHARE_OUT ? &plan->copies : NULL;
    part->is_private = item->is_private && is_last;
    part->dtype = item->dtype;
    part->element = dtensor_dtype_size(item->dtype);
    if (before)
      part->from = *before;
    else
      set_side(&part->from, &item->from, &plan->from, &plan->source);
    set_side(&part->to, &item->to, &step->to, &plan->target[l]);
    part->box = item->box ? *item->box : plan->whole;
    /* What lies in between is the box alone. */
    if (l > 0) memset(part->box.from, 0, sizeof part->box.from);
    if (!is_last) memset(part->box.to, 0, sizeof part->box.to);
    if (!is_last && mine == DTENSOR_OK)
      mine = make_between(steps, &part->to, part->element, &steps->between[l * steps->n + i]);
    before = &part->to;
  }
  return mine;
}

/* What the plan says; 0: messages are whole. Of several items each plan keeps to the limit by
 * itself: then both directions of all peers have a window of buffers, in every leg, and half of the
 * limit is left to what lies in between. */
static int64_t cut_of(const dti_steps_request *request, const dti_steps *steps) {
  const int64_t most = max_bytes(request), peers = dti_comm_size(request->comm) - 1;
  if (request->n == 1 || most == 0) return steps->plan[0]->route.cut;
  const int64_t windows = 2 * DTI_CUT_WINDOW * (peers > 0 ? peers : 1);
  const int64_t cut = most / 2 / steps->legs / windows;
  return cut < 16 ? 16 : cut;
}

/* Of a message, at most. */
static int64_t chunk_bytes(const dti_steps_request *request, int64_t cut) {
  if (request->is_bundled) return DTI_STREAM_SHORT; /* they keep their order */
  return cut > 0 && cut < DTI_STREAM_CHUNK ? cut : DTI_STREAM_CHUNK;
}

/* Of a zeroed leg. */
static void begin_leg(const dti_steps_request *request, int l, int64_t cut, dti_leg *leg) {
  const dti_transfer_item *first = &request->items[0];
  const int same_mesh = is_same_mesh(first);
  leg->threads = first->to.mesh->threads;
  leg->is_later = l > 0;
  leg->same_mesh = same_mesh || l > 0;
  leg->ranks_are_places = same_mesh;
  leg->comm = request->comm;
  leg->tag = request->tag[l];
  leg->chunk_bytes = chunk_bytes(request, cut);
  leg->is_limited = cut > 0;
  leg->node = request->node;
  leg->has_far_peers = !request->is_local && !request->is_near;
  leg->meeting = request->meetings > 0 ? request->meeting[l] : 0;
}

void dti_steps_lay_only(const dti_steps_request *request, dti_transfer_plan *plan, dti_leg *leg,
                        dti_leg_part *part) {
  dti_steps steps = {.legs = 1, .n = 1, .plan = &plan, .leg = leg, .part = part};
  begin_leg(request, 0, plan->route.cut, leg);
  leg->part = part;
  (void)lay_item(request, 0, &steps, DTENSOR_OK); /* allocates what lies between steps only */
}

/* By way of carriers if that is the way of all parts, and all nodes share memory. Carriers keep
 * whole messages: a limit to the buffers that each of several items keeps to is not one for all of
 * them. */
static dti_engine engine_of(const dti_steps_request *request, const dti_steps *steps, int l) {
  if (steps->n > 1 && max_bytes(request) > 0) return DTI_ENGINE_DIRECT;
  for (int i = 0; i < steps->n; i++) {
    const dti_route *route = &steps->plan[i]->route;
    if (l >= route->steps) continue;
    const dti_step *step = &route->step[l];
    if (step->kind != DTI_STEP_EXCHANGE || step->engine != DTI_ENGINE_HIERARCHICAL)
      return DTI_ENGINE_DIRECT;
  }
  return dti_comm_nodes_share(request->comm) ? DTI_ENGINE_HIERARCHICAL : DTI_ENGINE_DIRECT;
}

/* The ways of all items. */
static dtensor_status find_ways(const dti_steps_request *request, dti_steps *steps, int *legs) {
  const size_t n = (size_t)request->n;
  steps->plan = request->n == 1 ? &steps->only_plan : calloc(n, sizeof *steps->plan);
  DTI_CHECK(steps->plan, DTENSOR_ENOMEM, "no memory for %zu plans", n);
  steps->n = request->n;
  *legs = 1;
  dti_transfer_terms terms = {
      .max_bytes = max_bytes(request), .is_near = request->is_near, .in_batch = request->n > 1};
  for (int i = 0; i < request->n; i++) {
    const dti_transfer_item *item = &request->items[i];
    if (item->plan) {
      steps->plan[i] = dti_transfer_plan_retain(item->plan);
    } else {
      dti_transfer_terms_of_source(&terms, is_same_mesh(item), item->is_strided, item->is_foreign);
      DTI_TRY(dti_transfer_plan_get(item, &terms, &steps->plan[i]));
    }
    if (steps->plan[i]->route.steps > *legs) *legs = steps->plan[i]->route.steps;
  }
  return DTENSOR_OK;
}

/* A plan keeps the room of its last transfer for the next one. */
static void *take_room(const dti_steps *steps, size_t bytes) {
  void **kept = &steps->plan[0]->room, *room = *kept;
  if (steps->n > 1 || !room) return malloc(bytes);
  *kept = NULL;
  return room;
}

static void leave_room(const dti_steps *steps) {
  void **kept = steps->n == 1 && steps->leg ? &steps->plan[0]->room : NULL;
  if (kept && !*kept)
    *kept = steps->leg;
  else
    free(steps->leg);
}

dtensor_status dti_steps_plan(const dti_steps_request *request, dti_steps *steps) {
  int legs = 1;
  DTI_TRY(find_ways(request, steps, &legs));
  const size_t parts = (size_t)legs * (size_t)request->n, bytes = dti_legs_bytes(legs, request->n);
  steps->leg = take_room(steps, bytes);
  DTI_CHECK(steps->leg, DTENSOR_ENOMEM, "no memory for %zu parts of a transfer", parts);
  memset(steps->leg, 0, bytes);
  steps->part = (dti_leg_part *)(void *)(steps->leg + legs);
  steps->between = (void **)(void *)(steps->part + parts);
  steps->legs = legs;
  const int64_t cut = cut_of(request, steps);
  for (int l = 0; l < legs; l++) {
    begin_leg(request, l, cut, &steps->leg[l]);
    steps->leg[l].part = &steps->part[l * request->n];
    steps->leg[l].engine = engine_of(request, steps, l);
  }
  for (int l = 0; l < legs; l++) {
    const dtensor_status status = dti_lanes_choose(request, steps, l);
    if (status == DTENSOR_OK) continue;
    for (int k = 0; k < l; k++) dti_collective_free(&steps->leg[k].collective);
    steps->legs = 0;
    return status;
  }
  for (int l = legs; l < request->meetings; l++) dti_node_leave(request->node, request->meeting[l]);
  return DTENSOR_OK;
}

static dtensor_status check_budget(const dti_steps_request *request, const dti_steps *steps) {
  if (!request->opts) return DTENSOR_OK;
  int64_t received = 0, workspace = steps->bytes_between;
  for (int l = 0; l < steps->legs; l++) {
    received += dti_leg_bytes_received(&steps->leg[l]);
    workspace += dti_leg_workspace(&steps->leg[l]);
  }
  DTI_CHECK(request->opts->max_received == 0 || received <= request->opts->max_received,
            DTENSOR_EBUDGET, "this rank would receive %lld bytes, the caller allows %lld",
            (long long)received, (long long)request->opts->max_received);
  DTI_CHECK(request->opts->max_bytes == 0 || workspace <= request->opts->max_bytes, DTENSOR_EBUDGET,
            "this rank needs %lld bytes of buffers, the caller allows %lld", (long long)workspace,
            (long long)request->opts->max_bytes);
  return DTENSOR_OK;
}

dtensor_status dti_steps_prepare(const dti_steps_request *request, dtensor_status mine,
                                 dti_steps *steps) {
  for (int i = 0; i < request->n; i++) mine = lay_item(request, i, steps, mine);
  for (int l = 0; l < steps->legs && mine == DTENSOR_OK; l++)
    mine = dti_leg_prepare(&steps->leg[l]);
  return mine == DTENSOR_OK ? check_budget(request, steps) : mine;
}

void dti_steps_free(dti_steps *steps) {
  for (int l = 0; l < steps->legs; l++) dti_leg_free(&steps->leg[l]);
  for (int i = 0; steps->between && i < steps->legs * steps->n; i++) dti_free(steps->between[i]);
  leave_room(steps);
  for (int i = 0; steps->plan && i < steps->n; i++) dti_transfer_plan_release(&steps->plan[i]);
  if (steps->plan != &steps->only_plan) free(steps->plan);
  *steps = (dti_steps){0};
}
