/* Scaling on paper: the planners of the library on meshes that are not at hand.
 *
 *   simulate [MACHINE_FILE]
 *
 * Nothing is communicated or moved, and there is one process. For each mesh it prints what the
 * plans of five common transitions and of a matrix product promise on the machine of the file
 * (default: that of the library), beside the least that any way could receive, and what planning
 * itself costs one rank: it must not grow faster than the peers that the rank talks to, which the
 * last lines show. */
#define _POSIX_C_SOURCE 200809L /* clock_gettime */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "dtensor/spec/machine.h"
#include "dtensor/spec/matmul_plan.h"
#include "dtensor/spec/planner.h"

static const int64_t sides[] = {2, 4, 16, 64, 256, 1024}; /* of square meshes */
enum { SIDES = sizeof sides / sizeof *sides, RANKS_PER_NODE = 64, ELEMENT = 8, BLOCK = 1 << 20 };
static const int64_t matmul_max_bytes = (int64_t)1 << 30;

static const struct transition {
  const char *name, *from, *to;
  int whole; /* some rank holds all of it: then that has BLOCK elements, else a rank's shard has */
  /* What a rank must receive of that many bytes, in (p - 1)/p of them. Of the block transpose,
   * those off the diagonal: all of them. */
  double least;
} transitions[] = {
    {"S0 -> S1", "S0,S0", "S1,S1", 0, 1},       {"S0 -> R", "S0,S0", "R,R", 1, 1},
    {"P -> S0", "P,P", "S0,S0", 1, 1},          {"P -> R", "P,P", "R,R", 1, 2},
    {"S0,S1 -> S1,S0", "S0,S1", "S1,S0", 0, 0},
};
enum { TRANSITIONS = sizeof transitions / sizeof *transitions };

static const char *const engine_names[] = {"direct", "collective", "hierarchical"};

/* Of this process: others do not matter. */
static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static dtensor_status layout_of(const int64_t shape[2], int64_t side, const char *text,
                                dti_layout *layout) {
  dtensor_placement p[2];
  const dtensor_status status = dtensor_placements_parse(text, 2, p);
  return status != DTENSOR_OK
             ? status
             : dti_layout_init(layout, 2, shape, 2, (const int64_t[]){side, side}, p);
}

/* What one rank keeps of a plan. */
typedef struct kept {
  int64_t peers;
  size_t bytes;
} kept;

static dtensor_status keep(const dti_layout *from, const dti_route *route, kept *k) {
  const int64_t place = 1; /* off the diagonal */
  *k = (kept){.bytes = sizeof *route};
  for (int i = 0; i < route->steps; i++) {
    dti_exchange x;
    const dti_exchange_ends ends = {.from = i ? &route->step[i - 1].to : from,
                                    .to = &route->step[i].to,
                                    .from_place = place,
                                    .to_place = place,
                                    .same_mesh = 1};
    const dtensor_status status = dti_exchange_plan(&ends, &x);
    if (status != DTENSOR_OK) return status;
    k->peers += x.sends > x.messages_received ? x.sends : x.messages_received;
    k->bytes += dti_exchange_bytes(&x);
    dti_exchange_free(&x);
  }
  return DTENSOR_OK;
}

static double local_megabytes(const dti_layout *layout) {
  int64_t shape[DTENSOR_MAX_NDIM], first[DTENSOR_MAX_NDIM] = {0};
  dti_layout_local(layout, first, shape, NULL);
  return 1e-6 * ELEMENT * (double)dti_numel(layout->ndim, shape);
}

static dti_topology topology_of(const dtensor_machine *machine) {
  const int64_t told = machine->ranks_per_node;
  return (dti_topology){.ranks_per_node = told > 0 ? told : RANKS_PER_NODE, .shared_memory = 1};
}

/* The most that planning takes per peer, of those plans that have at least a few. */
typedef struct growth {
  double kib, us;
} growth;
enum { FEW_PEERS = 100 };

static void take_larger(growth *g, const kept *k, double seconds) {
  if (k->peers < FEW_PEERS) return;
  const double kib = (double)k->bytes / 1024 / (double)k->peers,
               us = seconds * 1e6 / (double)k->peers;
  if (kib > g->kib) g->kib = kib;
  if (us > g->us) g->us = us;
}

static dtensor_status print_row(const dtensor_machine *machine, int64_t side,
                                const struct transition *t, dti_candidates *candidates,
                                growth *most) {
  const int64_t ranks = side * side, rows = ranks > 1024 ? ranks : 1024;
  const int64_t whole[] = {rows, rows < BLOCK ? BLOCK / rows : 1};
  const int64_t shards[] = {1024 * side, 1024 * side};
  const dti_topology topology = topology_of(machine);
  dti_layout from, to;
  dtensor_status status = layout_of(t->whole ? whole : shards, side, t->from, &from);
  if (status == DTENSOR_OK) status = layout_of(t->whole ? whole : shards, side, t->to, &to);
  const dti_question question = {.from = &from,
                                 .to = &to,
                                 .same_mesh = 1,
                                 .element = ELEMENT,
                                 .is_near = ranks <= topology.ranks_per_node,
                                 .machine = machine,
                                 .topology = topology};
  const double begin = now();
  if (status == DTENSOR_OK) status = dti_route_candidates(&question, candidates);
  const dti_candidate *best = &candidates->list[0];
  kept k = {0};
  if (status == DTENSOR_OK) status = keep(&from, &best->route, &k);
  const double seconds = now() - begin;
  if (status != DTENSOR_OK) return status;
  take_larger(most, &k, seconds);
  const double megabytes = 1e-6 * ELEMENT * BLOCK,
               share = (double)(ranks - 1) / (double)ranks * megabytes;
  printf("%-15s %5" PRId64 "x%-5" PRId64 " %-12s %5d %8" PRId64
         " %11.3f %9.3f %9.3f %9.3f %12.1f"
         " %7" PRId64 " %8.2f %10.1f\n",
         t->name, side, side, engine_names[best->engine], best->route.steps, best->cost.messages,
         (double)best->cost.bytes_received / 1e6, t->least > 0 ? t->least * share : megabytes,
         local_megabytes(&from) + local_megabytes(&to), (double)best->cost.workspace / 1e6,
         best->cost.seconds * 1e6, k.peers, seconds * 1e3, (double)k.bytes / 1024);
  return DTENSOR_OK;
}

/* Of square matrices that grow with the mesh, both blocked over it as is the product. */
static dtensor_status print_matmul(const dtensor_machine *machine, int64_t side) {
  const int64_t n = 2048 * side, ranks = side * side, shape[] = {n, n};
  const dti_topology topology = topology_of(machine);
  const int is_near = ranks <= topology.ranks_per_node;
  dti_layout blocked;
  dtensor_status status = layout_of(shape, side, "S0,S1", &blocked);
  if (status != DTENSOR_OK) return status;
  const dti_matmul_problem problem = {.a = &blocked,
                                      .b = &blocked,
                                      .c = &blocked,
                                      .is_near = is_near,
                                      .element = ELEMENT,
                                      .max_bytes = matmul_max_bytes,
                                      .speed = dti_matmul_speed_of(machine, topology, is_near)};
  dti_matmul_plan plan;
  const double begin = now();
  status = dti_matmul_plan_make(&problem, &plan, NULL, NULL);
  const double end = now();
  if (status != DTENSOR_OK) return status;
  char splits[32];
  int64_t grid[3];
  const double mb = 1e-6 * ELEMENT,
               received = plan.received[0] + plan.received[1] + plan.received[2];
  printf("%8" PRId64 "^3 %5" PRId64 "x%-5" PRId64 " %-6s %5" PRId64
         " %12.3f %12.3f %12.3f %9.3f %9.3f %12.3f %12.3f %12.3f %8.2f\n",
         n, side, side, dti_matmul_splits_text(plan.split, 2, splits, sizeof splits), plan.steps,
         received / 1e6, mb * dti_matmul_grid(n, n, n, ranks, grid),
         mb * dti_matmul_bound(n, n, n, ranks), 3 * local_megabytes(&blocked), plan.workspace / 1e6,
         plan.compute * 1e3, plan.communication * 1e3, plan.seconds * 1e3, (end - begin) * 1e3);
  return DTENSOR_OK;
}

int main(int argc, char **argv) {
  dtensor_machine machine = dtensor_machine_default();
  dtensor_status status = argc > 1 ? dti_machine_load(argv[1], NULL, &machine) : DTENSOR_OK;
  dti_candidates *candidates = malloc(sizeof *candidates);
  growth most = {0, 0};
  if (status == DTENSOR_OK && candidates) {
    printf(
        "Per rank: bytes received, the least that are possible, source and target, workspace.\n");
    printf("%-15s %11s %-12s %5s %8s %11s %9s %9s %9s %12s %7s %8s %10s\n", "", "mesh", "engine",
           "steps", "messages", "MB received", "MB least", "MB arrays", "MB beside", "us predicted",
           "peers", "ms to plan", "KiB plan");
    for (int t = 0; t < TRANSITIONS && status == DTENSOR_OK; t++)
      for (int i = 0; i < SIDES && status == DTENSOR_OK; i++)
        status = print_row(&machine, sides[i], &transitions[t], candidates, &most);
  }
  if (status == DTENSOR_OK && candidates) {
    printf("\nWith at most %.0f MB beside the matrices. The best grid is of any three sides.\n",
           1e-6 * (double)matmul_max_bytes);
    printf("%-10s %11s %-6s %5s %12s %12s %12s %9s %9s %12s %12s %12s %8s\n", "matmul", "mesh",
           "splits", "steps", "MB received", "MB best grid", "MB least", "MB arrays", "MB beside",
           "ms compute", "ms messages", "ms predicted", "ms to plan");
    for (int i = 0; i < SIDES && status == DTENSOR_OK; i++)
      status = print_matmul(&machine, sides[i]);
  }
  if (status == DTENSOR_OK && candidates)
    printf(
        "\nGrowth: of plans with %d peers and more none takes more than %.1f KiB or %.1f us per "
        "peer.\n",
        FEW_PEERS, most.kib, most.us);
  if (status != DTENSOR_OK) fprintf(stderr, "%s\n", dtensor_last_error());
  const int ok = status == DTENSOR_OK && candidates;
  free(candidates);
  return ok ? 0 : 1;
}
