/* The answer by diagonalisation, to compare with. */
#ifndef PURIFY_REFERENCE_H_
#define PURIFY_REFERENCE_H_

#include "bonds.h"

typedef struct reference {
  int is_known;
  double energy;     /* of the occupied orbitals, two electrons each */
  double homo, lumo; /* highest occupied and lowest empty orbital */
} reference;

/* LAPACK's dsyev on the whole Hueckel matrix, by this rank alone: O(N^3) time and 8 N^2 bytes.
 * 0 < occupied < atoms. Local. */
outcome reference_solve(const bonds *b, int64_t occupied, reference *ref);

#endif
