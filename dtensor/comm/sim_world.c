#include "dtensor/comm/sim_world.h"

#include <stdlib.h>
#include <string.h>

#include "dtensor/base/fail.h"

dtensor_status dti_sim_world_create(int size, int ranks_per_node, sim_world **out) {
  *out = NULL;
  sim_world *world = calloc(1, sizeof *world + (size_t)size * sizeof world->rank[0]);
  DTI_CHECK(world, DTENSOR_ENOMEM, "a world of %d ranks", size);
  dti_refcount_init(&world->refs);
  world->size = size;
  world->ranks_per_node = ranks_per_node;
  pthread_mutex_init(&world->lock, NULL);
  pthread_cond_init(&world->start, NULL);
  for (int i = 0; i < size; i++) {
    dtensor_sim *rank = &world->rank[i];
    rank->world = world;
    rank->rank = rank->origin = i;
    pthread_cond_init(&rank->changed, NULL);
  }
  *out = world;
  return DTENSOR_OK;
}

void dti_sim_world_release(sim_world **world_) {
  sim_world *world = *world_;
  *world_ = NULL;
  if (!dti_refcount_release(&world->refs)) return;
  while (world->groups) {
    sim_group *group = world->groups;
    world->groups = group->next;
    free(group);
  }
  for (int i = 0; i < world->size; i++) pthread_cond_destroy(&world->rank[i].changed);
  pthread_cond_destroy(&world->start);
  pthread_mutex_destroy(&world->lock);
  free(world);
}

static sim_group *find_group(sim_world *world, const sim_group *parent, int n, const int ranks[],
                             int is_lane) {
  for (sim_group *group = world->groups; group; group = group->next)
    if (group->parent == parent && group->is_lane == is_lane && group->size == n &&
        memcmp(group->rank, ranks, (size_t)n * sizeof *ranks) == 0)
      return group;
  return NULL;
}

static sim_group *add_group(sim_world *world, const sim_group *parent, int n, const int ranks[],
                            int is_lane) {
  sim_group *group = calloc(1, sizeof *group + (size_t)n * sizeof *ranks);
  if (!group) return NULL;
  group->parent = parent;
  group->size = n;
  group->is_lane = is_lane;
  group->culprit = -1;
  memcpy(group->rank, ranks, (size_t)n * sizeof *ranks);
  group->next = world->groups;
  world->groups = group;
  return group;
}

dtensor_status dti_sim_group(sim_world *world, const sim_group *parent, int n, const int ranks[],
                             int is_lane, sim_group **group) {
  pthread_mutex_lock(&world->lock);
  *group = find_group(world, parent, n, ranks, is_lane);
  if (!*group) *group = add_group(world, parent, n, ranks, is_lane);
  pthread_mutex_unlock(&world->lock);
  DTI_CHECK(*group, DTENSOR_ENOMEM, "a group of %d ranks", n);
  return DTENSOR_OK;
}
