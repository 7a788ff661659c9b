/* Hexagonal flakes of graphene with armchair edges: benzene C6, then C42, C114, C222, ... */
#ifndef PURIFY_FLAKE_H_
#define PURIFY_FLAKE_H_

#include "molecule.h"

enum { FLAKE_LARGEST = 1000 };

/* n rings of sextets, 1 <= n <= FLAKE_LARGEST: 18 n (n - 1) + 6 atoms, as a hexagon of n rings has
 * 3 n (n - 1) + 1 sextets. n = 14 gives 3282 atoms. Local. */
outcome flake_build(int64_t n, molecule *m);

#endif
