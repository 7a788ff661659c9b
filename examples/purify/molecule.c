#include "molecule.h"

#include <inttypes.h>
#include <stdlib.h>

outcome molecule_broadcast(MPI_Comm comm, molecule *m) {
  int rank = 0;
  MPI_Comm_rank(comm, &rank);
  double(*position)[3] = m->position;
  MPI_Bcast(m, (int)sizeof *m, MPI_BYTE, 0, comm);
  m->position = rank == 0 ? position : malloc((size_t)m->atoms * sizeof *position);

  outcome result = outcome_fine();
  if (!m->position)
    result = outcome_fail(OUTCOME_FAILED, "no memory for %" PRId64 " atoms", m->atoms);
  result = outcome_agree(comm, result);
  if (result.code) return result;

  /* In parts, as MPI counts in int. */
  const int64_t part = INT64_C(1) << 24;
  for (int64_t begin = 0; begin < m->atoms; begin += part) {
    const int64_t atoms = m->atoms - begin < part ? m->atoms - begin : part;
    MPI_Bcast(m->position[begin], (int)(3 * atoms), MPI_DOUBLE, 0, comm);
  }
  return outcome_fine();
}

void molecule_free(molecule *m) {
  free(m->position);
  *m = (molecule){0};
}
