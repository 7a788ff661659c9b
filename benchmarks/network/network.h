/* Benchmarks on nodes that a slow wire joins: of communication behind compute, of plans. */
#ifndef DTENSOR_BENCHMARKS_NETWORK_NETWORK_H_
#define DTENSOR_BENCHMARKS_NETWORK_NETWORK_H_

#include <dtensor/dtensor.h>
#include <mpi.h>
#include <stdint.h>
#include <stdio.h>

#include "benchmarks/measure.h"

typedef struct network {
  MPI_Comm comm;
  int rank, ranks, threads;
  int quick;          /* a trial run: small, each body once, nothing has a goal */
  dtensor_mesh *mesh; /* of all ranks, one dimension */
  FILE *csv;          /* rank 0 only, may be NULL */
  int failed, missed; /* wrong results, and goals */
  double wire;        /* bytes per second that a rank receives while it sends as many */
  double flops;       /* per second of one rank's dgemm while all ranks compute */
  double toll;        /* seconds that computing ranks lose to each second of traffic on the wires */
} network;

/* ---- report.c ---- */

typedef bench_row network_row;

void network_print_header(const network *w);
void network_print(network *w, const network_row *row);

/* Stop if status is a failure: a benchmark of a failing call means nothing. */
void network_ok(const network *w, dtensor_status status, const char *what);

/* Count a wrong result, on every rank if on one. */
void network_check(network *w, int right, const char *what);

/* Something to be timed; seconds is the result. */
typedef struct network_body {
  void (*run)(void *ctx);
  void *ctx;
  double seconds;
} network_body;

/* Time several bodies in turn, so that all of them see the same machine: medians of `repeats`
 * rounds, each the slowest rank's, after one round that does not count. */
void network_time(const network *w, int repeats, network_body body[], int n);

/* ---- compute.c ---- */

/* A user's computation: tiles of dgemm, about half a millisecond each. `poll` is called between
 * them and may be NULL. */
void network_compute(int64_t tiles, void (*poll)(void *ctx), void *ctx);

/* How many tiles take that long while all ranks compute. */
int64_t network_tiles(const network *w, double seconds);

/* Measure w->flops and choose the tile. */
void network_measure_compute(network *w);

/* ---- traffic.c ---- */

/* Measure w->toll. After w->wire is known. */
void network_measure_traffic(network *w);

/* The least time for what takes so long alone: no program is spared the toll. */
double network_floor(const network *w, double communication, double computation);

/* ---- the groups ---- */

void network_wire(network *w); /* first: measures w->wire */
void network_overlap(network *w);
void network_matmul(network *w);
void network_matmul_by_node(network *w); /* what ranks of a node need comes once to it */
void network_engines(network *w);

#endif
