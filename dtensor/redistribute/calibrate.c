/* Measuring a machine: messages between two ranks that stand for all, memory on all of them at
 * once.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "dtensor/base/alloc.h"
#include "dtensor/base/event.h"
#include "dtensor/base/fail.h"
#include "dtensor/comm/node.h"
#include "dtensor/kernels/gemm.h"
#include "dtensor/kernels/strided.h"
#include "dtensor/mesh/machine.h"
#include "dtensor/plan.h"
#include "dtensor/spec/machine.h"

enum {
  SMALL_REPEATS = 200, /* of messages of no bytes, of meetings */
  LARGE_REPEATS = 6,   /* of large messages */
  LARGE = 1 << 20,     /* their bytes: well above any switch of protocols */
  MEMORY_REPEATS = 4,  /* of memory kernels */
  WINDOW = 32,         /* messages in flight at once, for the overhead */
  GEMM = 256,          /* rows and columns */
};
/* Of an array: more than most caches hold. */
static const size_t memory_bytes = (size_t)16 << 20;

typedef struct bench {
  dti_comm *root;
  int threads;
  int rank, peer; /* the other one of the pair; -1: this rank looks on */
  char *a, *b;    /* memory_bytes each */
  dti_batch *batch;
} bench;

/* Those of a pair, there and back: three ping-pongs, and streams with a word from the other side
 * after each. */
enum { MESSAGES = 2 * SMALL_REPEATS + 4 * LARGE_REPEATS + LARGE_REPEATS * (WINDOW + 1) };

/* Room for the messages of both pairs. */
static dtensor_status make_batch(dti_comm *root, dti_batch **batch) {
  size_t bytes[2 * MESSAGES] = {0};
  for (int pair = 0; pair < 2; pair++)
    for (int i = 0; i < 4 * LARGE_REPEATS; i++)
      bytes[pair * MESSAGES + 2 * SMALL_REPEATS + i] =
          (size_t)(i / (2 * LARGE_REPEATS) + 1) * LARGE;
  return dti_batch_create(root, 2 * MESSAGES, bytes, batch);
}

static dtensor_status start_message(const bench *b, int send, size_t bytes, int tag) {
  return send ? dti_batch_send(b->batch, b->a, bytes, b->peer, tag)
              : dti_batch_recv(b->batch, b->b, bytes, b->peer, tag);
}

/* A failure is found in the end: until then the messages go on, as the other one waits for them. */
static dtensor_status message(const bench *b, int send, size_t bytes, int tag) {
  DTI_TRY(start_message(b, send, bytes, tag));
  (void)dti_batch_wait(b->batch);
  return DTENSOR_OK;
}

/* Half of the shortest time there and back. */
static dtensor_status ping_pong(const bench *b, size_t bytes, int repeats, int tag,
                                double *seconds) {
  *seconds = INFINITY;
  const int first = b->rank < b->peer;
  for (int i = 0; i < repeats; i++) {
    const double begin = dti_event_clock();
    DTI_TRY(message(b, first, bytes, tag));
    DTI_TRY(message(b, !first, bytes, tag));
    *seconds = fmin(*seconds, (dti_event_clock() - begin) / 2);
  }
  return DTENSOR_OK;
}

/* One of many messages that follow each other without waiting. */
static dtensor_status message_stream(const bench *b, int tag, double *seconds) {
  *seconds = INFINITY;
  const int first = b->rank < b->peer;
  for (int i = 0; i < LARGE_REPEATS; i++) {
    const double begin = dti_event_clock();
    for (int k = 0; k < WINDOW; k++) DTI_TRY(start_message(b, first, 0, tag));
    (void)dti_batch_wait(b->batch);
    const double end = dti_event_clock();
    DTI_TRY(message(b, !first, 0, tag)); /* the sender does not run ahead */
    *seconds = fmin(*seconds, (end - begin) / WINDOW);
  }
  return DTENSOR_OK;
}

/* A byte is priced by what a second mebibyte takes: the first one pays for handshakes, and what
 * comes first may find buffers on its way that are empty.
 *
 * Between rank 0 and the first rank for which `far` is whether it lives on another node. All ranks
 * call; those that are not of the pair wait in the collective that follows. What fails is this
 * rank's alone. */
static dtensor_status measure_messages(bench *b, int far, dtensor_machine *machine) {
  int partner = 0;
  for (int rank = 1; rank < dti_comm_size(b->root) && partner == 0; rank++)
    if (far == (dti_comm_node_of(b->root, rank) != dti_comm_node_of(b->root, 0))) partner = rank;
  const int tag = dti_comm_next_tag(b->root);
  if (partner == 0) return DTENSOR_OK;
  b->peer = b->rank == 0 ? partner : b->rank == partner ? 0 : -1;
  if (b->peer < 0) return DTENSOR_OK;
  double empty = 0, large = 0, twice = 0, stream = 0;
  DTI_TRY(ping_pong(b, 0, SMALL_REPEATS, tag, &empty));
  DTI_TRY(ping_pong(b, LARGE, LARGE_REPEATS, tag, &large));
  DTI_TRY(ping_pong(b, 2 * LARGE, LARGE_REPEATS, tag, &twice));
  DTI_TRY(message_stream(b, tag, &stream));
  DTI_TRY(dti_batch_failure(b->batch));
  if (b->rank != 0) return DTENSOR_OK; /* rank 0's figures are taken */
  const double overhead = fmin(stream, empty / 2);
  const double latency = fmax(empty - 2 * overhead, 0), byte = fmax(twice - large, 0) / LARGE;
  machine->overhead = overhead;
  *(far ? &machine->latency : &machine->node_latency) = latency;
  *(far ? &machine->byte : &machine->node_byte) = byte;
  return DTENSOR_OK;
}

static dtensor_status wait_for(const dti_node *node, uint64_t meeting,
                               int (*has)(const dti_node *, uint64_t, int)) {
  for (int member = 0; member < dti_node_size(node); member++)
    for (int64_t round = 1; !has(node, meeting, member); round++) {
      dti_comm_relax(round);
      if (round % 256 == 0) DTI_TRY(dti_node_check(node, member));
    }
  return DTENSOR_OK;
}

/* The ranks of a node wait for each other. */
static dtensor_status measure_meeting(const bench *b, dtensor_machine *machine) {
  dti_node *node;
  DTI_TRY(dti_comm_node(b->root, &node));
  if (!node) return DTENSOR_OK;
  double best = INFINITY;
  for (int i = 0; i < SMALL_REPEATS; i++) {
    const double begin = dti_event_clock();
    const uint64_t meeting = dti_node_next_meeting(node);
    for (int64_t round = 1; !dti_node_can_post(node, meeting); round++) dti_comm_relax(round);
    dti_node_post(node, meeting);
    const dtensor_status status = wait_for(node, meeting, dti_node_has_posted);
    dti_node_leave(node, meeting);
    DTI_TRY(status);
    best = fmin(best, dti_event_clock() - begin);
  }
  machine->meeting = best;
  return DTENSOR_OK;
}

static double smallest(double a, double b) { return a < b ? a : b; }

/* Everything that is done to memory, on all ranks at once. */
static void measure_memory(const bench *b, dtensor_machine *machine) {
  const int64_t n = (int64_t)(memory_bytes / sizeof(double)), rows = 1024, columns = n / rows;
  const dti_array to = {.data = b->b, .ndim = 1, .shape = {n}, .stride = {1}};
  const dti_array from = {.data = b->a, .ndim = 1, .shape = {n}, .stride = {1}};
  /* Half of each row, as a shard of columns is packed. */
  const dti_run all_rows = {0, rows}, half = {0, columns / 2};
  const dti_region region = {
      .ndim = 2, .count = {1, 1}, .runs = {&all_rows, &half}, .elements = rows * (columns / 2)};
  const int64_t stride[] = {columns, 1};
  double copy = INFINITY, pack = INFINITY, reduce = INFINITY;
  for (int i = 0; i < MEMORY_REPEATS; i++) {
    const double begin = dti_event_clock();
    dti_copy(&to, &from, sizeof(double), b->threads);
    const double copied = dti_event_clock();
    dti_pack(b->b, b->a, stride, &region, sizeof(double), b->threads);
    const double packed = dti_event_clock();
    dti_accumulate(b->b, b->a, n, DTENSOR_F64, DTENSOR_SUM, b->threads);
    const double reduced = dti_event_clock();
    copy = smallest(copy, copied - begin);
    pack = smallest(pack, packed - copied);
    reduce = smallest(reduce, reduced - packed);
  }
  machine->copy = copy / (double)memory_bytes;
  machine->pack = 2 * pack / (double)memory_bytes;
  machine->reduce = reduce / (double)memory_bytes;
}

static dtensor_status measure_gemm(const bench *b, dtensor_machine *machine) {
  const size_t bytes = (size_t)GEMM * GEMM * sizeof(double);
  dti_array a = {.data = b->a, .ndim = 2, .shape = {GEMM, GEMM}, .stride = {GEMM, 1}};
  dti_array c = a, d = a;
  c.data = b->a + bytes;
  d.data = b->b;
  double best = INFINITY;
  for (int i = 0; i < MEMORY_REPEATS; i++) {
    const double begin = dti_event_clock();
    DTI_TRY(dti_gemm(DTENSOR_F64, &d, &a, &c, NULL, b->threads));
    best = smallest(best, dti_event_clock() - begin);
  }
  machine->flops = 2.0 * GEMM * GEMM * GEMM / best;
  return DTENSOR_OK;
}

static dtensor_status measure_all(bench *b, dtensor_machine *machine) {
  dtensor_status status = measure_messages(b, 0, machine);
  /* Last: its overhead counts where there is a network. */
  const dtensor_status far = measure_messages(b, 1, machine);
  DTI_TRY(dti_comm_agree(b->root, status != DTENSOR_OK ? status : far));
  int64_t together = 0;
  DTI_TRY(measure_meeting(b, machine));
  DTI_TRY(dti_comm_allreduce(b->root, &together, 1, DTI_COMM_MAX));
  measure_memory(b, machine);
  return measure_gemm(b, machine);
}

/* The slowest rank's figures of what all have measured. */
static dtensor_status take_slowest(dti_comm *root, dtensor_machine *machine) {
  double *const times[] = {&machine->meeting, &machine->copy, &machine->pack, &machine->reduce};
  enum { TIMES = sizeof times / sizeof *times };
  int64_t attoseconds[TIMES + 1];
  for (int i = 0; i < TIMES; i++) attoseconds[i] = (int64_t)(*times[i] * 1e18);
  attoseconds[TIMES] = -(int64_t)machine->flops;
  DTI_TRY(dti_comm_allreduce(root, attoseconds, TIMES + 1, DTI_COMM_MAX));
  for (int i = 0; i < TIMES; i++) *times[i] = (double)attoseconds[i] * 1e-18;
  machine->flops = (double)-attoseconds[TIMES];
  return DTENSOR_OK;
}

static dtensor_status save_on_first(const dti_comm *root, const char *path,
                                    const dtensor_machine *machine) {
  return dti_comm_rank(root) == 0 && path ? dti_machine_save(path, machine) : DTENSOR_OK;
}

static dtensor_status calibrate(bench *b, const char *path, dtensor_machine *machine) {
  dtensor_status room = make_batch(b->root, &b->batch);
  if (!b->a || !b->b)
    room = DTI_FAIL(DTENSOR_ENOMEM, "no memory for %zu bytes to measure with", memory_bytes);
  DTI_TRY(dti_comm_agree(b->root, room));
  memset(b->a, 0, memory_bytes); /* pages that are there, numbers that are none of the slow ones */
  memset(b->b, 0, memory_bytes);
  DTI_TRY(dti_comm_agree(b->root, measure_all(b, machine)));
  DTI_TRY(take_slowest(b->root, machine));
  DTI_TRY(dti_comm_agree(b->root, save_on_first(b->root, path, machine)));
  return dti_mesh_machine_spread(b->root, machine);
}

dtensor_status dtensor_calibrate(dtensor_mesh *mesh, const char *path, dtensor_machine *out) {
  DTI_API();
  DTI_CHECK(mesh, DTENSOR_EINVAL, "mesh must not be NULL");
  const dti_counters before = *dti_event_counters();
  dtensor_machine machine = dti_mesh_machine_of(mesh)->machine;
  bench b = {.root = mesh->root,
             .threads = mesh->threads,
             .rank = dti_comm_rank(mesh->root),
             .a = dti_alloc(memory_bytes),
             .b = dti_alloc(memory_bytes)};
  const dtensor_status status = calibrate(&b, path, &machine);
  dti_batch_destroy(&b.batch);
  dti_free(b.a);
  dti_free(b.b);
  *dti_event_counters() = before; /* the user has moved nothing */
  DTI_TRY(status);
  if (out) *out = dti_mesh_machine_of(mesh)->machine;
  return DTENSOR_OK;
}
