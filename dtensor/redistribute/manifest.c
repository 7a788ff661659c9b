#include "dtensor/redistribute/manifest.h"

#include <stdlib.h>

#include "dtensor/base/fail.h"
#include "dtensor/redistribute/plan.h"

/* ---- Plans ---- */

static int64_t place_of(const dti_leg *leg, const dti_leg_side *side, int rank) {
  return leg->ranks_are_places ? rank : dti_mesh_place(side->mesh, rank);
}

static dtensor_status plan_rank(const dti_leg *leg, const dti_leg_part *part, int rank,
                                dti_exchange *x) {
  const dti_two_meshes meshes = {part->from.mesh, part->to.mesh};
  const dti_exchange_ends ends = {
      .from = part->from.layout,
      .to = part->to.layout,
      .box = &part->box,
      .from_place = place_of(leg, &part->from, rank),
      .to_place = place_of(leg, &part->to, rank),
      .same_mesh = leg->same_mesh,
      .source_place_of = dti_two_meshes_source_place,
      .ctx = &meshes,
  };
  return dti_exchange_plan(&ends, x);
}

dtensor_status dti_node_plans_make(const dti_leg *leg, int node, dti_node_plans *plans) {
  const int ranks = dti_comm_size(leg->comm);
  *plans = (dti_node_plans){.parts = leg->parts};
  for (int rank = 0; rank < ranks; rank++)
    plans->members += dti_comm_node_of(leg->comm, rank) == node;
  const size_t members = (size_t)plans->members;
  plans->rank = malloc(members * sizeof *plans->rank);
  plans->exchange = calloc((size_t)leg->parts * members, sizeof *plans->exchange);
  DTI_CHECK(plans->rank && plans->exchange, DTENSOR_ENOMEM, "no memory for plans of %d ranks",
            plans->members);
  for (int rank = 0, m = 0; rank < ranks; rank++)
    if (dti_comm_node_of(leg->comm, rank) == node) plans->rank[m++] = rank;
  for (int p = 0; p < leg->parts; p++)
    for (int m = 0; m < plans->members; m++)
      DTI_TRY(
          plan_rank(leg, &leg->part[p], plans->rank[m], &plans->exchange[p * plans->members + m]));
  return DTENSOR_OK;
}

void dti_node_plans_free(dti_node_plans *plans) {
  for (int i = 0; plans->exchange && i < plans->parts * plans->members; i++)
    dti_exchange_free(&plans->exchange[i]);
  free(plans->exchange);
  free(plans->rank);
  *plans = (dti_node_plans){0};
}

const dti_exchange *dti_node_plan(const dti_node_plans *plans, int part, int member) {
  return &plans->exchange[part * plans->members + member];
}

/* ---- Items ---- */

/* Copies of one region share its runs. */
static int is_same_region(const dti_region *a, const dti_region *b) {
  for (int d = 0; d < a->ndim; d++)
    if (a->runs[d] != b->runs[d] || a->count[d] != b->count[d]) return 0;
  return 1;
}

static int64_t most_items(const dti_node_plans *sources) {
  int64_t most = 1; /* never zero: NULL must mean no memory */
  for (int i = 0; i < sources->parts * sources->members; i++) most += sources->exchange[i].sends;
  return most;
}

static void add_items(const dti_leg *leg, int p, int member, const dti_exchange *x, int to_node,
                      dti_manifest *manifest) {
  const dti_leg_part *part = &leg->part[p];
  const dti_manifest_item *before = NULL; /* of this source */
  for (int64_t i = 0; i < x->sends; i++) {
    const dti_region *region = &x->send[i].region;
    const int target = dti_leg_rank(leg, &part->to, x->send[i].peer);
    if (dti_comm_node_of(leg->comm, target) != to_node) continue;
    dti_manifest_item *item = &manifest->item[manifest->items++];
    *item = (dti_manifest_item){p, member, target, region, manifest->bytes, 0};
    item->is_again = before && is_same_region(before->region, region);
    if (item->is_again)
      item->offset = before->offset;
    else
      manifest->bytes += region->elements * (int64_t)part->element;
    before = item;
  }
}

/* A part's elements begin where any kind of them may. */
enum { ALIGNMENT = 16 };

dtensor_status dti_manifest_make(const dti_leg *leg, const dti_node_plans *sources, int to_node,
                                 dti_manifest *manifest) {
  *manifest =
      (dti_manifest){.item = malloc((size_t)most_items(sources) * sizeof(dti_manifest_item))};
  DTI_CHECK(manifest->item, DTENSOR_ENOMEM, "no memory for a table of %lld messages",
            (long long)most_items(sources));
  for (int p = 0; p < leg->parts; p++) {
    manifest->bytes = (manifest->bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    for (int m = 0; m < sources->members; m++)
      add_items(leg, p, m, dti_node_plan(sources, p, m), to_node, manifest);
  }
  return DTENSOR_OK;
}

void dti_manifest_free(dti_manifest *manifest) {
  free(manifest->item);
  *manifest = (dti_manifest){0};
}
