/* The carbon atoms of a molecule. */
#ifndef PURIFY_MOLECULE_H_
#define PURIFY_MOLECULE_H_

#include <stdint.h>

#include "outcome.h"

typedef struct molecule {
  char name[128];
  int64_t atoms;         /* carbon atoms */
  int64_t skipped;       /* other atoms: they bring no pi electron */
  double (*position)[3]; /* Angstrom */
} molecule;

/* Give what rank 0 has to all ranks, which free it with molecule_free(). Collective. */
outcome molecule_broadcast(MPI_Comm comm, molecule *m);
void molecule_free(molecule *m);

#endif
