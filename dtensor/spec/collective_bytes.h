/* Whether a step may be one collective. Planning and running ask the same question, so that what is
 * promised is what runs. */
#ifndef DTENSOR_SPEC_COLLECTIVE_BYTES_H_
#define DTENSOR_SPEC_COLLECTIVE_BYTES_H_

#include "dtensor/spec/route.h"

/* The most that any rank sends, and the most that arrives at any. Collectives along the same mesh
 * dimensions can be one: theirs are added up. */
typedef struct dti_collective_bytes {
  int64_t sent, received;
} dti_collective_bytes;

/* Add a step from this layout to *bytes. */
void dti_collective_bytes_add(const dti_layout *from, const dti_step *step, size_t element,
                              dti_collective_bytes *bytes);

/* A collective has no rounds: it fits as a whole or not at all. Half of what the caller allows is
 * for what lies in between, and all steps have their buffers at the same time.
 *
 *   message_limit  bytes of one direction at most; 0: no limit
 *   max_bytes      of workspace; 0: no limit
 *   steps          of the way that this is one of */
int dti_collective_bytes_fit(const dti_collective_bytes *bytes, int64_t message_limit,
                             int64_t max_bytes, int steps);

#endif
