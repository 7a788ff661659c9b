/* The engines of redistribution beside each other, on nodes of several ranks: whether the planner
 * chooses the fastest. It plans with figures that are measured here. */
#include <math.h>
#include <stdlib.h>

#include "benchmarks/network/network.h"
#include "dtensor/spec/planner.h"

enum { ENGINES = DTENSOR_ENGINE_HIERARCHICAL + 1 };
static const char *const names[ENGINES] = {"direct", "collective", "hierarchical"};
static const char *const transitions[][2] = {
    {"S(0)", "S(1)"}, {"S(0)", "R"}, {"P(sum)", "R"}, {"P(sum)", "S(0)"}};

typedef struct way {
  const network *w;
  const dtensor *x;
  dtensor_placement to;
  int engine;
} way;

static dtensor *moved(const way *m) {
  dtensor *y;
  dti_route_force_engine(m->engine);
  network_ok(m->w, dtensor_redistribute(m->x, &m->to, NULL, &y), names[m->engine]);
  dti_route_force_engine(-1);
  return y;
}

static void move(void *ctx) {
  dtensor *y = moved(ctx);
  dtensor_destroy(&y);
}

/* The global values are 0, 1, 2, ... */
static int is_right(const dtensor *y) {
  const double *data = dtensor_local_data(y);
  for (int64_t i = 0; i < dtensor_local_size(y, 0); i++)
    for (int64_t j = 0; j < dtensor_local_size(y, 1); j++)
      if (*data++ != (double)((dtensor_local_offset(y, 0) + i) * dtensor_size(y, 1) +
                              dtensor_local_offset(y, 1) + j))
        return 0;
  return 1;
}

/* Check the result; bytes that all ranks receive. */
static double received_bytes(network *w, const way *m) {
  dtensor_comm_counts counts;
  dtensor_comm_stats_reset();
  dtensor *y = moved(m);
  dtensor_comm_stats(&counts);
  network_check(w, is_right(y), names[m->engine]);
  dtensor_destroy(&y);
  double bytes = (double)counts.bytes_received;
  MPI_Allreduce(MPI_IN_PLACE, &bytes, 1, MPI_DOUBLE, MPI_SUM, w->comm);
  return bytes;
}

/* The plan with an engine forced, or -1. */
static dtensor_plan_info plan_of(const network *w, const dtensor *x, const dtensor_placement *to,
                                 int engine) {
  dtensor_plan_info info;
  dti_route_force_engine(engine);
  network_ok(w, dtensor_explain(x, to, NULL, &info, NULL, 0), "explain");
  dti_route_force_engine(-1);
  return info;
}

static void one_transition(network *w, int64_t n, const char *const transition[2]) {
  dtensor *x;
  dtensor_placement from, to;
  network_ok(w, dtensor_placements_parse(transition[0], 1, &from), "from");
  network_ok(w, dtensor_placements_parse(transition[1], 1, &to), "to");
  network_ok(w, dtensor_arange(w->mesh, DTENSOR_F64, 2, (int64_t[]){n, n}, &from, &x), "arange");
  char layouts[40], shape[40];
  snprintf(layouts, sizeof layouts, "%s -> %s", transition[0], transition[1]);
  snprintf(shape, sizeof shape, "%lld^2 f64 (%lld KiB)", (long long)n, (long long)(n * n / 128));

  /* Those that the planner has a plan of. */
  way ways[ENGINES];
  network_body body[ENGINES];
  double predicted[ENGINES], bytes[ENGINES];
  int found = 0, chosen = 0;
  const dtensor_engine best = plan_of(w, x, &to, -1).engine;
  for (int engine = 0; engine < ENGINES; engine++) {
    const dtensor_plan_info plan = plan_of(w, x, &to, engine);
    if ((int)plan.engine != engine) continue;
    if (plan.engine == best) chosen = found;
    ways[found] = (way){w, x, to, engine};
    predicted[found] = plan.seconds;
    bytes[found] = received_bytes(w, &ways[found]);
    body[found] = (network_body){.run = move, .ctx = &ways[found]};
    found++;
  }
  network_time(w, n < 256 ? 15 : 7, body, found);

  double fastest = INFINITY;
  for (int i = 0; i < found; i++) fastest = fmin(fastest, body[i].seconds);
  network_row row = {.shape = shape, .layouts = layouts};
  for (int i = 0; i < found; i++) {
    row.op = names[ways[i].engine];
    row.seconds = body[i].seconds;
    row.bytes = bytes[i];
    row.what = "predicted / time";
    row.value = predicted[i] / row.seconds;
    network_print(w, &row);
  }
  row.op = "as planned";
  row.seconds = body[chosen].seconds;
  row.bytes = bytes[chosen];
  row.peer = "fastest";
  row.peer_seconds = fastest;
  row.what = names[ways[chosen].engine];
  row.value = row.seconds / fastest;
  row.goal = 1.2;
  network_print(w, &row);
  dtensor_destroy(&x);
}

/* What the planner is told of the network. */
static void calibrate(network *w) {
  dtensor_machine machine;
  network_ok(w, dtensor_calibrate(w->mesh, NULL, &machine), "calibrate");
  const char *mbit = getenv("DTENSOR_MBIT"); /* of the links, by virtual_nodes.sh */
  const double rate = 8e-6 / machine.byte, nominal = mbit ? strtod(mbit, NULL) : rate;
  network_print(w, &(network_row){.op = "calibrated latency",
                                  .shape = "",
                                  .seconds = machine.latency + 2 * machine.overhead});
  network_print(w, &(network_row){.op = "calibrated link",
                                  .shape = "",
                                  .rate = rate,
                                  .unit = "Mbit/s",
                                  .what = "rate / that of the link",
                                  .value = rate / nominal});
}

void network_engines(network *w) {
  calibrate(w);
  for (size_t i = 0; i < sizeof transitions / sizeof *transitions; i++) {
    one_transition(w, 88, transitions[i]);                 /* 60 KiB */
    if (!w->quick) one_transition(w, 724, transitions[i]); /* 4 MiB */
  }
}
