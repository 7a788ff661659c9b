/* What the planner knows of a machine: a handful of times, in the manner of LogGP. */
#ifndef DTENSOR_MACHINE_H_
#define DTENSOR_MACHINE_H_

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A plain value. Times are in seconds, or in seconds per byte, and not negative.
 *
 * Source: Alexandrov, Ionescu, Schauser, Scheiman, "LogGP: incorporating long messages into the
 * LogP model", 1995. */
typedef struct dtensor_machine {
  /* Messages between nodes. */
  double latency; /* of an empty one, beside the overhead on both sides */
  double
      overhead; /* of a rank's own time for each message that it sends or receives, near or far */
  double byte;  /* of a node's link, which its ranks share */
  /* Messages between ranks of one node that do not read each other's memory. */
  double node_latency;
  double node_byte;
  /* Inside of a rank or of shared memory. */
  double meeting; /* the ranks of a node wait for each other */
  double copy;    /* one byte read from its place and written to another */
  double pack;    /* the same into or out of a message, strided on one side */
  double reduce;  /* one byte of a contribution added to a sum */
  double flops;   /* matrix multiplication in double precision: operations per second of one rank */
  int64_t ranks_per_node; /* 0: what the communicator says */
} dtensor_machine;

/* A plausible one: a cluster of today with a network of 100 Gbit/s. Local.
 *
 * Meshes plan with it unless rank 0's environment has DTENSOR_MACHINE=FILE when the first mesh of
 * their communicator is made, a file as dtensor_calibrate() writes it; or until
 * dtensor_machine_load() or dtensor_calibrate() gives them other figures. */
dtensor_machine dtensor_machine_default(void);

#ifdef __cplusplus
}
#endif
#endif
