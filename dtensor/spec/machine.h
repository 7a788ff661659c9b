/* Machines as text.
 *
 * One `name value unit` per line; `#` starts a comment. What a file does not name keeps its
 * default.
 *
 *   latency 1.8 us        byte 0.08 ns/B        flops 32 Gflop/s        ranks_per_node 48 ranks */
#ifndef DTENSOR_SPEC_MACHINE_H_
#define DTENSOR_SPEC_MACHINE_H_

#include <stdio.h>

#include "dtensor/machine.h"
#include "dtensor/status.h"

/* Read from `file`; `name` is for messages. On failure *machine is unchanged.
 *
 * Errors: DTENSOR_EINVAL  an unknown name or unit, a number that is none or out of range, a name
 *                         given twice: the message tells the line
 *         DTENSOR_EIO     reading failed */
dtensor_status dti_machine_read(FILE *file, const char *name, dtensor_machine *machine);

/* Write it so that reading gives the same numbers. Errors: DTENSOR_EIO */
dtensor_status dti_machine_write(FILE *file, const dtensor_machine *machine);

/* The same by path; name NULL: the path. Errors: DTENSOR_EIO  it cannot be opened */
dtensor_status dti_machine_load(const char *path, const char *name, dtensor_machine *machine);
dtensor_status dti_machine_save(const char *path, const dtensor_machine *machine);

#endif
