/* The most memory that a rank holds in one redistribution: source, target, and the bytes in flight
 * (what it sends and receives) at most; and in distribute_tensor on ranks that are not the source.
 */
#include <stdio.h>
#include <stdlib.h>

#include "benchmarks/bench.h"

static double worst_over_ranks(const bench *b, double value) {
  MPI_Allreduce(MPI_IN_PLACE, &value, 1, MPI_DOUBLE, MPI_MAX, b->comm);
  return value;
}

static double local_bytes(const dtensor *x) {
  return (double)dtensor_local_size(x, -1) * (double)sizeof(double);
}

static double peak_bytes(void) {
  dtensor_memory_info info;
  dtensor_memory_stats(&info);
  return (double)info.peak;
}

static double bytes_in_flight(void) {
  dtensor_comm_counts counts;
  dtensor_comm_stats(&counts);
  return (double)(counts.bytes_received + counts.bytes_sent);
}

static void one_move(bench *b, int64_t n, const char *from, const char *to) {
  dtensor_placement p, q;
  dtensor *x, *y;
  const int64_t shape[] = {n, n};
  bench_ok(b, dtensor_placements_parse(from, 1, &p), from);
  bench_ok(b, dtensor_placements_parse(to, 1, &q), to);
  bench_ok(b, dtensor_arange(b->mesh, DTENSOR_F64, 2, shape, &p, &x), "arange");
  dtensor_comm_stats_reset();
  dtensor_memory_reset_peak();
  bench_ok(b, dtensor_redistribute(x, &q, NULL, &y), "redistribute");
  const double allowed = local_bytes(x) + local_bytes(y) + bytes_in_flight();

  char layouts[40], text[40];
  snprintf(layouts, sizeof layouts, "%s -> %s", from, to);
  snprintf(text, sizeof text, "%lld^2 f64", (long long)n);
  bench_row row = {.op = "peak memory", .shape = text, .layouts = layouts, .goal = 1};
  row.what = "peak / (source + target + in flight)";
  row.value = worst_over_ranks(b, peak_bytes() / allowed);
  bench_print(b, &row);
  dtensor_destroy(&x);
  dtensor_destroy(&y);
}

static void distribute(bench *b, int64_t n, const char *to) {
  dtensor_placement q;
  dtensor *y;
  const int64_t shape[] = {n, n};
  double *global = b->rank == 0 ? calloc((size_t)(n * n), sizeof *global) : NULL;
  bench_ok(b, dtensor_placements_parse(to, 1, &q), to);
  dtensor_memory_reset_peak();
  bench_ok(b, dtensor_distribute_tensor(b->mesh, DTENSOR_F64, 2, shape, global, 0, &q, &y),
           "distribute_tensor");
  const double full = (double)(n * n) * (double)sizeof(double);

  char text[40];
  snprintf(text, sizeof text, "%lld^2 f64", (long long)n);
  bench_row row = {.op = "distribute", .shape = text, .layouts = to};
  row.what = "peak / full copy, ranks beside the source";
  row.value = worst_over_ranks(b, b->rank == 0 ? 0 : peak_bytes() / full);
  /* Its part, and while it arrives no more than that again. */
  row.goal = 2.0 / b->ranks;
  bench_print(b, &row);
  dtensor_destroy(&y);
  free(global);
}

void bench_memory(bench *b) {
  static const char *const pairs[][2] = {
      {"S(0)", "S(1)"},   {"S(1)", "S(0)"}, {"S(0)", "R"}, {"S(1)", "R"},        {"P(sum)", "S(0)"},
      {"P(sum)", "S(1)"}, {"P(sum)", "R"},  {"R", "S(0)"}, {"SC(0,32)", "SB(1)"}};
  for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++)
    one_move(b, 1000, pairs[i][0], pairs[i][1]);
  distribute(b, 1024, "S(0)");
  distribute(b, 1024, "S(1)");
}
