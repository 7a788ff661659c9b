/* A block of the arena that several ranks of a node use: they count their references in the block
 * itself, and who drops the last one hands it back to the process that allocated it, without a
 * message. */
#ifndef DTENSOR_BASE_SEGMENT_H_
#define DTENSOR_BASE_SEGMENT_H_

#include <stddef.h>

/* Lies behind the data, so that these begin where dti_alloc() puts them: large ones at a huge page.
 * An address of it in any mapping of the arena will do. */
typedef struct dti_segment dti_segment;

/* NULL if there is no memory. It is counted as memory of this process. `users` references. */
dti_segment *dti_segment_create(size_t bytes, int users);

void *dti_segment_data(dti_segment *segment);

/* Bytes that the header takes. */
size_t dti_segment_header_bytes(void);

/* One reference less. With the last one the block is free again: at once where this process has
 * allocated it, else when its owner next looks. */
void dti_segment_release(dti_segment *segment);

/* Free what other processes have handed back to this one. A load where there is nothing. */
void dti_segments_collect(void);

#endif
