/* What MPI says about itself: whether it runs, and what went wrong. */
#include <string.h>

#include "dtensor/comm/mpi_internal.h"

dtensor_status dti_mpi_fail(int code, const char *file, int line, const char *call) {
  char text[MPI_MAX_ERROR_STRING] = "no description";
  int length;
  MPI_Error_string(code, text, &length);
  return dti_fail(DTENSOR_EMPI, file, line, "%.*s: %s", (int)strcspn(call, "("), call, text);
}

int dti_mpi_running(void) {
  int initialised = 0, finalised = 0;
  MPI_Initialized(&initialised);
  MPI_Finalized(&finalised);
  return initialised && !finalised;
}

dtensor_status dti_mpi_ready(void) {
  static const char *const advice =
      "call MPI_Init_thread with MPI_THREAD_FUNNELED or higher before any mesh is made";
  int flag = 0, level = MPI_THREAD_SINGLE;
  MPI_Initialized(&flag);
  DTI_CHECK(flag, DTENSOR_EMPI, "MPI is not initialised; %s", advice);
  MPI_Finalized(&flag);
  DTI_CHECK(!flag, DTENSOR_EMPI, "MPI is finalised; meshes are used before MPI_Finalize");
  DTI_TRY_MPI(MPI_Query_thread(&level));
  DTI_CHECK(level >= MPI_THREAD_FUNNELED, DTENSOR_EMPI,
            "MPI is initialised with MPI_THREAD_SINGLE; %s", advice);
  DTI_TRY_MPI(MPI_Is_thread_main(&flag));
  DTI_CHECK(flag, DTENSOR_EMPI,
            "this is not the thread that initialised MPI; call from that thread");
  return DTENSOR_OK;
}
