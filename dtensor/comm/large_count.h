/* Messages above the limit of one MPI call are cut: both sides cut alike, and the pieces follow
 * each other under one tag. */
#ifndef DTENSOR_COMM_LARGE_COUNT_H_
#define DTENSOR_COMM_LARGE_COUNT_H_

#include <stddef.h>

/* Pieces of a message: at least one, as an empty message is sent too. */
size_t dti_message_pieces(size_t bytes, size_t limit);

#endif
