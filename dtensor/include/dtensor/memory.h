/* Memory that the library holds in this process. */
#ifndef DTENSOR_MEMORY_H_
#define DTENSOR_MEMORY_H_

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Bytes, over all threads of the process: tensor storage and communication workspace. Handles and
 * layouts (under a kilobyte each) are not counted. Memory that the caller owns and lent with
 * DTENSOR_BORROW or gave with DTENSOR_OWN is not counted either. */
typedef struct dtensor_memory_info {
  int64_t current;     /* in use now */
  int64_t peak;        /* the most that was in use since the start or the last reset */
  int64_t cached;      /* free, kept warm for the next allocation; not part of current */
  int64_t allocations; /* how many were made */
} dtensor_memory_info;

/* Local. */
void dtensor_memory_stats(dtensor_memory_info *info);

/* Start the peak anew from what is in use now. Local. */
void dtensor_memory_reset_peak(void);

/* How many bytes of freed buffers may stay cached for reuse; the default is 1 GiB, 0 turns the
 * cache off. What is over the limit is given back at once. Local. */
void dtensor_memory_set_cache_limit(int64_t bytes);

#ifdef __cplusplus
}
#endif
#endif
