/* Members of a node, their memory, and meetings on their boards. */
#include "dtensor/comm/node.h"

#include "dtensor/base/fail.h"
#include "dtensor/comm/node_internal.h"

dtensor_status dti_comm_node(dti_comm *comm, dti_node **node) {
  *node = NULL;
  DTI_TRY(dti_comm_check_open(comm));
  if (!comm->node_asked) {
    DTI_TRY(dti_node_create(comm, &comm->node, &comm->node_reason));
    comm->node_asked = 1;
  }
  *node = comm->node;
  return DTENSOR_OK;
}

int dti_comm_is_near(const dti_comm *comm) { return comm->node && comm->node->size == comm->size; }

const char *dti_comm_node_reason(const dti_comm *comm) { return comm->node_reason.text; }

int dti_comm_nodes_share(const dti_comm *comm) { return comm->nodes_share; }

int dti_node_size(const dti_node *node) { return node->size; }

int dti_node_rank(const dti_node *node) { return node->rank; }

int dti_node_comm_rank(const dti_node *node, int member) { return node->member[member].rank; }

int dti_node_member(const dti_node *node, int rank) {
  if (node->size == node->comm->size) return rank >= 0 && rank < node->size ? rank : -1;
  int low = 0, high = node->size;
  while (low < high) {
    const int middle = (low + high) / 2;
    if (node->member[middle].rank < rank)
      low = middle + 1;
    else
      high = middle;
  }
  return low < node->size && node->member[low].rank == rank ? low : -1;
}

/* An address in another member's memory has that member's number + 1 above these bits. */
enum { ADDRESS_BITS = 48 };

int64_t dti_node_export(const dti_node *node, const void *data, size_t bytes) {
  const int64_t own = node->comm->backend->export_memory(data, bytes);
  for (int i = 0; own < 0 && i < node->size; i++) {
    const dti_member *member = &node->member[i];
    const uintptr_t offset = (uintptr_t)data - (uintptr_t)member->memory;
    if (offset < member->bytes && bytes <= member->bytes - offset)
      return ((int64_t)i + 1) << ADDRESS_BITS | (int64_t)offset;
  }
  return own;
}

void *dti_node_import(const dti_node *node, int member, int64_t exported) {
  const int64_t other = exported >> ADDRESS_BITS;
  const int64_t offset = exported & (((int64_t)1 << ADDRESS_BITS) - 1);
  return dti_member_address(&node->member[other > 0 ? (int)other - 1 : member], offset);
}

dtensor_status dti_node_check(const dti_node *node, int member) {
  return node->comm->backend->check(node->comm, &node->member[member]);
}

/* ---- meetings */

static struct dti_place *place_of(const dti_node *node, int member, uint64_t meeting) {
  return &node->member[member].board->place[meeting % DTI_MEETINGS];
}

uint64_t dti_node_next_meeting(dti_node *node) { return node->next++; }

void *dti_node_desk(dti_node *node, uint64_t meeting) {
  return place_of(node, node->rank, meeting)->desk;
}

void dti_node_post(dti_node *node, uint64_t meeting) {
  struct dti_place *place = place_of(node, node->rank, meeting);
  atomic_store_explicit(&place->left_before, node->left_all, memory_order_relaxed);
  atomic_store_explicit(&place->posted, meeting, memory_order_release);
}

static uint64_t rounds_ahead(const dti_node *node, uint64_t meeting) {
  const uint64_t left =
      atomic_load_explicit(&place_of(node, node->rank, meeting)->left, memory_order_relaxed);
  return (meeting - left) / DTI_MEETINGS;
}

int dti_node_can_take(const dti_node *node, uint64_t meeting) {
  return rounds_ahead(node, meeting) < 64;
}

/* Tell of all meetings up to which none is missing: others look there once in many meetings. */
static void tell_left_all(dti_node *node) {
  uint64_t all = node->left_all;
  while (dti_node_has_left(node, all + 1, node->rank)) all++;
  if (all == node->left_all) return;
  node->left_all = all;
  atomic_store_explicit(&node->board->left_all, all, memory_order_release);
}

/* One counter tells what was left in a place, so it moves in order: a meeting that this rank needed
 * for nothing may be over while it is still in an earlier one. */
void dti_node_leave(dti_node *node, uint64_t meeting) {
  uint64_t *early = &node->left_early[meeting % DTI_MEETINGS];
  const uint64_t ahead = rounds_ahead(node, meeting);
  if (ahead > 1) {
    *early |= UINT64_C(1) << (ahead - 2);
    return;
  }
  for (; *early & 1; *early >>= 1) meeting += DTI_MEETINGS;
  *early >>= 1;
  atomic_store_explicit(&place_of(node, node->rank, meeting)->left, meeting, memory_order_release);
  tell_left_all(node);
}

int dti_node_has_posted(const dti_node *node, uint64_t meeting, int member) {
  return atomic_load_explicit(&place_of(node, member, meeting)->posted, memory_order_acquire) >=
         meeting;
}

int dti_node_has_left(const dti_node *node, uint64_t meeting, int member) {
  if (node->seen[member] >= meeting) return 1; /* without a look at its board */
  return atomic_load_explicit(&place_of(node, member, meeting)->left, memory_order_acquire) >=
         meeting;
}

/* What comes with the posts tells which copies nobody reads any more. */
int dti_node_all_posted(const dti_node *node, uint64_t meeting) {
  for (int i = 0; i < node->size; i++)
    if (!dti_node_has_posted(node, meeting, i)) return 0;
  for (int i = 0; i < node->size; i++) {
    const uint64_t left =
        atomic_load_explicit(&place_of(node, i, meeting)->left_before, memory_order_relaxed);
    if (left > node->seen[i]) node->seen[i] = left;
  }
  return 1;
}

int dti_node_all_left(const dti_node *node, uint64_t meeting) {
  for (int i = 0; i < node->size; i++)
    if (!dti_node_has_left(node, meeting, i)) return 0;
  return 1;
}

/* As dti_node_has_left(), but looks at another's board only where what it saw there is too old. */
static int left_long_ago(const dti_node *node, uint64_t meeting, int member) {
  uint64_t *seen = &node->seen[member];
  if (*seen >= meeting) return 1;
  *seen = atomic_load_explicit(&node->member[member].board->left_all, memory_order_acquire);
  return *seen >= meeting || dti_node_has_left(node, meeting, member);
}

int dti_node_can_post(const dti_node *node, uint64_t meeting) {
  for (int i = 0; i < node->size; i++)
    if (!left_long_ago(node, meeting - DTI_MEETINGS, i)) return 0;
  return 1;
}

/* Small sources are copied where that takes less time than to wait for others to read them: about
 * as long as a cache line needs to go to another core and back, but where ranks outnumber the
 * processors, until the others have had their turn there. */
enum { COPY_QUICK = 1 << 10, COPY_MOST = DTI_COPY_BYTES };

int dti_node_shares_cpus(const dti_node *node) { return node->shares_cpus; }

void *dti_node_room_for_copy(dti_node *node, uint64_t meeting, size_t bytes) {
  if (bytes > (node->shares_cpus ? COPY_MOST : COPY_QUICK)) return NULL;
  const int which = node->next_copy;
  for (int i = 0; i < node->size; i++)
    if (!left_long_ago(node, node->copied[which], i)) return NULL;
  node->copied[which] = meeting;
  node->next_copy = (which + 1) % DTI_COPIES;
  return node->board->copy[which];
}

const void *dti_node_brought(const dti_node *node, uint64_t meeting, int member) {
  return place_of(node, member, meeting)->desk;
}
