#include "dtensor/spec/way.h"

#include <string.h>

#include "dtensor/base/fail.h"
#include "dtensor/spec/confine.h"

/* Of two meshes only their sizes are known here: the processes at equal places count as the same.
 */
static int64_t same_place(int64_t to_place, const void *ctx) {
  const dti_way_ends *ends = ctx;
  return to_place < ends->from_ranks ? to_place : -1;
}

int64_t dti_way_place(int which, const dti_layout *layout) {
  const int64_t last = dti_numel(layout->mesh_ndim, layout->mesh) - 1;
  const int64_t place[DTI_WAY_PLACES] = {0, 1, layout->mesh[layout->mesh_ndim - 1] - 1, last};
  return place[which] < last ? place[which] : last;
}

static const dti_layout *layout_before(const dti_way_ends *ends, const dti_way *way, int step) {
  return step == 0 ? ends->from : &way->step[step - 1].to;
}

dtensor_status dti_way_measure(const dti_way_ends *ends, dti_way *way) {
  for (int i = 0; i < way->steps; i++) {
    for (int k = 0; k < DTI_WAY_PLACES && way->step[i].kind == DTI_STEP_EXCHANGE; k++) {
      const dti_exchange_ends exchange = {
          .from = layout_before(ends, way, i),
          .to = &way->step[i].to,
          .from_place = dti_way_place(k, layout_before(ends, way, i)),
          .to_place = dti_way_place(k, &way->step[i].to),
          .same_mesh = ends->same_mesh || i > 0,
          .source_place_of = same_place,
          .ctx = ends};
      DTI_TRY(dti_volume_of(&exchange, ends->ranks_per_node, &way->volume[k][i]));
    }
  }
  return DTENSOR_OK;
}

/* Mesh dimensions, groups, and kinds of collectives. */
static void describe(const dti_way_ends *ends, dti_way *way) {
  for (int i = 0; i < way->steps; i++) {
    dti_step *step = &way->step[i];
    const dti_layout *from = layout_before(ends, way, i);
    const int same_mesh = ends->same_mesh || i > 0;
    if (same_mesh && step->kind != DTI_STEP_GATHER)
      step->mesh_dims = dti_exchange_mesh_dims(from, &step->to);
    step->is_all_gather = same_mesh && dti_is_all_gather(from, &step->to, step->mesh_dims);
    way->group[i] = same_mesh ? dti_group_size(&step->to, step->mesh_dims) : ends->from_ranks;
  }
}

void dti_way_of_route(const dti_way_ends *ends, const dti_route *route, dti_way *way) {
  way->steps = route->steps;
  memcpy(way->step, route->step, (size_t)route->steps * sizeof route->step[0]);
  describe(ends, way);
}

static void merge_gathers(dti_way *way) {
  int kept = 0;
  for (int i = 0; i < way->steps; i++) {
    if (i > 0 && way->step[i].is_all_gather && way->step[i - 1].is_all_gather) kept--;
    way->step[kept++] = way->step[i];
  }
  way->steps = kept;
}

int dti_way_of_chain(const dti_way_ends *ends, const dti_route *route, dti_chain_order order,
                     int merged, dti_way *way) {
  dti_layout layout[DTENSOR_MAX_NDIM];
  way->steps = 0;
  for (int i = 0; i < route->steps; i++) {
    const dti_layout *from = i == 0 ? ends->from : &route->step[i - 1].to;
    const int steps = dti_chain(from, &route->step[i].to, order, ends->sums_at_once, layout);
    if (way->steps + steps > DTENSOR_MAX_NDIM) return 0;
    for (int k = 0; k < steps; k++)
      way->step[way->steps++] = (dti_step){.kind = DTI_STEP_EXCHANGE, .to = layout[k]};
  }
  describe(ends, way);
  if (merged) {
    merge_gathers(way);
    describe(ends, way);
  }
  return 1;
}

int64_t dti_way_peers_at_most(const dti_way_ends *ends, const dti_way *way) {
  int64_t peers = 0;
  for (int i = 0; i < way->steps; i++)
    peers += ends->same_mesh || i > 0 ? dti_peers_at_most(layout_before(ends, way, i),
                                                          &way->step[i].to, way->step[i].mesh_dims)
                                      : way->group[i] - 1;
  return peers;
}

int64_t dti_way_pieces_at_most(const dti_way_ends *ends, const dti_way *way) {
  int64_t pieces = 0;
  for (int i = 0; i < way->steps; i++)
    if (ends->same_mesh || i > 0)
      pieces +=
          dti_pieces_at_most(layout_before(ends, way, i), &way->step[i].to, way->step[i].mesh_dims);
  return pieces;
}

dti_traffic dti_way_received(const dti_way *way, int which) {
  dti_traffic sum = {0};
  for (int i = 0; i < way->steps; i++) {
    const dti_volume *v = &way->volume[which][i];
    sum.messages += v->near_in.messages + v->far_in.messages;
    sum.elements += v->near_in.elements + v->far_in.elements;
  }
  return sum;
}

int dti_way_leaves_node(const dti_way *way, int step) {
  for (int k = 0; k < DTI_WAY_PLACES; k++) {
    const dti_volume *v = &way->volume[k][step];
    if (v->far_in.messages + v->far_out.messages > 0) return 1;
  }
  return 0;
}
