#include "outcome.h"

#include <stdarg.h>
#include <stdio.h>

outcome outcome_fine(void) { return (outcome){.code = OUTCOME_FINE}; }

outcome outcome_fail(int code, const char *format, ...) {
  outcome result = {.code = code};
  va_list args;
  va_start(args, format);
  vsnprintf(result.text, sizeof result.text, format, args);
  va_end(args);
  return result;
}

outcome outcome_of(dtensor_status status) {
  return status == DTENSOR_OK ? outcome_fine()
                              : outcome_fail(OUTCOME_FAILED, "%s", dtensor_last_error());
}

outcome outcome_agree(MPI_Comm comm, outcome mine) {
  struct {
    int code, rank;
  } worst = {.code = mine.code};
  MPI_Comm_rank(comm, &worst.rank);
  MPI_Allreduce(MPI_IN_PLACE, &worst, 1, MPI_2INT, MPI_MAXLOC, comm);
  if (worst.code != OUTCOME_FINE) MPI_Bcast(&mine, (int)sizeof mine, MPI_BYTE, worst.rank, comm);
  return mine;
}

outcome outcome_agree_status(MPI_Comm comm, dtensor_status mine) {
  return outcome_agree(comm, outcome_of(mine));
}
