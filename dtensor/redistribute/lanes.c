#include "dtensor/redistribute/lanes.h"

#include "dtensor/base/fail.h"

/* The most elements that any rank has of it. Explicit sizes may give one rank everything; of all
 * others the first coordinate has the most. */
static int64_t most_elements(const dti_layout *layout) {
  int64_t shape[DTENSOR_MAX_NDIM], first[DTENSOR_MAX_NDIM] = {0};
  dti_layout_local(layout, first, shape, NULL);
  for (int m = 0; m < layout->mesh_ndim; m++)
    if (layout->p[m].kind == DTENSOR_SHARD_SIZES)
      shape[layout->p[m].dim] = layout->shape[layout->p[m].dim];
  return dti_numel(layout->ndim, shape);
}

/* The most bytes that a step of one item sends from any rank, and brings to any. */
static void add_item(const dti_transfer_item *item, const dti_transfer_plan *plan, int l,
                     int64_t *sent, int64_t *received) {
  const dti_step *step = &plan->route.step[l];
  const dti_layout *from = l == 0 ? &plan->from : &plan->route.step[l - 1].to;
  const int64_t element = (int64_t)dtensor_dtype_size(item->dtype);
  int64_t copies = 1, contributions = 1;
  for (int m = 0; m < from->mesh_ndim; m++) {
    if (!(step->mesh_dims & (1u << m))) continue;
    const dtensor_placement to = step->to.p[m];
    if (from->p[m].kind == DTENSOR_PARTIAL) contributions *= from->mesh[m];
    if (to.kind == DTENSOR_REPLICATE || (to.kind == DTENSOR_PARTIAL && to.op == DTENSOR_AVG))
      copies *= from->mesh[m];
  }
  *sent += most_elements(from) * copies * element;
  *received += most_elements(&step->to) * contributions * element;
}

/* The mesh dimensions of the one collective that all items ask for; 0: they do not. */
static unsigned common_mesh_dims(const dti_steps *steps, int l, int *is_all_gather) {
  unsigned mesh_dims = 0;
  *is_all_gather = 1;
  for (int i = 0; i < steps->n; i++) {
    const dti_route *route = &steps->plan[i]->route;
    if (l >= route->steps) continue;
    const dti_step *step = &route->step[l];
    if (step->engine != DTI_ENGINE_COLLECTIVE) return 0;
    if (mesh_dims && mesh_dims != step->mesh_dims) return 0;
    mesh_dims = step->mesh_dims;
    *is_all_gather &= step->is_all_gather;
  }
  return mesh_dims;
}

dtensor_status dti_lanes_choose(const dti_steps_request *request, const dti_steps *steps, int l) {
  dti_collective *c = &steps->leg[l].collective;
  int is_all_gather;
  const unsigned mesh_dims = common_mesh_dims(steps, l, &is_all_gather);
  if (mesh_dims == 0) return DTENSOR_OK;
  int64_t sent = 0, received = 0;
  for (int i = 0; i < steps->n; i++)
    if (l < steps->plan[i]->route.steps)
      add_item(&request->items[i], steps->plan[i], l, &sent, &received);
  const int64_t most = (int64_t)dti_comm_message_limit();
  if (sent > most || received > most) return DTENSOR_OK;
  /* Half of what the caller allows is for what lies in between. */
  const int64_t allowed = request->opts ? request->opts->max_bytes : 0;
  if (allowed > 0 && sent + received > allowed / 2 / steps->legs) return DTENSOR_OK;
  c->mesh_dims = mesh_dims;
  c->is_all_gather = is_all_gather;
  return dti_collective_init(c, request->items[0].to.mesh);
}

int dti_lanes_are_missing(const dti_steps_request *request, dti_steps *steps) {
  int missing = 0;
  for (int l = 0; l < steps->legs; l++) {
    dti_collective *c = &steps->leg[l].collective;
    if (c->mesh_dims == 0) continue;
    c->lane = dti_comm_lane(request->comm, c->members, c->rank);
    missing |= !c->lane;
  }
  return missing;
}

dtensor_status dti_lanes_make(dti_comm *comm, dti_steps *steps) {
  for (int l = 0; l < steps->legs; l++) {
    dti_collective *c = &steps->leg[l].collective;
    if (c->mesh_dims == 0) continue;
    c->lane = dti_comm_lane(comm, c->members, c->rank); /* a leg before may have had the same */
    if (!c->lane) DTI_TRY(dti_comm_make_lane(comm, c->members, c->rank));
    c->lane = dti_comm_lane(comm, c->members, c->rank);
  }
  return DTENSOR_OK;
}
