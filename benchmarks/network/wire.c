/* The wire itself, by raw MPI. */
#include <stdlib.h>
#include <string.h>

#include "benchmarks/network/network.h"

typedef struct message {
  const network *w;
  char *out, *in;
  size_t bytes;
  int turns;
} message;

/* Ranks 0 and 1; the others wait. */
static void ping_pong(void *ctx) {
  const message *m = ctx;
  const int bytes = (int)m->bytes, rank = m->w->rank;
  for (int i = 0; i < m->turns && rank < 2; i++) {
    if (rank == 0) MPI_Send(m->out, bytes, MPI_BYTE, 1, 0, m->w->comm);
    MPI_Recv(m->in, bytes, MPI_BYTE, 1 - rank, 0, m->w->comm, MPI_STATUS_IGNORE);
    if (rank == 1) MPI_Send(m->in, bytes, MPI_BYTE, 0, 0, m->w->comm);
  }
}

static void ring(void *ctx) {
  const message *m = ctx;
  const int ranks = m->w->ranks, right = (m->w->rank + 1) % ranks,
            left = (m->w->rank + ranks - 1) % ranks;
  MPI_Sendrecv(m->out, (int)m->bytes, MPI_BYTE, right, 0, m->in, (int)m->bytes, MPI_BYTE, left, 0,
               m->w->comm, MPI_STATUS_IGNORE);
}

static int arrived(const message *m) {
  for (size_t i = 0; i < m->bytes; i++)
    if (m->in[i] != (char)i) return 0;
  return 1;
}

void network_wire(network *w) {
  const size_t big = (size_t)(w->quick ? 1 : 8) << 20;
  message m = {.w = w, .out = malloc(big), .in = malloc(big), .bytes = 8, .turns = 100};
  for (size_t i = 0; i < big; i++) m.out[i] = (char)i;
  memset(m.in, 0, big);

  network_body body = {.run = ping_pong, .ctx = &m};
  network_time(w, 9, &body, 1);
  network_print(
      w, &(network_row){
             .op = "MPI ping-pong", .shape = "8 B", .seconds = body.seconds / (2 * m.turns)});
  m.bytes = big;
  m.turns = 1;
  network_time(w, 5, &body, 1);
  network_print(w, &(network_row){.op = "MPI ping-pong",
                                  .shape = w->quick ? "1 MiB" : "8 MiB",
                                  .seconds = body.seconds / 2,
                                  .rate = 8e-6 * (double)big / (body.seconds / 2),
                                  .unit = "Mbit/s"});
  memset(m.in, 0, big);
  body = (network_body){.run = ring, .ctx = &m};
  network_time(w, 7, &body, 1);
  network_check(w, arrived(&m), "ring exchange");
  w->wire = (double)big / body.seconds;
  network_print(w, &(network_row){.op = "MPI ring exchange",
                                  .shape = w->quick ? "1 MiB" : "8 MiB",
                                  .seconds = body.seconds,
                                  .rate = 8e-6 * w->wire,
                                  .unit = "Mbit/s"});
  free(m.out);
  free(m.in);
}
