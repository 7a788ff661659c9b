/* A reference count that several threads may use. */
#ifndef DTENSOR_BASE_REFCOUNT_H_
#define DTENSOR_BASE_REFCOUNT_H_

#include <stdatomic.h>

typedef struct dti_refcount {
  atomic_int count;
} dti_refcount;

static inline void dti_refcount_init(dti_refcount *refs) { atomic_init(&refs->count, 1); }

static inline void dti_refcount_retain(dti_refcount *refs) {
  atomic_fetch_add_explicit(&refs->count, 1, memory_order_relaxed);
}

static inline int dti_refcount_is_one(dti_refcount *refs) {
  return atomic_load_explicit(&refs->count, memory_order_acquire) == 1;
}

/* 1 if that was the last reference. */
static inline int dti_refcount_release(dti_refcount *refs) {
  return atomic_fetch_sub_explicit(&refs->count, 1, memory_order_acq_rel) == 1;
}

#endif
