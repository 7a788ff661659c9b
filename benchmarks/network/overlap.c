/* A redistribution behind a user's own computation, which takes as long as the communication. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "benchmarks/network/by_hand.h"
#include "benchmarks/network/network.h"

typedef struct move {
  const network *w;
  dtensor *x;
  dtensor_placement to;
  dtensor_request *request;
  by_hand hand;
  int64_t tiles;
} move;

static void communicate(void *ctx) {
  move *m = ctx;
  dtensor *y;
  network_ok(m->w, dtensor_redistribute(m->x, &m->to, NULL, &y), "redistribute");
  dtensor_destroy(&y);
}

static void compute(void *ctx) { network_compute(((move *)ctx)->tiles, NULL, NULL); }

static void test(void *ctx) {
  move *m = ctx;
  int done;
  network_ok(m->w, dtensor_request_test(m->request, &done), "test");
}

static void overlap(void *ctx) {
  move *m = ctx;
  dtensor *y;
  network_ok(m->w, dtensor_redistribute_begin(m->x, &m->to, NULL, &m->request), "begin");
  network_compute(m->tiles, test, m);
  network_ok(m->w, dtensor_request_wait(&m->request, &y), "wait");
  dtensor_destroy(&y);
}

static void communicate_then_compute(void *ctx) {
  communicate(ctx);
  compute(ctx);
}

static void communicate_by_hand(void *ctx) {
  move *m = ctx;
  by_hand_start(&m->hand);
  by_hand_wait(&m->hand);
}

static void test_by_hand(void *ctx) { by_hand_test(&((move *)ctx)->hand); }

static void overlap_by_hand(void *ctx) {
  move *m = ctx;
  by_hand_start(&m->hand);
  network_compute(m->tiles, test_by_hand, m);
  by_hand_wait(&m->hand);
}

static double received_bytes(move *m) {
  dtensor_comm_counts counts;
  dtensor_comm_stats_reset();
  communicate(m);
  dtensor_comm_stats(&counts);
  double bytes = (double)counts.bytes_received;
  MPI_Allreduce(MPI_IN_PLACE, &bytes, 1, MPI_DOUBLE, MPI_SUM, m->w->comm);
  return bytes;
}

/* The global values are 0, 1, 2, ...: look at every element of the local part. */
static int is_right(const move *m, const double *part) {
  const int64_t n = m->hand.n, ranks = m->w->ranks, r = m->w->rank;
  const int rows_only = m->hand.kind == P_TO_S0, columns_only = m->hand.kind == S0_TO_S1;
  const int64_t rows = rows_only ? n / ranks : n, columns = columns_only ? n / ranks : n;
  for (int64_t i = 0; i < rows; i++)
    for (int64_t j = 0; j < columns; j++) {
      const int64_t row = i + rows_only * r * rows, column = j + columns_only * r * columns;
      if (part[i * columns + j] != (double)(row * n + column)) return 0;
    }
  return 1;
}

static void check(network *w, move *m, size_t out_bytes) {
  dtensor *y;
  network_ok(w, dtensor_redistribute_begin(m->x, &m->to, NULL, &m->request), "begin");
  network_compute(m->tiles, test, m);
  network_ok(w, dtensor_request_wait(&m->request, &y), "wait");
  network_check(w, is_right(m, dtensor_local_data(y)), "redistribute");
  dtensor_destroy(&y);
  memset(m->hand.out, 0xff, out_bytes);
  overlap_by_hand(m);
  network_check(w, is_right(m, m->hand.out), "MPI by hand");
}

static const struct {
  by_hand_kind kind;
  const char *from, *to;
} transitions[] = {{S0_TO_R, "S(0)", "R"},
                   {S0_TO_S1, "S(0)", "S(1)"},
                   {P_TO_S0, "P(sum)", "S(0)"},
                   {P_TO_R, "P(sum)", "R"}};

/* Received by all ranks, in matrices. */
static double least_matrices(by_hand_kind kind, double ranks) {
  switch (kind) {
    case S0_TO_S1:
      return (ranks - 1) / ranks;
    case P_TO_R:
      return 2 * (ranks - 1);
    default:
      return ranks - 1;
  }
}

enum { COMMUNICATION, COMPUTE, OVERLAP, SEQUENTIAL, HAND_ALONE, HAND_OVERLAP, BODIES };

static void report(network *w, move *m, const network_body body[], network_row row) {
  const double bytes = row.bytes, least = row.least;
  const double longest = fmax(body[COMMUNICATION].seconds, body[COMPUTE].seconds);
  row.op = "communication alone";
  row.seconds = body[COMMUNICATION].seconds;
  row.rate = 8e-6 * least / w->ranks / row.seconds;
  row.unit = "Mbit/s";
  row.peer = "MPI by hand";
  row.peer_seconds = body[HAND_ALONE].seconds;
  network_print(w, &row);

  char shape[32];
  snprintf(shape, sizeof shape, "%lld tiles of dgemm", (long long)m->tiles);
  network_print(
      w, &(network_row){.op = "compute alone", .shape = shape, .seconds = body[COMPUTE].seconds});
  row.op = "overlapped";
  row.unit = NULL;
  row.rate = 0;
  row.seconds = body[OVERLAP].seconds;
  row.peer_seconds = body[HAND_OVERLAP].seconds;
  row.what = "time / longest";
  row.value = row.seconds / longest;
  row.goal = 1.08;
  row.floor = network_floor(w, body[COMMUNICATION].seconds, body[COMPUTE].seconds) / longest;
  row.bytes = bytes;
  network_print(w, &row);

  row.op = "one after the other";
  row.peer = "overlapped";
  row.peer_seconds = row.seconds;
  row.seconds = body[SEQUENTIAL].seconds;
  row.what = "overlapped / this";
  row.value = row.peer_seconds / row.seconds;
  row.goal = 1 / 1.5;
  row.floor = 0;
  network_print(w, &row);
}

static void one_transition(network *w, int64_t n, size_t which) {
  const size_t bytes = (size_t)(n * n) * sizeof(double);
  move m = {.w = w};
  m.hand = (by_hand){.comm = w->comm,
                     .rank = w->rank,
                     .ranks = w->ranks,
                     .kind = transitions[which].kind,
                     .n = n,
                     .out = malloc(bytes),
                     .staging = malloc(bytes),
                     .request = malloc(2 * (size_t)w->ranks * sizeof(MPI_Request))};
  const int64_t shape[] = {n, n};
  dtensor_placement from;
  network_ok(w, dtensor_placements_parse(transitions[which].from, 1, &from), "from");
  network_ok(w, dtensor_placements_parse(transitions[which].to, 1, &m.to), "to");
  network_ok(w, dtensor_arange(w->mesh, DTENSOR_F64, 2, shape, &from, &m.x), "arange");
  m.hand.in = dtensor_local_data(m.x);

  network_body alone = {.run = communicate, .ctx = &m};
  network_time(w, 3, &alone, 1);
  m.tiles = network_tiles(w, alone.seconds);
  check(w, &m, bytes);

  network_body body[BODIES] = {[COMMUNICATION] = {.run = communicate, .ctx = &m},
                               [COMPUTE] = {.run = compute, .ctx = &m},
                               [OVERLAP] = {.run = overlap, .ctx = &m},
                               [SEQUENTIAL] = {.run = communicate_then_compute, .ctx = &m},
                               [HAND_ALONE] = {.run = communicate_by_hand, .ctx = &m},
                               [HAND_OVERLAP] = {.run = overlap_by_hand, .ctx = &m}};
  network_time(w, 5, body, BODIES);

  char layouts[40], text[64];
  snprintf(layouts, sizeof layouts, "%s -> %s", transitions[which].from, transitions[which].to);
  snprintf(text, sizeof text, "%lld^2 f64 (%zu MiB)", (long long)n, bytes >> 20);
  report(w, &m, body,
         (network_row){.shape = text,
                       .layouts = layouts,
                       .bytes = received_bytes(&m),
                       .least = least_matrices(m.hand.kind, w->ranks) * (double)bytes});
  dtensor_destroy(&m.x);
  free(m.hand.out);
  free(m.hand.staging);
  free(m.hand.request);
}

void network_overlap(network *w) {
  /* A matrix takes the wire a third of a second, but at most 256 MiB. */
  const double elements = fmin(w->wire / 3 / sizeof(double), 1 << 25);
  const int64_t n = w->ranks * (int64_t)(sqrt(elements) / w->ranks);
  for (size_t i = 0; i < sizeof transitions / sizeof transitions[0]; i++) {
    if (w->quick) {
      one_transition(w, 12 * w->ranks, i);
      continue;
    }
    one_transition(w, n, i);
    /* Of four times as much, the transition that moves least, or this would take minutes. */
    if (transitions[i].kind == S0_TO_S1) one_transition(w, 2 * n, i);
  }
}
