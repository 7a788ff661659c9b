#include "dtensor/redistribute/arrivals.h"

#include <stdlib.h>

#include "dtensor/base/alloc.h"
#include "dtensor/base/fail.h"
#include "dtensor/redistribute/near.h"

/* An index is made of words. It begins with one for each node: where the table of what has come
 * from there begins. A table: */
enum {
  BUFFER,       /* shared address of the message */
  SOURCES,      /* ranks of that node */
  FIRST_SOURCE, /* so many ranks, ascending; then for each target, part and source the number of the
                   next offset, which the target moves on; then the offsets */
};

static int members_here(const dti_leg *leg) { return leg->node ? dti_node_size(leg->node) : 1; }

static int64_t cursors(const dti_leg *leg, int64_t sources) {
  return members_here(leg) * leg->parts * sources;
}

/* Those of a target lie together: nobody else writes there. */
static int64_t cursor_of(const dti_leg *leg, int target, int part, int64_t sources,
                         int64_t source) {
  return ((int64_t)target * leg->parts + part) * sources + source;
}

static int64_t share(const dti_leg *leg, const void *memory) {
  return leg->node ? dti_node_export(leg->node, memory, 1) : (int64_t)(intptr_t)memory;
}

static void *reach(const dti_leg *leg, int member, int64_t address) {
  return leg->node ? dti_node_import(leg->node, member, address) : (void *)(intptr_t)address;
}

static void write_table(const dti_leg *leg, const dti_freight *f, int64_t *table) {
  const int sources = dti_hierarchy_members(leg, f->node);
  table[BUFFER] = share(leg, f->buffer);
  table[SOURCES] = sources;
  for (int s = 0; s < sources; s++) table[FIRST_SOURCE + s] = dti_hierarchy_rank(leg, f->node, s);
  int64_t *cursor = table + FIRST_SOURCE + sources, *offset = cursor + cursors(leg, sources);
  for (int64_t c = 0; c < cursors(leg, sources); c++) cursor[c] = 0;

  /* Count, sum up to where each list ends, and fill the lists from their ends. */
  const dti_manifest *m = &f->manifest;
  for (int both = 0; both < 2; both++) {
    for (int64_t i = m->items - 1; i >= 0; i--) {
      const dti_manifest_item *item = &m->item[i];
      const int target = leg->node ? dti_node_member(leg->node, item->target) : 0;
      int64_t *at = &cursor[cursor_of(leg, target, item->part, sources, item->source)];
      if (both == 0)
        ++*at;
      else
        offset[--*at] = item->offset;
    }
    for (int64_t c = 1; both == 0 && c < cursors(leg, sources); c++) cursor[c] += cursor[c - 1];
  }
}

static int64_t table_words(const dti_leg *leg, const dti_freight *f) {
  const int64_t sources = dti_hierarchy_members(leg, f->node);
  return FIRST_SOURCE + sources + cursors(leg, sources) + f->manifest.items;
}

dtensor_status dti_arrivals_prepare(dti_leg *leg) {
  dti_hierarchy *h = leg->hierarchy;
  if (h->receives == 0) return DTENSOR_OK;
  const int64_t nodes = dti_comm_nodes(leg->comm);
  int64_t words = nodes;
  for (int i = 0; i < h->receives; i++) words += table_words(leg, &h->receive[i]);
  const size_t bytes = (size_t)words * sizeof *h->index;
  h->index = dti_alloc(bytes);
  DTI_CHECK(h->index, DTENSOR_ENOMEM, "no memory for an index of %zu bytes", bytes);
  int64_t at = nodes;
  for (int i = 0; i < h->receives; i++) {
    h->index[h->receive[i].node] = at;
    write_table(leg, &h->receive[i], h->index + at);
    at += table_words(leg, &h->receive[i]);
  }
  return DTENSOR_OK;
}

void dti_arrivals_tell(const dti_leg *leg) {
  if (!leg->node) return;
  const int64_t *index = leg->hierarchy->index;
  dti_near_arrive(leg, leg->failure != DTENSOR_OK ? DTI_ARRIVAL_FAILED
                       : index                    ? share(leg, index)
                                                  : DTI_ARRIVAL_OF_NOTHING);
}

int dti_arrivals_awaited(const dti_leg *leg) {
  for (int m = 0; leg->node && m < dti_node_size(leg->node); m++)
    if (dti_near_arrival(leg, m) == DTI_ARRIVAL_PENDING) return m;
  return -1;
}

dtensor_status dti_arrivals_check(const dti_leg *leg) {
  for (int m = 0; leg->node && m < dti_node_size(leg->node); m++)
    DTI_CHECK(dti_near_arrival(leg, m) != DTI_ARRIVAL_FAILED, DTENSOR_EMPI,
              "rank %d has failed, and brings nothing from other nodes",
              dti_node_comm_rank(leg->node, m));
  return DTENSOR_OK;
}

static int64_t number_of(const int64_t *ranks, int64_t n, int rank) {
  int64_t low = 0, high = n;
  while (low < high) {
    const int64_t middle = (low + high) / 2;
    if (ranks[middle] < rank)
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

const void *dti_arrivals_take(const dti_leg *leg, int part, int source) {
  const int node = dti_comm_node_of(leg->comm, source);
  const int here = dti_comm_node_of(leg->comm, dti_comm_rank(leg->comm));
  const int carrier = dti_hierarchy_carrier(leg, here, members_here(leg), node);
  const int me = leg->node ? dti_node_rank(leg->node) : 0;
  int64_t *index = leg->hierarchy->index;
  if (leg->node) index = reach(leg, carrier, dti_near_arrival(leg, carrier));
  int64_t *table = index + index[node];
  const int64_t sources = table[SOURCES];
  const int64_t s = number_of(table + FIRST_SOURCE, sources, source);
  int64_t *cursor = table + FIRST_SOURCE + sources, *offset = cursor + cursors(leg, sources);
  int64_t *next = &cursor[cursor_of(leg, me, part, sources, s)];
  return (const char *)reach(leg, carrier, table[BUFFER]) + offset[(*next)++];
}
