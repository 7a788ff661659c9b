#include "dtensor/spec/step_engine.h"

#include "dtensor/spec/buffers.h"
#include "dtensor/spec/collective_bytes.h"
#include "dtensor/spec/split_kind.h"

static int64_t local_bytes(const dti_question *q, const dti_layout *layout, int which) {
  int64_t coord[DTENSOR_MAX_NDIM], shape[DTENSOR_MAX_NDIM];
  dti_mesh_unravel(layout->mesh_ndim, layout->mesh, dti_way_place(which, layout), coord);
  dti_layout_local(layout, coord, shape, NULL);
  return dti_numel(layout->ndim, shape) * (int64_t)q->element;
}

dti_price dti_step_price(const dti_question *q, const dti_way_ends *ends, const dti_way *way,
                         int which, int i, const dti_step *step) {
  const int64_t ranks = ends->from_ranks > ends->to_ranks ? ends->from_ranks : ends->to_ranks;
  if (step->kind == DTI_STEP_GATHER)
    return dti_gather_price(q->machine, q->topology, step, local_bytes(q, &step->to, which));
  return dti_exchange_price(q->machine, q->topology, ranks, q->element, step, way->group[i],
                            &way->volume[which][i]);
}

/* Of messages between every two ranks. */
static int64_t message_buffers(const dti_question *q, const dti_volume *v, int is_strided,
                               int64_t staging, int64_t cut) {
  int64_t messages = v->far_in.messages + v->far_out.messages;
  int64_t in_place = v->far_out.elements - v->far_out.scattered;
  if (!q->topology.shared_memory) {
    messages += v->near_in.messages + v->near_out.messages;
    in_place += v->near_out.elements - v->near_out.scattered;
  }
  if (is_strided) staging += in_place * (int64_t)q->element;
  const int64_t most = messages * DTI_CUT_WINDOW * cut;
  return cut > 0 && staging > most ? most : staging;
}

int64_t dti_step_workspace(const dti_question *q, const dti_way_ends *ends, const dti_way *way,
                           int which, int i, const dti_step *step, int64_t cut) {
  int64_t bytes = dti_step_price(q, ends, way, which, i, step).cost.workspace;
  if (step->kind == DTI_STEP_EXCHANGE && step->engine == DTI_ENGINE_DIRECT)
    bytes = message_buffers(q, &way->volume[which][i], q->is_strided && i == 0, bytes, cut);
  return bytes + (i + 1 < way->steps ? local_bytes(q, &step->to, which) : 0);
}

static double slowest(const dti_question *q, const dti_way_ends *ends, const dti_way *way, int i,
                      dti_engine engine) {
  dti_step step = way->step[i];
  step.engine = engine;
  double seconds = 0;
  for (int k = 0; k < DTI_WAY_PLACES; k++) {
    const double here = dti_step_price(q, ends, way, k, i, &step).cost.seconds;
    if (here > seconds) seconds = here;
  }
  return seconds;
}

/* As the step would run: a collective that does not fit would be messages after all. */
static int can_be_collective(const dti_question *q, const dti_way *way, int i) {
  if (!q->same_mesh || way->step[i].mesh_dims == 0) return 0;
  dti_collective_bytes bytes = {0, 0};
  dti_collective_bytes_add(i == 0 ? q->from : &way->step[i - 1].to, &way->step[i], q->element,
                           &bytes);
  return dti_collective_bytes_fit(&bytes, q->message_limit, q->max_bytes, way->steps);
}

/* What cannot be cut has its share of the budget, so that steps that can be have theirs. */
static int step_fits(const dti_question *q, const dti_way_ends *ends, const dti_way *way, int i,
                     dti_engine engine) {
  if (q->max_bytes == 0) return 1;
  const dti_buffers buffers = dti_step_buffers(q, ends, way, i, engine);
  return buffers.whole <= (q->max_bytes - dti_way_between(q, way)) / way->steps;
}

dti_engine dti_step_engine(const dti_question *q, const dti_way_ends *ends, const dti_way *way,
                           int i) {
  const dti_topology topology = q->topology;
  const dti_step *step = &way->step[i];
  if (step->kind != DTI_STEP_EXCHANGE) return DTI_ENGINE_DIRECT;
  const int can[] = {[DTI_ENGINE_COLLECTIVE] = can_be_collective(q, way, i),
                     [DTI_ENGINE_HIERARCHICAL] = topology.shared_memory &&
                                                 topology.ranks_per_node > 1 &&
                                                 dti_way_leaves_node(way, i)};
  if (can[DTI_ENGINE_COLLECTIVE] && dti_route_forced_engine() == DTI_ENGINE_COLLECTIVE)
    return DTI_ENGINE_COLLECTIVE;
  dti_engine best = DTI_ENGINE_DIRECT;
  double least = slowest(q, ends, way, i, best);
  for (int engine = DTI_ENGINE_COLLECTIVE; engine <= DTI_ENGINE_HIERARCHICAL; engine++) {
    if (!can[engine] || !step_fits(q, ends, way, i, (dti_engine)engine)) continue;
    const double seconds = slowest(q, ends, way, i, (dti_engine)engine);
    if (seconds >= least) continue;
    least = seconds;
    best = (dti_engine)engine;
  }
  return best;
}
