/* A known redistribution of one step among ranks that share memory: one meeting. Nobody can ask for
 * its outcome later, so it needs no transfer; of a small tensor, to make one takes as long as to
 * move the data. Ranks that do the same by way of a transfer see no difference. */
#ifndef DTENSOR_REDISTRIBUTE_AT_ONCE_H_
#define DTENSOR_REDISTRIBUTE_AT_ONCE_H_

#include "dtensor/redistribute/transfer.h"
#include "dtensor/tensor/tensor.h"

/* Of an item that has a plan. */
int dti_at_once_fits(const dti_transfer_item *item, const dtensor_redistribute_opts *opts);

/* As dti_transfer_run(). Where nobody can change the elements of `source` unseen, neighbours may
 * still read them when it returns (dti_storage_lend()). */
dtensor_status dti_at_once(const dti_transfer_item *item, dti_storage *source);

#endif
