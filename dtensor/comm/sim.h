/* Simulated ranks: the communicator of all threads of a dtensor_sim_run(). */
#ifndef DTENSOR_COMM_SIM_H_
#define DTENSOR_COMM_SIM_H_

#include "dtensor/comm/comm.h"
#include "dtensor/sim.h"

/* Borrowed. */
dti_comm *dti_sim_comm(dtensor_sim *rank);

#endif
