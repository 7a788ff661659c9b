/* Memory that all ranks of this machine see, and a barrier in it: what one needs to write the bare
 * single-copy loop, without the library. */
#ifndef DTENSOR_BENCHMARKS_SHARED_H_
#define DTENSOR_BENCHMARKS_SHARED_H_

#include "benchmarks/bench.h"

/* A segment per rank, warm, on huge pages where the system gives them. It lives until the program
 * ends. */
typedef struct shared {
  void **of; /* rank r's segment is of[r], on every rank */
} shared;

/* Collective over b->comm, whose ranks must share a machine. */
shared shared_alloc(const bench *b, size_t bytes);

/* All ranks have come: they spin for a while, then let others run. */
void shared_barrier(const bench *b);

#endif
