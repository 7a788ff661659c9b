/* Redistribution inside of the library. */
#ifndef DTENSOR_REDISTRIBUTE_REDISTRIBUTE_H_
#define DTENSOR_REDISTRIBUTE_REDISTRIBUTE_H_

#include "dtensor/redistribute.h"
#include "dtensor/tensor/tensor.h"

/* x in another layout on the same mesh: x itself, retained, if it has that layout, else a new
 * tensor.
 *
 * `mine` is what this rank alone has failed at before (DTENSOR_OK if nothing): if the layouts
 * differ in a way that ranks must talk, it is agreed on with the rest, and every rank returns the
 * failure.
 *
 * Collective over the mesh. */
dtensor_status dti_redistribute(const dtensor *x, const dti_layout *to, dtensor_status mine,
                                dtensor **out);

/* x into a new tensor on `mesh` with the layout `to`. `mine`: as above. Collective over the mesh.
 */
dtensor_status dti_redistribute_to(const dtensor *x, dtensor_mesh *mesh, const dti_layout *to,
                                   const dtensor_redistribute_opts *opts, dtensor_status mine,
                                   dtensor **out);

/* Check the arguments of a redistribution onto `mesh`: the same verdict on every rank. */
dtensor_status dti_redistribute_check(const dtensor *x, const dtensor_mesh *mesh,
                                      const dtensor_placement to[],
                                      const dtensor_redistribute_opts *opts, dti_layout *layout);

#endif
