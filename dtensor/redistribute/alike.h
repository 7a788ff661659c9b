/* Who takes part in a transfer, and, with DTENSOR_CHECK=1, whether all of them were called alike.
 */
#ifndef DTENSOR_REDISTRIBUTE_ALIKE_H_
#define DTENSOR_REDISTRIBUTE_ALIKE_H_

#include "dtensor/comm/comm.h"
#include "dtensor/mesh/mesh.h"
#include "dtensor/redistribute/transfer.h"

/* The members of the mesh, or, of two meshes, all ranks of their common communicator. Borrowed. */
dtensor_status dti_participants(dtensor_mesh *from, dtensor_mesh *to, dti_comm **comm);

/* DTENSOR_EDIVERGED on all ranks unless they ask for the same. */
dtensor_status dti_alike_check(dti_comm *comm, const dti_transfer_item *item,
                               const dtensor_redistribute_opts *opts);

/* Refuse arguments for the reason `verdict`, which all ranks find if they were called alike. If
 * some were not, they wait in dti_alike_check(), and this rank meets them there. */
dtensor_status dti_alike_refuse(dtensor_mesh *from, dtensor_mesh *to, dtensor_status verdict);

#endif
