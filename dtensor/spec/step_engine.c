#include "dtensor/spec/step_engine.h"

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

int64_t dti_step_between(const dti_question *q, const dti_way *way, int which, int i) {
  int64_t bytes = 0;
  if (i > 0) bytes += local_bytes(q, &way->step[i - 1].to, which);
  if (i + 1 < way->steps) bytes += local_bytes(q, &way->step[i].to, which);
  return bytes;
}

int64_t dti_rounds_to_fit(const dti_price *price, int64_t between, int64_t max_bytes) {
  if (max_bytes == 0 || between + price->cost.workspace <= max_bytes) return 1;
  if (between >= max_bytes) return 0;
  const int64_t rounds = dti_ceil_div(price->cost.workspace, max_bytes - between);
  return rounds <= price->rounds_most ? rounds : 0;
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

/* What cannot be cut may be above the cap. */
static int step_fits(const dti_question *q, const dti_way_ends *ends, const dti_way *way, int i,
                     dti_engine engine) {
  dti_step step = way->step[i];
  step.engine = engine;
  for (int k = 0; k < DTI_WAY_PLACES; k++) {
    const dti_price price = dti_step_price(q, ends, way, k, i, &step);
    if (dti_rounds_to_fit(&price, dti_step_between(q, way, k, i), q->max_bytes) == 0) return 0;
  }
  return 1;
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
