/* The plans that this thread remembers, which is to say this rank: simulated ranks are threads.
 *
 * Plans are values: all that they depend on is compared, so that a mesh that is made anew finds the
 * plans of one like it, and a destroyed one leaves nothing behind that another could take for its
 * own. */

#include <pthread.h>
#include <stdlib.h>

#include "dtensor/base/fail.h"
#include "dtensor/mesh/machine.h"
#include "dtensor/plan.h"
#include "dtensor/redistribute/plan.h"

enum { SLOTS = 256, PLANS_AT_FIRST = 256 };
static const int64_t bytes_at_first = 8 << 20;

typedef struct plan_key {
  const dti_layout *from;
  const dti_layout *to;                /* NULL: of the source's shape and mesh, with */
  const dtensor_placement *placements; /* these */
  uint64_t hash;                       /* of the source's layout and the target's placements */
  /* On one mesh the place there and 0, on two their serial numbers. */
  int64_t same_mesh, identity[2];
  int64_t ranks_per_node, most_on_a_node, shared_memory;
  unsigned inside_nodes;
  uint64_t machine; /* version */
  size_t element;
  int64_t max_bytes, message_limit;
  int is_near, in_batch, is_strided, is_foreign, forced_engine;
} plan_key;

typedef struct entry {
  plan_key key;
  dti_transfer_plan *plan;
  struct entry *chain;         /* of the same slot */
  struct entry *newer, *older; /* by last use */
} entry;

typedef struct cache {
  int64_t plans_most, bytes_most;
  int64_t plans, bytes, hits, misses;
  entry *slot[SLOTS];
  entry *newest, *oldest;
} cache;

static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t of_thread; /* for its destructor */
static int has_key;
static _Thread_local cache *own;

static entry **slot_of(cache *c, const plan_key *key) { return &c->slot[key->hash % SLOTS]; }

static void unlink_use(cache *c, entry *e) {
  *(e->newer ? &e->newer->older : &c->newest) = e->older;
  *(e->older ? &e->older->newer : &c->oldest) = e->newer;
}

static void link_newest(cache *c, entry *e) {
  e->newer = NULL;
  e->older = c->newest;
  *(c->newest ? &c->newest->newer : &c->oldest) = e;
  c->newest = e;
}

static void forget(cache *c, entry *e) {
  entry **at = slot_of(c, &e->key);
  while (*at != e) at = &(*at)->chain;
  *at = e->chain;
  unlink_use(c, e);
  c->plans--;
  c->bytes -= (int64_t)e->plan->bytes;
  dti_transfer_plan_release(&e->plan);
  free(e);
}

static void keep_to_limits(cache *c) {
  while (c->oldest && (c->plans > c->plans_most || c->bytes > c->bytes_most)) forget(c, c->oldest);
}

static void destroy(void *memory) {
  cache *c = memory;
  while (c->oldest) forget(c, c->oldest);
  free(c);
  own = NULL;
}

static void make_key(void) { has_key = pthread_key_create(&of_thread, destroy) == 0; }

/* This thread's; NULL if there is no memory for one: then nothing is remembered. */
static cache *mine(void) {
  if (own) return own;
  pthread_once(&once, make_key);
  if (!has_key) return NULL;
  cache *c = calloc(1, sizeof *c);
  if (!c) return NULL;
  c->plans_most = PLANS_AT_FIRST;
  c->bytes_most = bytes_at_first;
  if (pthread_setspecific(of_thread, c) == 0) return own = c;
  free(c);
  return NULL;
}

static int is_same_target(const dti_layout *to, const plan_key *key) {
  return key->to ? dti_layout_equal(to, key->to)
                 : dti_layout_is_with(to, key->from, key->placements);
}

/* Where nothing moves it does not matter who is near. */
static int is_same(const entry *e, const plan_key *b) {
  const plan_key *a = &e->key;
  return a->hash == b->hash && a->same_mesh == b->same_mesh && a->identity[0] == b->identity[0] &&
         a->identity[1] == b->identity[1] && a->ranks_per_node == b->ranks_per_node &&
         a->most_on_a_node == b->most_on_a_node && a->shared_memory == b->shared_memory &&
         a->inside_nodes == b->inside_nodes && a->machine == b->machine &&
         a->element == b->element && a->max_bytes == b->max_bytes &&
         a->message_limit == b->message_limit && (a->is_near == b->is_near || e->plan->is_local) &&
         a->in_batch == b->in_batch && a->is_strided == b->is_strided &&
         a->is_foreign == b->is_foreign && a->forced_engine == b->forced_engine &&
         dti_layout_equal(a->from, b->from) && is_same_target(a->to, b);
}

/* Retained; NULL if there is none. Counts a hit. */
static dti_transfer_plan *find(const plan_key *key) {
  cache *c = mine();
  if (!c) return NULL;
  for (entry *e = *slot_of(c, key); e; e = e->chain) {
    if (!is_same(e, key)) continue;
    c->hits++;
    if (e != c->newest) {
      unlink_use(c, e);
      link_newest(c, e);
    }
    return dti_transfer_plan_retain(e->plan);
  }
  return NULL;
}

static void count_miss(void) {
  cache *c = mine();
  if (c) c->misses++;
}

/* The key's layouts are the plan's own. */
static void put(const plan_key *key, dti_transfer_plan *plan) {
  cache *c = mine();
  if (!c || c->plans_most == 0 || (int64_t)plan->bytes > c->bytes_most) return;
  entry *e = calloc(1, sizeof *e);
  if (!e) return;
  e->key = *key;
  e->plan = dti_transfer_plan_retain(plan);
  entry **slot = slot_of(c, key);
  e->chain = *slot;
  *slot = e;
  link_newest(c, e);
  c->plans++;
  c->bytes += (int64_t)plan->bytes;
  keep_to_limits(c);
}

static uint64_t mix(uint64_t hash, uint64_t word) {
  hash = (hash ^ word) * UINT64_C(0x9E3779B97F4A7C15);
  return hash ^ (hash >> 29);
}

static uint64_t word_of(const dtensor_placement *p) {
  const uint64_t kind = (uint64_t)p->kind * 8 + (uint64_t)p->op;
  return (kind * 16 + (uint64_t)p->dim) ^ ((uint64_t)p->param << 12);
}

static uint64_t hash_of(const dti_layout *from, const dtensor_placement to[]) {
  uint64_t hash = 0;
  for (int d = 0; d < from->ndim; d++) hash = mix(hash, (uint64_t)from->shape[d]);
  for (int m = 0; m < from->mesh_ndim; m++)
    hash = mix(hash, (uint64_t)from->mesh[m] ^ word_of(&from->p[m]) << 16 ^ word_of(&to[m]) << 40);
  return hash;
}

/* The target is left to the caller. */
static plan_key key_of(const dtensor_mesh *from, const dtensor_mesh *to, dtensor_dtype dtype,
                       const dti_transfer_terms *terms) {
  const dti_topology topology = dti_mesh_topology(to);
  const int same_mesh = dti_mesh_same(from, to);
  return (plan_key){
      .same_mesh = same_mesh,
      .identity = {same_mesh ? to->rank : (int64_t)from->serial,
                   same_mesh ? 0 : (int64_t)to->serial},
      .ranks_per_node = topology.ranks_per_node,
      .most_on_a_node = dti_mesh_machine_of(to)->most_on_a_node,
      .shared_memory = topology.shared_memory,
      .inside_nodes = dti_mesh_inside_nodes(to),
      .machine = dti_mesh_machine_of(to)->version,
      .element = dtensor_dtype_size(dtype),
      .max_bytes = terms->max_bytes,
      .message_limit = (int64_t)dti_comm_message_limit(),
      .is_near = terms->is_near,
      .in_batch = terms->in_batch,
      .is_strided = terms->is_strided,
      .is_foreign = terms->is_foreign,
      .forced_engine = dti_route_forced_engine(),
  };
}

static void set_layouts(plan_key *key, const dti_layout *from, const dti_layout *to) {
  key->from = from;
  key->to = to;
  key->hash = hash_of(from, to->p);
}

dti_transfer_plan *dti_transfer_plan_recall(const dtensor_mesh *mesh, const dti_layout *from,
                                            const dtensor_placement to[], dtensor_dtype dtype,
                                            const dti_transfer_terms *terms) {
  plan_key key = key_of(mesh, mesh, dtype, terms);
  key.from = from;
  key.placements = to;
  key.hash = hash_of(from, to);
  return find(&key);
}

dtensor_status dti_transfer_plan_get(const dti_transfer_item *item, const dti_transfer_terms *terms,
                                     dti_transfer_plan **plan) {
  if (item->box) return dti_transfer_plan_make(item, terms, plan);
  plan_key key = key_of(item->from.mesh, item->to.mesh, item->dtype, terms);
  set_layouts(&key, item->from.layout, item->to.layout);
  *plan = find(&key);
  if (*plan) return DTENSOR_OK;
  count_miss();
  DTI_TRY(dti_transfer_plan_make(item, terms, plan));
  key.from = &(*plan)->from;
  key.to = &(*plan)->to;
  put(&key, *plan);
  return DTENSOR_OK;
}

void dtensor_plan_cache_stats(dtensor_plan_cache_info *info) {
  if (!info) return;
  const cache *c = mine();
  *info = c ? (dtensor_plan_cache_info){.hits = c->hits,
                                        .misses = c->misses,
                                        .plans = c->plans,
                                        .bytes = c->bytes}
            : (dtensor_plan_cache_info){0};
}

void dtensor_plan_cache_clear(void) {
  cache *c = mine();
  if (!c) return;
  while (c->oldest) forget(c, c->oldest);
  c->hits = c->misses = 0;
}

void dtensor_plan_cache_limit(int64_t plans, int64_t bytes) {
  cache *c = mine();
  if (!c) return;
  c->plans_most = plans > 0 ? plans : 0;
  c->bytes_most = bytes > 0 ? bytes : 0;
  keep_to_limits(c);
}
