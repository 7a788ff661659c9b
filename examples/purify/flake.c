#include "flake.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static const double bond = 1.42; /* Angstrom */

/* Such a flake is an array of benzene rings ("Clar sextets") whose centres lie on a triangular
 * lattice three bonds apart, so that the facing atoms of two neighbouring rings are one bond apart:
 * every atom is in exactly one ring. */
outcome flake_build(int64_t n, molecule *m) {
  static const double ring[6][2] = {
      {1, 0},  {0.5, 0.8660254037844386},   {-0.5, 0.8660254037844386},
      {-1, 0}, {-0.5, -0.8660254037844386}, {0.5, -0.8660254037844386}};
  const int64_t atoms = 18 * n * (n - 1) + 6;
  *m = (molecule){.position = malloc((size_t)atoms * sizeof *m->position)};
  if (!m->position)
    return outcome_fail(OUTCOME_FAILED, "no memory for a flake of %" PRId64 " atoms", atoms);
  snprintf(m->name, sizeof m->name, "graphene flake C%" PRId64, atoms);

  for (int64_t b = 1 - n; b < n; b++) {
    for (int64_t a = 1 - n; a < n; a++) {
      if (llabs(a + b) >= n) continue;
      const double x = 3 * ((double)a + 0.5 * (double)b), y = 3 * sqrt(0.75) * (double)b;
      for (int i = 0; i < 6; i++) {
        double *position = m->position[m->atoms++];
        position[0] = bond * (x + ring[i][0]);
        position[1] = bond * (y + ring[i][1]);
        position[2] = 0;
      }
    }
  }
  return outcome_fine();
}
