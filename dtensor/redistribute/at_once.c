#include "dtensor/redistribute/at_once.h"

#include "dtensor/base/event.h"
#include "dtensor/base/fail.h"
#include "dtensor/comm/check.h"
#include "dtensor/redistribute/alike.h"
#include "dtensor/redistribute/meet.h"
#include "dtensor/redistribute/near.h"
#include "dtensor/redistribute/on_their_way.h"

int dti_at_once_fits(const dti_transfer_item *item, const dtensor_redistribute_opts *opts) {
  const dti_transfer_plan *plan = item->plan;
  const dti_step *step = &plan->route.step[0];
  return plan->route.steps == 1 && !plan->is_local && step->kind != DTI_STEP_GATHER &&
         step->engine == DTI_ENGINE_DIRECT && dti_comm_is_near(item->to.mesh->comm) && !opts &&
         !dti_event_listening() && !dti_check_enabled();
}

/* Post, with the failure of this rank if there is one, and agree with the others. */
static dtensor_status meet(dti_leg *leg, dtensor_status mine, const dti_steps_request *request) {
  int64_t verdict = dti_agree_value(mine, dti_comm_rank(leg->comm));
  const dtensor_status room = dti_meet_wait(leg->node, leg->meeting, dti_node_can_post);
  if (room == DTENSOR_OK) (void)dti_leg_post(leg, verdict);
  for (int i = 1; i < request->meetings; i++) dti_node_leave(leg->node, request->meeting[i]);
  DTI_TRY(room);
  DTI_TRY(dti_meet_wait(leg->node, leg->meeting, dti_node_all_posted));
  (void)dti_leg_all_posted(leg, &verdict);
  return dti_agree_verdict(mine, verdict);
}

static dtensor_status move(dti_leg *leg) {
  int done;
  DTI_TRY(dti_exchange_leg_start(leg));
  DTI_TRY(dti_exchange_leg_advance(leg, &done));
  if (done) return DTENSOR_OK;
  DTI_TRY(dti_meet_wait(leg->node, leg->meeting, dti_node_all_left));
  return dti_exchange_leg_advance(leg, &done);
}

dtensor_status dti_at_once(const dti_transfer_item *item, dti_storage *source) {
  dti_steps_request request = {.n = 1, .items = item};
  DTI_TRY(dti_participants(item->from.mesh, item->to.mesh, &request.comm));
  DTI_TRY(dti_transfer_take_numbers(&request));
  dti_leg leg = {0};
  dti_leg_part part = {0};
  dti_steps_lay_only(&request, item->plan, &leg, &part);
  dtensor_status status = meet(&leg, dti_exchange_leg_prepare(&leg), &request);
  leg.sources_stay =
      dti_storage_can_lend(source); /* the posts may have told that it has come back */
  if (status == DTENSOR_OK) status = move(&leg);
  if (leg.sources_stay && leg.left && dti_near_lends_source(&leg))
    dti_storage_lend(source, request.comm, request.node, leg.meeting);
  dti_leg_free(&leg);
  return status;
}
