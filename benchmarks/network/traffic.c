/* What the network itself costs the cores: here its wires are copies and interrupts of the kernel,
 * which a real adapter would do. So the same bytes go from rank to rank through bare sockets, by as
 * few system calls as can be, while the ranks compute. */
#define _DEFAULT_SOURCE /* IFF_LOOPBACK */
#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <math.h>
#include <net/if.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "benchmarks/network/network.h"

enum {
  CHUNK = 512 << 10, /* bytes of a system call at most */
  TILES = 8          /* of dgemm from one to the next: the kernel has room for so much */
};

typedef struct traffic {
  const network *w;
  int to, from; /* sockets: of the next rank, and of the one before */
  int64_t tiles, bytes;
  int64_t to_send, to_receive, polls;
  char *out, *in; /* CHUNK each */
} traffic;

static void stop(const network *w, const char *what) {
  perror(what);
  MPI_Abort(w->comm, 1);
}

/* ---- a ring of connections */

/* The node's address on the network. */
static struct in_addr address_here(const network *w) {
  struct in_addr address = {0};
  struct ifaddrs *all;
  if (getifaddrs(&all)) stop(w, "getifaddrs");
  for (const struct ifaddrs *i = all; i; i = i->ifa_next)
    if (i->ifa_addr && i->ifa_addr->sa_family == AF_INET && !(i->ifa_flags & IFF_LOOPBACK))
      address = ((struct sockaddr_in *)i->ifa_addr)->sin_addr;
  freeifaddrs(all);
  return address;
}

static void connect_ring(traffic *t) {
  const network *w = t->w;
  const int next = (w->rank + 1) % w->ranks, before = (w->rank + w->ranks - 1) % w->ranks;
  struct sockaddr_in here = {.sin_family = AF_INET}, there;
  socklen_t size = sizeof here;
  const int listener = socket(AF_INET, SOCK_STREAM, 0);
  if (listener < 0 || bind(listener, (struct sockaddr *)&here, size) || listen(listener, 1) ||
      getsockname(listener, (struct sockaddr *)&here, &size))
    stop(w, "listen");
  here.sin_addr = address_here(w);
  MPI_Sendrecv(&here, sizeof here, MPI_BYTE, before, 0, &there, sizeof there, MPI_BYTE, next, 0,
               w->comm, MPI_STATUS_IGNORE);
  t->to = socket(AF_INET, SOCK_STREAM, 0);
  if (t->to < 0 || connect(t->to, (struct sockaddr *)&there, sizeof there)) stop(w, "connect");
  t->from = accept(listener, NULL, NULL);
  if (t->from < 0) stop(w, "accept");
  close(listener);
}

/* ---- bytes on their way */

/* What a call has moved of what is left. */
static void count(const traffic *t, ssize_t moved, int64_t *left) {
  if (moved > 0)
    *left -= moved;
  else if (moved == 0 || (errno != EAGAIN && errno != EWOULDBLOCK))
    stop(t->w, "traffic");
}

static size_t at_once(int64_t left) { return left < CHUNK ? (size_t)left : CHUNK; }

static void help(void *ctx) {
  traffic *t = ctx;
  if (t->to_send > 0) count(t, send(t->to, t->out, at_once(t->to_send), MSG_DONTWAIT), &t->to_send);
  if (t->to_receive > 0)
    count(t, recv(t->from, t->in, at_once(t->to_receive), MSG_DONTWAIT), &t->to_receive);
}

static void poll_sometimes(void *ctx) {
  traffic *t = ctx;
  if (t->polls++ % TILES == 0) help(t);
}

static void start(traffic *t) {
  t->to_send = t->to_receive = t->bytes;
  t->polls = 0;
}

static void finish(traffic *t) {
  while (t->to_send > 0 || t->to_receive > 0) {
    struct pollfd ready[] = {{t->to_send > 0 ? t->to : -1, POLLOUT, 0},
                             {t->to_receive > 0 ? t->from : -1, POLLIN, 0}};
    if (poll(ready, 2, -1) < 0) stop(t->w, "poll");
    help(t);
  }
}

static void compute(void *ctx) { network_compute(((traffic *)ctx)->tiles, NULL, NULL); }

static void communicate(void *ctx) {
  start(ctx);
  finish(ctx);
}

static void overlap(void *ctx) {
  traffic *t = ctx;
  start(t);
  network_compute(t->tiles, poll_sometimes, t);
  finish(t);
}

enum { ROUNDS = 15 };

/* Of compute and of compute beside traffic, one after the other, so that neither has a faster
 * machine: seconds of the first, and by what part of them the second takes longer. Medians. */
static void measure_loss(traffic *t, double *seconds, double *lost) {
  double alone[ROUNDS], more[ROUNDS];
  const int rounds = t->w->quick ? 1 : ROUNDS;
  for (int i = 0; i < rounds; i++) {
    alone[i] = measure_slowest(t->w->comm, compute, t, 1);
    more[i] = measure_slowest(t->w->comm, overlap, t, 1) / alone[i] - 1;
  }
  *seconds = measure_median(alone, rounds);
  *lost = measure_median(more, rounds);
}

void network_measure_traffic(network *w) {
  traffic t = {.w = w, .out = calloc(2, CHUNK)};
  t.in = t.out + CHUNK;
  connect_ring(&t);
  t.bytes = (int64_t)(w->wire * (w->quick ? 0.01 : 0.25));
  network_body body = {.run = communicate, .ctx = &t};
  network_time(w, 5, &body, 1);
  t.tiles = network_tiles(w, body.seconds);
  const double alone = body.seconds;
  double computing, lost;
  measure_loss(&t, &computing, &lost);
  w->toll = fmax(lost, 0) * computing / alone;

  char shape[32];
  snprintf(shape, sizeof shape, "%.0f MB per rank", 1e-6 * (double)t.bytes);
  network_row row = {.op = "bare sockets alone",
                     .shape = shape,
                     .seconds = alone,
                     .rate = 8e-6 * (double)t.bytes / alone,
                     .unit = "Mbit/s"};
  network_print(w, &row);
  snprintf(shape, sizeof shape, "%lld tiles of dgemm", (long long)t.tiles);
  network_print(w, &(network_row){.op = "compute alone", .shape = shape, .seconds = computing});
  row = (network_row){.op = "overlapped", .shape = shape, .layouts = "bare sockets"};
  row.seconds = computing * (1 + lost);
  row.what = "time / longest";
  row.value = row.seconds / fmax(alone, computing);
  network_print(w, &row);
  close(t.to);
  close(t.from);
  free(t.out);
}

double network_floor(const network *w, double communication, double computation) {
  return fmax(communication, computation + w->toll * communication);
}
