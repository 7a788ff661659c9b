/* The memory that a way takes beside source and target, at most, on whatever rank: what a budget is
 * compared with. It follows from the layouts alone, in a time that does not grow with the mesh, so
 * that all ranks come to the same verdict without a message, and none needs more than that. */
#ifndef DTENSOR_SPEC_BUFFERS_H_
#define DTENSOR_SPEC_BUFFERS_H_

#include "dtensor/spec/planner.h"
#include "dtensor/spec/way.h"

/* Messages that are cut to fit a budget have at least so many bytes, and so many of them are under
 * way with each peer, in either direction, at a time. */
enum { DTI_CUT_BYTES = 1024, DTI_CUT_WINDOW = 4 };

/* Of one step. */
typedef struct dti_buffers {
  int64_t sent, received; /* bytes in messages that do not lie in place */
  int64_t send_peers, receive_peers;
  int64_t whole; /* bytes that are there at once, however messages are cut */
} dti_buffers;

dti_buffers dti_step_buffers(const dti_question *q, const dti_way_ends *ends, const dti_way *way,
                             int i, dti_engine engine);

/* The bytes if messages are no longer than `cut`; 0: whole. */
int64_t dti_buffers_bytes(const dti_buffers *buffers, int64_t cut);

/* The arrays in between, all of them: they live as long as the transfer does. */
int64_t dti_way_between(const dti_question *q, const dti_way *way);

/* All of the steps, by these engines, with what lies in between. */
typedef struct dti_budget {
  int fits;
  int64_t cut;   /* the longest messages that fit; 0: whole ones do */
  int64_t bytes; /* in use then; or, where nothing fits, the least */
} dti_budget;

dti_budget dti_way_budget(const dti_question *q, const dti_way_ends *ends, const dti_way *way,
                          const dti_step step[]);

#endif
