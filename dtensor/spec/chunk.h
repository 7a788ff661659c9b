/* A region cut into chunks of bounded size: what travels in one message, and is packed into one
 * buffer. Two regions of the same number of elements per dimension are cut alike, however their
 * runs lie, so sender and receiver need not talk about it. */
#ifndef DTENSOR_SPEC_CHUNK_H_
#define DTENSOR_SPEC_CHUNK_H_

#include "dtensor/base/region.h"

/* Chunks are ranges of `rows` indices of dimension `dim`; dimensions outside of it are taken one
 * index at a time, those inside of it whole. In this order they are the region in message order. */
typedef struct dti_chunks {
  int ndim, dim;
  int64_t length[DTENSOR_MAX_NDIM]; /* elements per dimension */
  int64_t row;                      /* elements per index of dim */
  int64_t rows;                     /* indices of dim in a chunk; fewer in the last of a range */
  int64_t ranges;                   /* chunks per combination of outer indices */
  int64_t count;
} dti_chunks;

/* At most `most` elements per chunk; most >= 1. A region without elements has no chunks. */
dti_chunks dti_chunks_of(const dti_region *region, int64_t most);

/* Elements of chunk i. */
int64_t dti_chunk_elements(const dti_chunks *chunks, int64_t i);

/* Chunk i as a region. It borrows the runs of the region that it is cut from, and `room`. */
typedef struct dti_chunk_room {
  dti_run outer[DTENSOR_MAX_NDIM];
  dti_run *cut; /* as many as the region has on any dimension */
} dti_chunk_room;
dti_region dti_chunk_region(const dti_chunks *chunks, const dti_region *region, int64_t i,
                            dti_chunk_room *room);

#endif
