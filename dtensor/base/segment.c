#include "dtensor/base/segment.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

#include "dtensor/base/alloc.h"

/* Where segments of a process come back to: a list that others push to and the owner takes whole.
 * All places are distances within one arena, which mean the same in every mapping of it. */
typedef struct home {
  _Atomic ptrdiff_t first; /* from here; 0: none */
} home;

struct dti_segment {
  atomic_int users;
  ptrdiff_t data; /* from here, back */
  ptrdiff_t home; /* from here */
  ptrdiff_t next; /* once it was handed back: from home; 0: none */
};

enum { HEADER_ALIGNMENT = 64 };

static pthread_once_t once = PTHREAD_ONCE_INIT;
static _Atomic(home *) own;

static void *at(void *from, ptrdiff_t distance) { return (char *)from + distance; }

static void make_home(void) {
  home *made = dti_alloc_permanent(sizeof *made);
  if (made) atomic_init(&made->first, 0);
  atomic_store(&own, made);
}

size_t dti_segment_header_bytes(void) { return sizeof(dti_segment); }

dti_segment *dti_segment_create(size_t bytes, int users) {
  pthread_once(&once, make_home);
  if (!atomic_load(&own) || bytes > PTRDIFF_MAX / 2) return NULL;
  const size_t header = (bytes + HEADER_ALIGNMENT - 1) & ~(size_t)(HEADER_ALIGNMENT - 1);
  char *data = dti_alloc(header + sizeof(dti_segment));
  if (!data) return NULL;
  dti_segment *segment = at(data, (ptrdiff_t)header);
  atomic_init(&segment->users, users);
  segment->data = -(ptrdiff_t)header;
  segment->home = (char *)atomic_load(&own) - (char *)segment;
  segment->next = 0;
  return segment;
}

void *dti_segment_data(dti_segment *segment) { return at(segment, segment->data); }

void dti_segment_release(dti_segment *segment) {
  if (atomic_fetch_sub_explicit(&segment->users, 1, memory_order_acq_rel) != 1) return;
  home *owner = at(segment, segment->home);
  if (owner == atomic_load_explicit(&own, memory_order_relaxed)) {
    dti_free(dti_segment_data(segment));
    return;
  }
  const ptrdiff_t place = (char *)segment - (char *)owner;
  segment->next = atomic_load_explicit(&owner->first, memory_order_relaxed);
  while (!atomic_compare_exchange_weak_explicit(&owner->first, &segment->next, place,
                                                memory_order_release, memory_order_relaxed)) {
  }
}

void dti_segments_collect(void) {
  home *mine = atomic_load_explicit(&own, memory_order_relaxed);
  if (!mine || !atomic_load_explicit(&mine->first, memory_order_relaxed)) return;
  ptrdiff_t place = atomic_exchange_explicit(&mine->first, 0, memory_order_acquire);
  while (place) {
    dti_segment *segment = at(mine, place);
    place = segment->next;
    dti_free(dti_segment_data(segment));
  }
}
