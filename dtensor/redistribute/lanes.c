#include "dtensor/redistribute/lanes.h"

#include "dtensor/base/fail.h"
#include "dtensor/spec/collective_bytes.h"

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
  dti_collective_bytes bytes = {0, 0};
  for (int i = 0; i < steps->n; i++) {
    const dti_transfer_plan *plan = steps->plan[i];
    if (l >= plan->route.steps) continue;
    dti_collective_bytes_add(l == 0 ? &plan->from : &plan->route.step[l - 1].to,
                             &plan->route.step[l], dtensor_dtype_size(request->items[i].dtype),
                             &bytes);
  }
  /* What fits alone need not do so with others. */
  if (!dti_collective_bytes_fit(&bytes, (int64_t)dti_comm_message_limit(),
                                request->opts ? request->opts->max_bytes : 0, steps->legs))
    return DTENSOR_OK;
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
