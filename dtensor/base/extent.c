#include "dtensor/base/extent.h"

#include <stdlib.h>

#include "dtensor/base/arena.h"

/* Four bins for each doubling of the size. */
static int bin_of(size_t bytes) {
  const size_t pages = bytes / DTI_PAGE;
  if (pages < 4) return (int)pages;
  const int log = 63 - __builtin_clzll(pages);
  return 4 * (log - 1) + (int)(pages >> (log - 2) & 3);
}

/* A warm one takes its place in the order of age behind `older`: NULL makes it the oldest. */
static void link_behind(dti_extent *e, dti_extent_state state, dti_extent *older) {
  dti_extents *all = e->of;
  e->state = state;
  dti_extent **bin = &all->bin[state][bin_of(e->bytes)];
  e->before = NULL;
  e->next = *bin;
  if (e->next) e->next->before = e;
  *bin = e;
  if (state == DTI_EXTENT_COLD) return;
  e->older = older;
  e->newer = older ? older->newer : all->oldest;
  *(e->older ? &e->older->newer : &all->oldest) = e;
  *(e->newer ? &e->newer->older : &all->newest) = e;
  all->warm += e->bytes;
}

static void link_free(dti_extent *e, dti_extent_state state) {
  link_behind(e, state, e->of->newest);
}

static void unlink_free(dti_extent *e) {
  dti_extents *all = e->of;
  *(e->before ? &e->before->next : &all->bin[e->state][bin_of(e->bytes)]) = e->next;
  if (e->next) e->next->before = e->before;
  if (e->state == DTI_EXTENT_WARM) {
    *(e->older ? &e->older->newer : &all->oldest) = e->newer;
    *(e->newer ? &e->newer->older : &all->newest) = e->older;
    all->warm -= e->bytes;
  }
  e->state = DTI_EXTENT_USED;
}

/* Cut the first `bytes` off: what remains is a new extent on its right. NULL if there is no memory.
 */
static dti_extent *split(dti_extent *e, size_t bytes) {
  dti_extent *rest = calloc(1, sizeof *rest);
  if (!rest) return NULL;
  *rest = (dti_extent){.of = e->of,
                       .offset = e->offset + bytes,
                       .bytes = e->bytes - bytes,
                       .state = DTI_EXTENT_USED,
                       .left = e,
                       .right = e->right};
  if (rest->right) rest->right->left = rest;
  e->right = rest;
  e->bytes = bytes;
  return rest;
}

/* Make one of two neighbours. */
static void join(dti_extent *left, dti_extent *right) {
  left->bytes += right->bytes;
  left->right = right->right;
  if (left->right) left->right->left = left;
  free(right);
}

int dti_extents_init(dti_extents *all, size_t offset, size_t bytes) {
  dti_extent *e = calloc(1, sizeof *e);
  if (!e) return 0;
  e->of = all;
  e->offset = offset;
  e->bytes = bytes;
  all->first = e;
  link_free(e, DTI_EXTENT_COLD);
  return 1;
}

static size_t padding(const dti_extent *e, size_t alignment) {
  return -e->offset & (alignment - 1);
}

static dti_extent *best_of_bin(dti_extent *e, size_t bytes, size_t alignment) {
  dti_extent *best = NULL;
  for (; e; e = e->next)
    if (e->bytes >= bytes && e->bytes - bytes >= padding(e, alignment) &&
        (!best || e->bytes < best->bytes))
      best = e;
  return best;
}

dti_extent *dti_extents_take(dti_extents *all, dti_extent_state state, size_t bytes,
                             size_t alignment) {
  dti_extent *e = NULL;
  for (int bin = bin_of(bytes); bin < DTI_EXTENT_BINS && !e; bin++)
    e = best_of_bin(all->bin[state][bin], bytes, alignment);
  if (!e) return NULL;
  unlink_free(e);
  const size_t before = padding(e, alignment);
  if (before > 0) {
    dti_extent *aligned = split(e, before);
    link_free(e, state);
    if (!aligned) return NULL;
    e = aligned;
  }
  if (e->bytes > bytes) {
    dti_extent *rest = split(e, bytes);
    if (rest) link_free(rest, state); /* else it is a larger one than need be */
  }
  return e;
}

void dti_extents_put(dti_extent *e, dti_extent_state state) {
  if (e->right && e->right->state == state) {
    unlink_free(e->right);
    join(e, e->right);
  }
  if (e->left && e->left->state == state) {
    e = e->left;
    unlink_free(e);
    join(e, e->right);
  }
  link_free(e, state);
}

dti_extent *dti_extents_take_oldest(dti_extents *all, size_t bytes) {
  dti_extent *e = all->oldest;
  if (!e) return NULL;
  /* In huge pages, as giving back a part of one splits it, unless it is small itself. */
  const size_t unit = e->bytes > DTI_HUGE_PAGE ? DTI_HUGE_PAGE : DTI_PAGE;
  bytes = (bytes + unit - 1) / unit * unit;
  unlink_free(e);
  if (bytes >= e->bytes) return e;
  dti_extent *tail = split(e, e->bytes - bytes);
  if (!tail) return e;
  link_behind(e, DTI_EXTENT_WARM, NULL);
  return tail;
}
