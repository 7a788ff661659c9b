/* Tensor storage and workspace: in the arena that the ranks of a node can share, aligned to 64
 * bytes, counted, and kept warm.
 *
 * A fresh page costs more to touch than to copy, so freed large buffers keep their memory, up to a
 * limit, and are handed out again. Those of 2 MiB and more begin at a huge page. Handles and small
 * tables use malloc: they are not counted. */
#ifndef DTENSOR_BASE_ALLOC_H_
#define DTENSOR_BASE_ALLOC_H_

#include <stddef.h>

/* NULL if there is no memory. Zero bytes give a valid pointer. */
void *dti_alloc(size_t bytes);
void dti_free(void *memory); /* accepts NULL */

/* Memory in the same place that is never freed and not counted. */
void *dti_alloc_permanent(size_t bytes);

/* For tests: the next `after` calls of dti_alloc on this thread succeed and the one after that
 * fails, once. Negative: none fails. Returns how many are left of those that the last such call
 * gave: negative if the failure has come. */
int dti_alloc_fail_after(int after);

#endif
