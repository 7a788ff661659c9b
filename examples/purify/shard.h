/* Walking over this rank's part of a matrix. */
#ifndef PURIFY_SHARD_H_
#define PURIFY_SHARD_H_

#include "bonds.h"

/* Visit the elements (i, j) of bonded atoms that this rank holds; x is f64, atoms x atoms. Costs
 * the local rows, columns and bonds, not the local elements. Returns 0 if there is no memory.
 * Local. */
typedef void (*bond_visitor)(double *element, int64_t i, int64_t j, void *ctx);
int shard_visit_bonds(const dtensor *x, const bonds *b, bond_visitor visit, void *ctx);

#endif
