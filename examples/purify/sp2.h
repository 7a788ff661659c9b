/* Density-matrix purification with second-order spectral projection (SP2).
 *
 * The density matrix P projects on the occupied orbitals of H. Scale H so that its spectrum lies in
 * [0, 1] with the occupied end at 1, then square (which pushes eigenvalues to 0) or take 2X - X^2
 * (which pushes them to 1), whichever brings the trace nearer to the number of occupied orbitals,
 * until X is a projector. No orbital is ever computed: it is all matrix products.
 *
 * Source: A. M. N. Niklasson, "Expansion algorithm for the density matrix", Phys. Rev. B 66, 155115
 * (2002). */
#ifndef PURIFY_SP2_H_
#define PURIFY_SP2_H_

#include <dtensor/dtensor.h>
#include <stdint.h>

#include "outcome.h"

typedef struct sp2_step {
  double trace;      /* of X at the start of the step */
  double error;      /* ||X^2 - X||_F / sqrt(N), of the same X */
  double seconds;    /* of the slowest rank */
  int64_t bytes;     /* received by all ranks together */
  double begin, end; /* by this rank's dtensor_trace_clock() */
} sp2_step;

typedef struct sp2_options {
  double bound;    /* the spectrum of H lies in [-bound, bound], bound > 0 */
  double occupied; /* orbitals */
  double tolerance;
  int max_iterations;
  void (*on_step)(int iteration, const sp2_step *step, void *ctx); /* called on every rank */
  void *ctx;
} sp2_options;

typedef struct sp2_run {
  int iterations;
  int is_converged;
  sp2_step *steps; /* max_iterations entries, of the caller */
} sp2_run;

/* *p becomes the density matrix, or with is_converged == 0 as far as it came; then the outcome's
 * text says why, with code OUTCOME_FAILED. After any other failure *p is NULL. Collective over
 * comm, which has the ranks of h's mesh. */
outcome sp2_purify(MPI_Comm comm, const dtensor *h, const sp2_options *options, sp2_run *run,
                   dtensor **p);

/* The energy of two electrons in each occupied orbital, 2 tr(P H). Collective over comm. */
outcome sp2_energy(MPI_Comm comm, const dtensor *p, const dtensor *h, double *energy);

#endif
