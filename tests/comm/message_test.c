/* Point to point messages, on MPI and on simulated ranks. */
#include <stdlib.h>
#include <string.h>

#include "dtensor/base/event.h"
#include "tests/harness/world.h"

static unsigned char pattern(int from, int to, size_t i) {
  return (unsigned char)(from * 31 + to * 7 + (int)(i % 251));
}

static size_t count_wrong(const unsigned char *data, size_t bytes, int from, int to) {
  size_t wrong = 0;
  for (size_t i = 0; i < bytes; i++) wrong += data[i] != pattern(from, to, i);
  return wrong;
}

/* Every rank sends to every rank, itself too; lengths differ by pair, and some are zero. */
static size_t length_of(int from, int to) { return (size_t)((from * 13 + to * 5) % 40); }

static void all_to_all(const test_world *w, int tag) {
  enum { ROOM = 40 };
  unsigned char(*out)[ROOM] = calloc((size_t)w->size, ROOM),
           (*in)[ROOM] = calloc((size_t)w->size, ROOM);
  size_t *bytes = calloc(2 * (size_t)w->size, sizeof *bytes);
  for (int peer = 0; peer < w->size; peer++) {
    bytes[2 * peer] = length_of(w->rank, peer);
    bytes[2 * peer + 1] = length_of(peer, w->rank);
  }
  dti_batch *batch;
  if (EXPECT_OK(dti_batch_create(w->comm, 2 * w->size, bytes, &batch))) {
    for (int peer = 0; peer < w->size; peer++) {
      for (size_t i = 0; i < length_of(w->rank, peer); i++)
        out[peer][i] = pattern(w->rank, peer, i);
      EXPECT_OK(dti_batch_send(batch, out[peer], length_of(w->rank, peer), peer, tag));
      EXPECT_OK(dti_batch_recv(batch, in[peer], length_of(peer, w->rank), peer, tag));
    }
    EXPECT_OK(dti_batch_wait(batch));
    for (int peer = 0; peer < w->size; peer++)
      EXPECT_EQ(count_wrong(in[peer], length_of(peer, w->rank), peer, w->rank), 0);
    dti_batch_destroy(&batch);
    EXPECT_NULL(batch);
  }
  free(out);
  free(in);
  free(bytes);
}

static void all_to_all_twice(const test_world *w) {
  all_to_all(w, dti_comm_next_tag(w->comm));
  all_to_all(w, dti_comm_next_tag(w->comm));
}
DTEST(Message, EveryoneToEveryone) { run_worlds(all_to_all_twice); }

DTEST(Message, CutIntoPieces) {
  for (size_t limit = 1; limit <= 13; limit += 6) {
    dti_comm_set_message_limit(limit);
    run_worlds(all_to_all_twice);
  }
  dti_comm_set_message_limit(0);
}

/* The receiver asks for the last tag first, and takes what completes one by one. */
static void out_of_order(const test_world *w) {
  enum { N = 20 };
  const int to = (w->rank + 1) % w->size, from = (w->rank + w->size - 1) % w->size;
  int out[N], in[N], seen[2 * N] = {0};
  dti_batch *batch;
  if (!EXPECT_OK(dti_batch_create(w->comm, 2 * N, NULL, &batch))) return;
  for (int i = 0; i < N; i++) {
    out[i] = 1000 * w->rank + i;
    in[i] = -1;
    EXPECT_OK(dti_batch_send(batch, &out[i], sizeof out[i], to, 100 + i));
  }
  for (int i = N - 1; i >= 0; i--)
    EXPECT_OK(dti_batch_recv(batch, &in[i], sizeof in[i], from, 100 + i));
  int64_t open = 2 * N, total = 0;
  for (int64_t round = 0; open > 0; round++) {
    int64_t done[2 * N], n;
    if (!EXPECT_OK(dti_batch_test(batch, done, &n, &open))) break;
    for (int64_t i = 0; i < n; i++) {
      seen[done[i]]++;
      /* Operation N + k receives tag 100 + N - 1 - k, and is complete from now on. */
      if (done[i] >= N) EXPECT_EQ(in[2 * N - 1 - done[i]], 1000 * from + 2 * N - 1 - (int)done[i]);
    }
    total += n;
    EXPECT_EQ(open, 2 * N - total);
    dti_comm_relax(round);
  }
  for (int i = 0; i < 2 * N; i++) EXPECT_EQ(seen[i], 1);
  dti_batch_destroy(&batch);
}
DTEST(Message, OutOfOrder) { run_worlds(out_of_order); }

/* Under one tag, the order of posting decides. */
static void same_tag(const test_world *w) {
  enum { N = 50 };
  const int peer = w->size - 1 - w->rank;
  int64_t out[N], in[N];
  dti_batch *batch;
  if (!EXPECT_OK(dti_batch_create(w->comm, 2 * N, NULL, &batch))) return;
  for (int i = 0; i < N; i++) {
    out[i] = i;
    EXPECT_OK(dti_batch_recv(batch, &in[i], sizeof in[i], peer, 7));
    EXPECT_OK(dti_batch_send(batch, &out[i], sizeof out[i], peer, 7));
  }
  EXPECT_OK(dti_batch_wait(batch));
  for (int i = 0; i < N; i++) EXPECT_EQ(in[i], i);
  dti_batch_destroy(&batch);
}
DTEST(Message, SameTagInOrder) { run_worlds(same_tag); }

/* A thousand messages of four kilobytes in flight between neighbours. */
static void thousand(const test_world *w) {
  enum { N = 1000, BYTES = 4096 };
  const int to = (w->rank + 1) % w->size, from = (w->rank + w->size - 1) % w->size;
  unsigned char *out = malloc(BYTES), *in = calloc(N, BYTES);
  size_t *bytes = malloc(2 * N * sizeof *bytes);
  for (int i = 0; i < 2 * N; i++) bytes[i] = BYTES;
  for (size_t i = 0; i < BYTES; i++) out[i] = pattern(w->rank, to, i);
  dti_batch *batch;
  if (EXPECT_OK(dti_batch_create(w->comm, 2 * N, bytes, &batch))) {
    for (int i = 0; i < N; i++) EXPECT_OK(dti_batch_send(batch, out, BYTES, to, i));
    for (int i = 0; i < N; i++)
      EXPECT_OK(dti_batch_recv(batch, in + (size_t)i * BYTES, BYTES, from, i));
    EXPECT_OK(dti_batch_wait(batch));
    size_t wrong = 0;
    for (size_t i = 0; i < N; i++) wrong += count_wrong(in + i * BYTES, BYTES, from, w->rank);
    EXPECT_EQ(wrong, 0);
    dti_batch_destroy(&batch);
  }
  free(out);
  free(in);
  free(bytes);
}
DTEST(Message, AThousandInFlight) { run_worlds(thousand); }

/* Two batches at once; the one that was started last is completed first. */
static void two_batches(const test_world *w) {
  const int to = (w->rank + 1) % w->size, from = (w->rank + w->size - 1) % w->size;
  double out[2] = {w->rank, w->rank + 0.5}, in[2] = {-1, -1};
  dti_batch *batch[2];
  for (int b = 0; b < 2; b++) {
    const int tag = dti_comm_next_tag(w->comm);
    if (!EXPECT_OK(dti_batch_create(w->comm, 2, NULL, &batch[b]))) return;
    EXPECT_OK(dti_batch_send(batch[b], &out[b], sizeof out[b], to, tag));
    EXPECT_OK(dti_batch_recv(batch[b], &in[b], sizeof in[b], from, tag));
  }
  EXPECT_OK(dti_batch_wait(batch[1]));
  EXPECT_EQ(in[1], from + 0.5);
  dti_batch_destroy(&batch[1]);
  dti_batch_destroy(&batch[0]); /* completes it */
  EXPECT_EQ(in[0], (double)from);
}
DTEST(Message, TwoBatches) { run_worlds(two_batches); }

static void empty_batch(const test_world *w) {
  dti_batch *batch;
  int64_t n, open;
  if (!EXPECT_OK(dti_batch_create(w->comm, 0, NULL, &batch))) return;
  EXPECT_OK(dti_batch_test(batch, NULL, &n, &open));
  EXPECT_EQ(n, 0);
  EXPECT_EQ(open, 0);
  EXPECT_OK(dti_batch_wait(batch));
  EXPECT_STATUS(DTENSOR_EINVAL, dti_batch_send(batch, NULL, 0, 0, 1));
  dti_batch_destroy(&batch);
  dti_batch_destroy(&batch);
}
DTEST(Message, EmptyBatch) { run_worlds(empty_batch); }

static void bad_peer(const test_world *w) {
  dti_batch *batch;
  if (!EXPECT_OK(dti_batch_create(w->comm, 1, NULL, &batch))) return;
  EXPECT_STATUS(DTENSOR_EINVAL, dti_batch_send(batch, NULL, 0, w->size, 1));
  EXPECT_STATUS(DTENSOR_EINVAL, dti_batch_recv(batch, NULL, 0, -1, 1));
  dti_batch_destroy(&batch);
}
DTEST(Message, NoSuchPeer) { run_worlds(bad_peer); }

/* A receive that is longer than its message fails, here from oneself. */
static void wrong_length(const test_world *w) {
  char out[4] = {0}, in[8];
  dti_batch *batch;
  if (!EXPECT_OK(dti_batch_create(w->comm, 2, NULL, &batch))) return;
  EXPECT_OK(dti_batch_send(batch, out, sizeof out, w->rank, 1));
  EXPECT_OK(dti_batch_recv(batch, in, sizeof in, w->rank, 1));
  EXPECT_STATUS(DTENSOR_EMPI, dti_batch_wait(batch));
  EXPECT_STATUS(DTENSOR_EMPI, dti_batch_wait(batch));
  dti_batch_destroy(&batch);
}
DTEST(Message, WrongLength) { run_worlds(wrong_length); }

/* A call fails on rank 0, between its messages or between the pieces of one: all of them go out,
 * some of them empty, so that every rank's batch comes to its end. */
static void one_rank_fails(const test_world *w) {
  enum { BYTES = 20 };
  const int to = (w->rank + 1) % w->size, from = (w->rank + w->size - 1) % w->size;
  char out[BYTES] = {0}, in[3][BYTES];
  const size_t bytes[6] = {BYTES, BYTES, BYTES, BYTES, BYTES, BYTES};
  for (int64_t after = 0; after < 8; after++) {
    const int tag = dti_comm_next_tag(w->comm);
    dti_batch *batch;
    if (!EXPECT_OK(dti_batch_create(w->comm, 6, bytes, &batch))) return;
    if (w->rank == 0) dti_comm_fail_after(after, 1);
    for (int i = 0; i < 3; i++) {
      EXPECT_OK(dti_batch_recv(batch, in[i], BYTES, from, tag));
      EXPECT_OK(dti_batch_send(batch, out, BYTES, to, tag));
    }
    const dtensor_status status = dti_batch_wait(batch);
    const bool has_failed = w->rank == 0 && dti_comm_fail_after(0, 0) == 0;
    EXPECT_STATUS(status, dti_batch_failure(batch));
    dti_batch_destroy(&batch);
    if (has_failed) {
      EXPECT_STATUS(DTENSOR_EMPI, status);
    } else if (from != 0 || after > 5) { /* all was sent when it failed */
      EXPECT_OK(status);
    } else if (w->rank != 0 && EXPECT_STATUS(DTENSOR_EMPI, status)) {
      EXPECT_CONTAINS(dtensor_last_error(), "rank 0 has failed, and sends none of");
    }
  }
  all_to_all(w, dti_comm_next_tag(w->comm));
}
DTEST(Message, OneRankFails) {
  run_worlds(one_rank_fails);
  dti_comm_set_message_limit(7);
  run_worlds(one_rank_fails);
  dti_comm_set_message_limit(0);
}

/* A call that fails, and again when it is made once more, ends the batch. */
static void lost(const test_world *w) {
  char byte = 0;
  dti_batch *batch;
  if (!EXPECT_OK(dti_batch_create(w->comm, 2, NULL, &batch))) return;
  dti_comm_fail_after(0, 2);
  EXPECT_STATUS(DTENSOR_EMPI, dti_batch_send(batch, &byte, 1, w->rank, 1));
  EXPECT_EQ(dti_comm_fail_after(0, 0), 0);
  EXPECT_STATUS(DTENSOR_EMPI, dti_batch_recv(batch, &byte, 1, w->rank, 1));
  EXPECT_STATUS(DTENSOR_EMPI, dti_batch_wait(batch));
  dti_batch_destroy(&batch);
}
DTEST(Message, Lost) { run_worlds(lost); }

/* Whole messages count, not their pieces, and none to oneself. */
static void counters(const test_world *w) {
  const dti_counters before = *dti_event_counters();
  all_to_all(w, dti_comm_next_tag(w->comm));
  int64_t sent = 0, received = 0;
  for (int peer = 0; peer < w->size; peer++) {
    if (peer == w->rank) continue;
    sent += (int64_t)length_of(w->rank, peer);
    received += (int64_t)length_of(peer, w->rank);
  }
  EXPECT_EQ(dti_event_counters()->messages_sent - before.messages_sent, w->size - 1);
  EXPECT_EQ(dti_event_counters()->messages_received - before.messages_received, w->size - 1);
  EXPECT_EQ(dti_event_counters()->bytes_sent - before.bytes_sent, sent);
  EXPECT_EQ(dti_event_counters()->bytes_received - before.bytes_received, received);
  EXPECT_EQ(dti_event_counters()->agreements, before.agreements);
}
DTEST(Message, Counters) {
  dti_comm_set_message_limit(5);
  run_worlds(counters);
  dti_comm_set_message_limit(0);
}

/* Tags repeat, but never one that was just given. */
static void tags(const test_world *w) {
  int last = 0, wrong = 0;
  for (int i = 0; i < 40000; i++) {
    const int tag = dti_comm_next_tag(w->comm);
    wrong += tag < 1 || tag == last;
    last = tag;
  }
  EXPECT_EQ(wrong, 0);
}
DTEST(Message, Tags) { run_worlds(tags); }
