/* Control collectives, agreements and checks of equal calls, on MPI and on simulated ranks. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dtensor/base/event.h"
#include "dtensor/base/fail.h"
#include "dtensor/comm/check.h"
#include "tests/harness/world.h"

static void allreduce(const test_world *w) {
  const int64_t p = w->size, r = w->rank;
  for (int n = 0; n <= 64; n += 8) {
    int64_t min[64], max[64], sum[64];
    for (int i = 0; i < n; i++) {
      min[i] = -i - r;
      max[i] = i + r;
      sum[i] = i * r;
    }
    const int64_t before = dti_event_counters()->agreements;
    EXPECT_OK(dti_comm_allreduce(w->comm, min, n, DTI_COMM_MIN));
    EXPECT_OK(dti_comm_allreduce(w->comm, max, n, DTI_COMM_MAX));
    EXPECT_OK(dti_comm_allreduce(w->comm, sum, n, DTI_COMM_SUM));
    EXPECT_EQ(dti_event_counters()->agreements - before, 3);
    for (int i = 0; i < n; i++) {
      EXPECT_EQ(min[i], -i - (p - 1));
      EXPECT_EQ(max[i], i + p - 1);
      EXPECT_EQ(sum[i], i * p * (p - 1) / 2);
    }
  }
  EXPECT_STATUS(DTENSOR_EINVAL, dti_comm_allreduce(w->comm, NULL, 65, DTI_COMM_SUM));
}
DTEST(Control, AllReduce) { run_worlds(allreduce); }

static void allgather(const test_world *w) {
  char *all = calloc((size_t)w->size, 3);
  const char mine[3] = {(char)w->rank, 'x', (char)(w->rank + 1)};
  EXPECT_OK(dti_comm_allgather(w->comm, mine, sizeof mine, all));
  for (int i = 0; i < w->size; i++)
    EXPECT_MEMEQ(all + 3 * i, ((char[]){(char)i, 'x', (char)(i + 1)}), 3);
  EXPECT_OK(dti_comm_allgather(w->comm, NULL, 0, NULL));
  free(all);
}
DTEST(Control, AllGather) { run_worlds(allgather); }

/* Messages and two control collectives in flight together. */
static void together(const test_world *w) {
  const int peer = w->size - 1 - w->rank;
  int64_t out = w->rank, in = -1, sum = 1, smallest = 10 - w->rank;
  dti_batch *batch;
  if (!EXPECT_OK(dti_batch_create(w->comm, 4, NULL, &batch))) return;
  EXPECT_OK(dti_batch_allreduce(batch, &sum, 1, DTI_COMM_SUM));
  EXPECT_OK(dti_batch_recv(batch, &in, sizeof in, peer, 3));
  EXPECT_OK(dti_batch_allreduce(batch, &smallest, 1, DTI_COMM_MIN));
  EXPECT_OK(dti_batch_send(batch, &out, sizeof out, peer, 3));
  EXPECT_OK(dti_batch_wait(batch));
  dti_batch_destroy(&batch);
  EXPECT_EQ(in, peer);
  EXPECT_EQ(sum, w->size);
  EXPECT_EQ(smallest, 10 - (w->size - 1));
}
DTEST(Control, BesideMessages) { run_worlds(together); }

static void agree(const test_world *w) {
  EXPECT_OK(dti_comm_agree(w->comm, DTENSOR_OK));
  const int failing = w->size / 2;
  dtensor_status mine = DTENSOR_OK;
  if (w->rank == failing) mine = DTI_FAIL(DTENSOR_ENOMEM, "4096 bytes for this rank alone");
  EXPECT_STATUS(DTENSOR_ENOMEM, dti_comm_agree(w->comm, mine));
  char text[64];
  snprintf(text, sizeof text, "rank %d failed with DTENSOR_ENOMEM", failing);
  EXPECT_CONTAINS(dtensor_last_error(), w->rank == failing ? "4096 bytes" : text);
  EXPECT_OK(dti_comm_agree(w->comm, DTENSOR_OK));
}
DTEST(Control, OneRankFails) { run_worlds(agree); }

static void agree_all_fail(const test_world *w) {
  const dtensor_status mine = w->rank == 0 ? DTENSOR_EIO : DTENSOR_ENOMEM;
  EXPECT_STATUS(mine, dti_comm_agree(w->comm, DTI_FAIL(mine, "mine")));
  EXPECT_CONTAINS(dtensor_last_error(), "mine");
}
DTEST(Control, EveryRankKeepsItsOwnFailure) { run_worlds(agree_all_fail); }

/* A call fails on one rank, and goes well when it is made once more: the outcome is everybody's. */
static void agree_in_spite_of_a_failure(const test_world *w) {
  for (int64_t after = 0; after < 3; after++) {
    if (w->rank == 0) dti_comm_fail_after(after, 1);
    EXPECT_OK(dti_comm_agree(w->comm, DTENSOR_OK));
    const dtensor_status mine = w->rank == w->size - 1 ? DTENSOR_EIO : DTENSOR_OK;
    EXPECT_STATUS(DTENSOR_EIO, dti_comm_agree(w->comm, mine));
    dti_comm_fail_after(0, 0);
  }
}
DTEST(Control, ACallFailsOnce) { run_worlds(agree_in_spite_of_a_failure); }

static dtensor_status compare(const test_world *w, int64_t odd_shape, const char *odd_dtype) {
  DTI_API();
  const int odd = w->rank == w->size - 1;
  const int64_t shape[2] = {4, odd ? odd_shape : 5};
  const char *dtype = odd ? odd_dtype : "f64";
  dti_facts facts = {0};
  dti_facts_add(&facts, "shape", shape, sizeof shape);
  dti_facts_add(&facts, "dtype", dtype, strlen(dtype));
  return dti_facts_compare(w->comm, &facts);
}

static dtensor_status another(const test_world *w) {
  DTI_API();
  dti_facts facts = {0};
  return dti_facts_compare(w->comm, &facts);
}

static void facts(const test_world *w) {
  EXPECT_OK(compare(w, 5, "f64"));
  if (w->size == 1) return;
  EXPECT_STATUS(DTENSOR_EDIVERGED, compare(w, 6, "f64"));
  EXPECT_CONTAINS(dtensor_last_error(),
                  "compare: the ranks were called differently: shape differs");
  EXPECT_STATUS(DTENSOR_EDIVERGED, compare(w, 5, "f32"));
  EXPECT_CONTAINS(dtensor_last_error(), "dtype differs");
  EXPECT_STATUS(DTENSOR_EDIVERGED, compare(w, 6, "f32")); /* the first one is named */
  EXPECT_CONTAINS(dtensor_last_error(), "shape differs");
  EXPECT_STATUS(DTENSOR_EDIVERGED, w->rank == 0 ? another(w) : compare(w, 5, "f64"));
  EXPECT_CONTAINS(dtensor_last_error(), w->rank == 0 ? "not all of them are in another"
                                                     : "not all of them are in compare");
  EXPECT_OK(compare(w, 5, "f64"));
}
DTEST(Check, NamesWhatDiffers) { run_worlds(facts); }
