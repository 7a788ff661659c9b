#include "benchmarks/network/by_hand.h"

#include <string.h>

static void receive(by_hand *h, double *to, int64_t count, int peer) {
  MPI_Irecv(to, (int)count, MPI_DOUBLE, peer, 0, h->comm, &h->request[h->requests++]);
}

static void send(by_hand *h, const double *from, int64_t count, int peer) {
  MPI_Isend(from, (int)count, MPI_DOUBLE, peer, 0, h->comm, &h->request[h->requests++]);
}

/* The i-th peer: every rank begins with its neighbour, so that none is asked by all at once. */
static int peer_at(const by_hand *h, int i) { return (h->rank + i) % h->ranks; }

/* Sends are started before receives, against the textbook: over TCP, Open MPI would otherwise clear
 * the peer to send before it announces its own message, whose clearance then waits behind all of
 * the peer's data: the two directions would take turns. */

/* out holds all rows; those of this rank are there. */
static void start_gather(by_hand *h, const double *mine) {
  const int64_t count = h->n * h->n / h->ranks;
  for (int i = 1; i < h->ranks; i++) send(h, mine, count, peer_at(h, i));
  for (int i = 1; i < h->ranks; i++) {
    const int from = peer_at(h, h->ranks - i);
    receive(h, h->out + from * count, count, from);
  }
}

/* Columns of peer q go to q, packed; they arrive as rows. */
static void start_rows_to_columns(by_hand *h) {
  const int64_t n = h->n, width = n / h->ranks, block = width * width;
  for (int i = 1; i <= h->ranks; i++) { /* this rank itself last, while the others' travel */
    const int q = peer_at(h, i);
    double *packed = q == h->rank ? h->out + q * block : h->staging + q * block;
    for (int64_t row = 0; row < width; row++)
      memcpy(packed + row * width, h->in + row * n + q * width, (size_t)width * sizeof *packed);
    if (q != h->rank) send(h, packed, block, q);
  }
  for (int i = 1; i < h->ranks; i++) {
    const int from = peer_at(h, h->ranks - i);
    receive(h, h->out + from * block, block, from);
  }
}

/* This rank's part of the sum, in place of its own contribution. */
static double *sum_of(const by_hand *h) {
  return h->kind == P_TO_R ? h->out + h->rank * (h->n * h->n / h->ranks) : h->out;
}

static void start_reduce(by_hand *h) {
  const int64_t count = h->n * h->n / h->ranks;
  for (int i = 1; i < h->ranks; i++) send(h, h->in + peer_at(h, i) * count, count, peer_at(h, i));
  for (int i = 1; i < h->ranks; i++) {
    const int from = peer_at(h, h->ranks - i);
    receive(h, h->staging + from * count, count, from);
  }
  memcpy(sum_of(h), h->in + h->rank * count, (size_t)count * sizeof *h->in);
}

static void add_contributions(by_hand *h) {
  const int64_t count = h->n * h->n / h->ranks;
  double *sum = sum_of(h);
  for (int r = 0; r < h->ranks; r++)
    if (r != h->rank)
      for (int64_t i = 0; i < count; i++) sum[i] += h->staging[r * count + i];
}

void by_hand_start(by_hand *h) {
  const int64_t count = h->n * h->n / h->ranks;
  h->requests = h->gathers = h->done = 0;
  switch (h->kind) {
    case S0_TO_R:
      start_gather(h, h->in);
      memcpy(h->out + h->rank * count, h->in, (size_t)count * sizeof *h->in);
      break;
    case S0_TO_S1:
      start_rows_to_columns(h);
      break;
    case P_TO_S0:
    case P_TO_R:
      start_reduce(h);
      break;
  }
}

static void arrived(by_hand *h) {
  h->requests = 0;
  h->done = 1;
  if (h->gathers || (h->kind != P_TO_S0 && h->kind != P_TO_R)) return;
  add_contributions(h);
  if (h->kind == P_TO_S0) return;
  h->gathers = 1;
  h->done = 0;
  start_gather(h, sum_of(h));
}

void by_hand_test(by_hand *h) {
  int flag;
  if (h->done) return;
  MPI_Testall(h->requests, h->request, &flag, MPI_STATUSES_IGNORE);
  if (flag) arrived(h);
}

void by_hand_wait(by_hand *h) {
  while (!h->done) {
    MPI_Waitall(h->requests, h->request, MPI_STATUSES_IGNORE);
    arrived(h);
  }
}
