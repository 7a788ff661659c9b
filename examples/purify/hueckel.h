/* The Hueckel Hamiltonian of the pi electrons, in units of |beta|: alpha = 0 on the diagonal, beta
 * = -1 between bonded atoms. */
#ifndef PURIFY_HUECKEL_H_
#define PURIFY_HUECKEL_H_

#include "bonds.h"

/* Every rank fills its own shard and no more; p has one placement per mesh dimension. Local. */
dtensor_status hueckel_hamiltonian(dtensor_mesh *mesh, const bonds *b, const dtensor_placement p[],
                                   dtensor **h);

/* No eigenvalue lies outside of [-bound, bound] (Gershgorin's circles). */
double hueckel_bound(const bonds *b);

#endif
