#include "dtensor/redistribute/share_out.h"

#include "dtensor/redistribute/near.h"

/* By the layouts for which it is chosen (route.h), a rank's share is one parcel, and all of it goes
 * to each rank that wants it. */
void dti_share_out(dti_leg *leg, int p) {
  const dti_leg_part *part = &leg->part[p];
  const dti_exchange *x = part->exchange, *copies = part->copies;
  if (x->parcels == 0) return; /* an empty share */
  const dti_parcel *parcel = &x->parcel[0];
  dti_leg_list_inputs(leg, p, parcel);

  int outputs = 0;
  const dti_near_array mine = dti_near_target(leg, p, dti_comm_rank(leg->comm));
  for (int64_t i = 0; i < copies->parcels; i++)
    if (copies->parcel[i].sources[0] == DTI_SELF)
      leg->output[outputs++] = (dti_part){mine.data, mine.stride, &copies->parcel[i].region};
  for (int64_t i = 0; i < copies->sends; i++) {
    const int rank = dti_leg_rank(leg, &part->to, copies->send[i].peer);
    const dti_near_array to = dti_near_target(leg, p, rank);
    leg->output[outputs++] = (dti_part){to.data, to.stride, &copies->send[i].theirs};
  }
  dti_combine(part->dtype, x->op, x->divisor, (int)parcel->contributions, leg->input, outputs,
              leg->output, leg->threads);
}
