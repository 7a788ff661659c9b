/* What the report shows of the density matrix. */
#ifndef PURIFY_DENSITY_H_
#define PURIFY_DENSITY_H_

#include "bonds.h"

enum { HEAT_MAP_SIDE = 256 };

/* side x side cells, row-major: each the largest absolute value of the elements in it. */
typedef struct heat_map {
  int side; /* at most HEAT_MAP_SIDE */
  float cell[HEAT_MAP_SIDE * HEAT_MAP_SIDE];
} heat_map;

/* Every rank looks at its own shard; rank 0 has the result. Collective. */
void density_heat_map(MPI_Comm comm, const dtensor *p, heat_map *map);

/* The pi bond order 2 P_ij of each entry of b->neighbor; rank 0 has the result, an array to free().
 * Collective. */
outcome density_bond_orders(MPI_Comm comm, const dtensor *p, const bonds *b, double **order);

#endif
