/* Which atoms are bonded. */
#ifndef PURIFY_BONDS_H_
#define PURIFY_BONDS_H_

#include "molecule.h"

/* Atom i is bonded to neighbor[start[i]] ... neighbor[start[i + 1] - 1], in increasing order. */
typedef struct bonds {
  int64_t atoms;
  int64_t *start;
  int64_t *neighbor;
  int64_t most; /* neighbours of any one atom */
} bonds;

/* Atoms nearer than 1.7 Angstrom, found with a list of cells: O(N) for molecules that fill space as
 * atoms do. Local; atoms on top of each other are OUTCOME_BAD_INPUT. */
outcome bonds_find(const molecule *m, bonds *b);
void bonds_free(bonds *b);

#endif
