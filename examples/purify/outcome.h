/* How the program ends, and how its ranks come to end together.
 *
 * A rank that fails alone must not leave while the others wait for it. So whatever one rank alone
 * can fail at gives an outcome, and outcome_agree() stands before the next collective call. */
#ifndef PURIFY_OUTCOME_H_
#define PURIFY_OUTCOME_H_

#include <dtensor/dtensor.h>
#include <mpi.h>

/* Also the exit codes of the program, from fine to worst. */
enum {
  OUTCOME_FINE = 0,
  OUTCOME_NO_CONVERGENCE = 1,
  OUTCOME_BAD_INPUT = 2,
  OUTCOME_FAILED = 3 /* memory, MPI, the library */
};

typedef struct outcome {
  int code;
  char text[512]; /* for the user; "" if all is fine */
} outcome;

outcome outcome_fine(void);
outcome outcome_fail(int code, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* OUTCOME_FAILED with the library's message, or fine. */
outcome outcome_of(dtensor_status status);

/* The worst outcome of all ranks, on all ranks. Collective. */
outcome outcome_agree(MPI_Comm comm, outcome mine);

/* The same for a call of the library. Collective. */
outcome outcome_agree_status(MPI_Comm comm, dtensor_status mine);

#endif
