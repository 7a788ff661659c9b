/* Scaling on paper: the planners of the library on meshes that are not at hand.
 *
 *   simulate [MACHINE_FILE]
 *
 * Nothing is communicated or moved, and there is one process. For each mesh it prints what the
 * plans of five common transitions and of a matrix product promise on the machine of the file
 * (default: that of the library), and what planning itself costs one rank: it must not grow faster
 * than the peers that the rank talks to. */
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

static const struct transition {
  const char *name, *from, *to;
  int whole; /* some rank holds all of it: then that has BLOCK elements, else a rank's shard has */
} transitions[] = {
    {"S0 -> S1", "S0,S0", "S1,S1", 0},       {"S0 -> R", "S0,S0", "R,R", 1},
    {"P -> S0", "P,P", "S0,S0", 1},          {"P -> R", "P,P", "R,R", 1},
    {"S0,S1 -> S1,S0", "S0,S1", "S1,S0", 0},
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

static dtensor_status print_row(const dtensor_machine *machine, int64_t side,
                                const struct transition *t, dti_candidates *candidates) {
  const int64_t ranks = side * side, rows = ranks > 1024 ? ranks : 1024;
  const int64_t whole[] = {rows, rows < BLOCK ? BLOCK / rows : 1};
  const int64_t shards[] = {1024 * side, 1024 * side};
  dti_layout from, to;
  dtensor_status status = layout_of(t->whole ? whole : shards, side, t->from, &from);
  if (status == DTENSOR_OK) status = layout_of(t->whole ? whole : shards, side, t->to, &to);
  const int64_t told = machine->ranks_per_node;
  const dti_question question = {
      .from = &from,
      .to = &to,
      .same_mesh = 1,
      .element = ELEMENT,
      .machine = machine,
      .topology = {.ranks_per_node = told > 0 ? told : RANKS_PER_NODE, .shared_memory = 1}};
  const double begin = now();
  if (status == DTENSOR_OK) status = dti_route_candidates(&question, candidates);
  const dti_candidate *best = &candidates->list[0];
  kept k = {0};
  if (status == DTENSOR_OK) status = keep(&from, &best->route, &k);
  const double end = now();
  if (status != DTENSOR_OK) return status;
  printf("%-15s %5" PRId64 "x%-5" PRId64 " %-12s %5d %9" PRId64 " %12.3f %12.3f %12.1f %10" PRId64
         " %10.2f %11.1f\n",
         t->name, side, side, engine_names[best->engine], best->route.steps, best->cost.messages,
         (double)best->cost.bytes_received / 1e6, (double)best->cost.workspace / 1e6,
         best->cost.seconds * 1e6, k.peers, (end - begin) * 1e3, (double)k.bytes / 1024);
  return DTENSOR_OK;
}

/* Of square matrices that grow with the mesh, both blocked over it as is the product. */
static dtensor_status print_matmul(const dtensor_machine *machine, int64_t side) {
  const int64_t n = 2048 * side, shape[] = {n, n};
  dti_layout blocked;
  dtensor_status status = layout_of(shape, side, "S0,S1", &blocked);
  if (status != DTENSOR_OK) return status;
  const dti_matmul_problem problem = {
      .a = &blocked,
      .b = &blocked,
      .c = &blocked,
      .element = ELEMENT,
      .speed = {machine->latency + machine->overhead, machine->byte, 2 / machine->flops}};
  dti_matmul_plan plan;
  const double begin = now();
  status = dti_matmul_plan_make(&problem, &plan, NULL, NULL);
  const double end = now();
  if (status != DTENSOR_OK) return status;
  char splits[32];
  int64_t grid[3];
  const double mb = 1e-6 * ELEMENT,
               received = plan.received[0] + plan.received[1] + plan.received[2];
  printf("%8" PRId64 "^3 %5" PRId64 "x%-5" PRId64
         " %-6s %12.3f %12.3f %12.3f %12.3f %12.3f %12.3f %10.2f\n",
         n, side, side, dti_matmul_splits_text(plan.split, 2, splits, sizeof splits),
         received / 1e6, mb * dti_matmul_grid(n, n, n, side * side, grid),
         mb * dti_matmul_bound(n, n, n, side * side), plan.workspace / 1e6, plan.compute * 1e3,
         plan.communication * 1e3, (end - begin) * 1e3);
  return DTENSOR_OK;
}

int main(int argc, char **argv) {
  dtensor_machine machine = dtensor_machine_default();
  dtensor_status status = argc > 1 ? dti_machine_load(argv[1], &machine) : DTENSOR_OK;
  dti_candidates *candidates = malloc(sizeof *candidates);
  if (status == DTENSOR_OK && candidates) {
    printf("%-15s %11s %-12s %5s %9s %12s %12s %12s %10s %10s %11s\n", "", "mesh", "engine",
           "steps", "messages", "MB received", "MB workspace", "us predicted", "peers",
           "ms to plan", "KiB of plan");
    for (int t = 0; t < TRANSITIONS && status == DTENSOR_OK; t++)
      for (int i = 0; i < SIDES && status == DTENSOR_OK; i++)
        status = print_row(&machine, sides[i], &transitions[t], candidates);
  }
  if (status == DTENSOR_OK) {
    printf("\n%-10s %11s %-6s %12s %12s %12s %12s %12s %12s %10s\n", "matmul", "mesh", "splits",
           "MB received", "best grid", "least", "MB workspace", "ms compute", "ms messages",
           "ms to plan");
    for (int i = 0; i < SIDES && status == DTENSOR_OK; i++)
      status = print_matmul(&machine, sides[i]);
  }
  if (status != DTENSOR_OK) fprintf(stderr, "%s\n", dtensor_last_error());
  const int ok = status == DTENSOR_OK && candidates;
  free(candidates);
  return ok ? 0 : 1;
}
