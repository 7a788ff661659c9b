#include "dtensor/comm/large_count.h"

#include <limits.h>

#include "dtensor/comm/comm.h"

#define DEFAULT_LIMIT ((size_t)1 << 30)

static size_t message_limit = DEFAULT_LIMIT;

void dti_comm_set_message_limit(size_t bytes) {
  message_limit = bytes == 0 || bytes > INT_MAX ? DEFAULT_LIMIT : bytes;
}

size_t dti_comm_message_limit(void) { return message_limit; }

size_t dti_message_pieces(size_t bytes, size_t limit) {
  return bytes == 0 ? 1 : (bytes - 1) / limit + 1;
}
