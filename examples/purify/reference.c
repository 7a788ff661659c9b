#include "reference.h"

#include <inttypes.h>
#include <stdlib.h>

/* The Fortran routine itself, since LAPACKE is not part of every OpenBLAS. The last two arguments
 * are the lengths of the strings. */
void dsyev_(const char *jobz, const char *uplo, const int *n, double *a, const int *lda, double *w,
            double *work, const int *lwork, int *info, size_t jobz_length, size_t uplo_length);

static outcome eigenvalues(int n, double *matrix, double *values) {
  int info = 0;
  const int ask = -1;
  double best = 0;
  dsyev_("N", "U", &n, matrix, &n, values, &best, &ask, &info, 1, 1);
  const int size = (int)best;
  double *work = malloc((size_t)size * sizeof *work);
  if (!work) return outcome_fail(OUTCOME_FAILED, "no memory for the reference");
  dsyev_("N", "U", &n, matrix, &n, values, work, &size, &info, 1, 1);
  free(work);
  if (info != 0) return outcome_fail(OUTCOME_FAILED, "the reference failed: dsyev says %d", info);
  return outcome_fine();
}

outcome reference_solve(const bonds *b, int64_t occupied, reference *ref) {
  const int64_t n = b->atoms;
  *ref = (reference){0};
  if (n > 40000)
    return outcome_fail(OUTCOME_BAD_INPUT, "%" PRId64 " atoms are too many for the reference", n);
  double *matrix = calloc((size_t)(n * n), sizeof *matrix);
  double *values = malloc((size_t)n * sizeof *values);
  outcome result = outcome_fine();
  if (matrix && values) {
    for (int64_t i = 0; i < n; i++)
      for (int64_t at = b->start[i]; at < b->start[i + 1]; at++)
        matrix[i * n + b->neighbor[at]] = -1;
    result = eigenvalues((int)n, matrix, values);
  } else {
    result = outcome_fail(OUTCOME_FAILED, "no memory for the reference");
  }
  if (!result.code) {
    for (int64_t i = 0; i < occupied; i++) ref->energy += 2 * values[i];
    ref->homo = values[occupied - 1];
    ref->lumo = values[occupied];
    ref->is_known = 1;
  }
  free(matrix);
  free(values);
  return result;
}
