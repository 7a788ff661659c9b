/* All-reduce inside a node: each rank reduces its share and writes the sum into everybody's array.
 */
#ifndef DTENSOR_REDISTRIBUTE_SHARE_OUT_H_
#define DTENSOR_REDISTRIBUTE_SHARE_OUT_H_

#include "dtensor/redistribute/leg.h"

void dti_share_out(dti_leg *leg, int part);

#endif
