/* What only simulated ranks have: their start, and their end while others wait for them. */
#include "dtensor/comm/sim.h"

#include <dtensor/mesh.h>
#include <dtensor/sim.h>
#include <string.h>

#include "dtensor/base/fail.h"
#include "tests/harness/dtest.h"

static dtensor_status nothing(dtensor_sim *rank, void *ctx) {
  (void)rank, (void)ctx;
  return DTENSOR_OK;
}

DTEST(Sim, BadArguments) {
  EXPECT_STATUS(DTENSOR_EINVAL, dtensor_sim_run(0, nothing, NULL));
  EXPECT_STATUS(DTENSOR_EINVAL, dtensor_sim_run(2, NULL, NULL));
  EXPECT_OK(dtensor_sim_run(1, nothing, NULL));
  EXPECT_OK(dtensor_sim_run(200, nothing, NULL));
}

static dtensor_status fail_on_two(dtensor_sim *rank, void *ctx) {
  (void)ctx;
  const int r = dtensor_sim_rank(rank);
  if (r == 2) return DTI_FAIL(DTENSOR_ESHAPE, "two does not like it");
  return r == 3 ? DTI_FAIL(DTENSOR_EIO, "three neither") : DTENSOR_OK;
}

DTEST(Sim, FirstFailureInRankOrder) {
  EXPECT_STATUS(DTENSOR_ESHAPE, dtensor_sim_run(5, fail_on_two, NULL));
  EXPECT_CONTAINS(dtensor_last_error(), "rank 2: ");
  EXPECT_CONTAINS(dtensor_last_error(), "two does not like it");
  EXPECT_CONTAINS(dtensor_last_error(), "DTENSOR_ESHAPE; rank 2/5");
}

/* The ways to wait for the last rank. */
typedef enum wait_kind {
  FOR_MESSAGE,
  FOR_RECEIVER,
  FOR_CONTROL,
  FOR_NEXT_CONTROL,
  WAITS
} wait_kind;
typedef struct wait_case {
  wait_kind kind;
  dtensor_status last; /* what the last rank ends with */
} wait_case;

static dtensor_status wait_for_the_last(dtensor_sim *rank, void *ctx) {
  const wait_case *c = ctx;
  dti_comm *comm = dti_sim_comm(rank);
  const int last = dti_comm_size(comm) - 1;
  dtest_set_sim_rank(dti_comm_rank(comm), dti_comm_size(comm));
  if (c->kind == FOR_NEXT_CONTROL) SIM_REQUIRE_OK(dti_comm_agree(comm, DTENSOR_OK));
  if (dti_comm_rank(comm) == last)
    return c->last == DTENSOR_OK ? DTENSOR_OK : DTI_FAIL(c->last, "the reason");
  char byte = 0;
  dti_batch *batch;
  SIM_REQUIRE_OK(dti_batch_create(comm, 1, NULL, &batch));
  dtensor_status status = DTENSOR_OK;
  if (c->kind == FOR_MESSAGE)
    status = dti_batch_recv(batch, &byte, 1, last, 1);
  else if (c->kind == FOR_RECEIVER)
    status = dti_batch_send(batch, &byte, 1, last, 1);
  else
    status = dti_comm_agree(comm, DTENSOR_OK);
  if (status == DTENSOR_OK) status = dti_batch_wait(batch);
  dti_batch_destroy(&batch);
  EXPECT_STATUS(DTENSOR_EMPI, status);
  EXPECT_CONTAINS(dtensor_last_error(), c->last == DTENSOR_OK
                                            ? "rank 7 has ended, and this rank waits for it"
                                            : "rank 7 has ended with DTENSOR_EINVAL: ");
  if (c->last != DTENSOR_OK) EXPECT_CONTAINS(dtensor_last_error(), "the reason");
  return status;
}

DTEST(Sim, NobodyWaitsForARankThatHasEnded) {
  for (int repeat = 0; repeat < 20; repeat++)
    for (int kind = 0; kind < WAITS; kind++) {
      EXPECT_STATUS(DTENSOR_EINVAL,
                    dtensor_sim_run(8, wait_for_the_last, &(wait_case){kind, DTENSOR_EINVAL}));
      EXPECT_CONTAINS(dtensor_last_error(), "rank 7: ");
      EXPECT_STATUS(DTENSOR_EMPI,
                    dtensor_sim_run(8, wait_for_the_last, &(wait_case){kind, DTENSOR_OK}));
    }
}

/* Rank r waits for rank r + 1, and the last one fails: all are told of the last one. */
static dtensor_status chain(dtensor_sim *rank, void *ctx) {
  (void)ctx;
  dti_comm *comm = dti_sim_comm(rank);
  const int next = dti_comm_rank(comm) + 1;
  if (next == dti_comm_size(comm)) return DTI_FAIL(DTENSOR_ENOMEM, "the end of the chain");
  char byte;
  dti_batch *batch;
  DTI_TRY(dti_batch_create(comm, 1, NULL, &batch));
  dtensor_status status = dti_batch_recv(batch, &byte, 1, next, 1);
  if (status == DTENSOR_OK) status = dti_batch_wait(batch);
  dti_batch_destroy(&batch);
  EXPECT_CONTAINS(dtensor_last_error(), "has ended with DTENSOR_ENOMEM");
  return status;
}

DTEST(Sim, ChainOfWaits) {
  EXPECT_STATUS(DTENSOR_ENOMEM, dtensor_sim_run(64, chain, NULL));
  EXPECT_CONTAINS(dtensor_last_error(), "rank 63: ");
  EXPECT_CONTAINS(dtensor_last_error(), "the end of the chain");
}

/* A message that was sent before its sender ended is not lost... once it is received in time: the
 * sender stays until then. */
static dtensor_status send_and_end(dtensor_sim *rank, void *ctx) {
  (void)ctx;
  dti_comm *comm = dti_sim_comm(rank);
  int64_t value = 42, got = 0;
  dti_batch *batch;
  DTI_TRY(dti_batch_create(comm, 1, NULL, &batch));
  if (dti_comm_rank(comm) == 0)
    SIM_REQUIRE_OK(dti_batch_send(batch, &value, sizeof value, 1, 1));
  else
    SIM_REQUIRE_OK(dti_batch_recv(batch, &got, sizeof got, 0, 1));
  dti_batch_destroy(&batch);
  SIM_REQUIRE_TRUE(dti_comm_rank(comm) == 0 || got == 42);
  return DTENSOR_OK;
}

DTEST(Sim, SenderStaysUntilItsMessageIsTaken) {
  for (int i = 0; i < 200; i++) EXPECT_OK(dtensor_sim_run(2, send_and_end, NULL));
}

/* A batch that a failing rank leaves behind: its buffers are gone, and nobody may touch them. */
static dti_batch *left[4];

static dtensor_status leave_a_batch(dtensor_sim *rank, void *ctx) {
  const int with_control = *(const int *)ctx;
  dti_comm *comm = dti_sim_comm(rank);
  const int r = dti_comm_rank(comm);
  char byte = 0;
  int64_t sum = 1;
  DTI_TRY(dti_batch_create(comm, 3, NULL, &left[r]));
  if (r == 0) {
    DTI_TRY(dti_batch_send(left[r], &byte, 1, 1, 9));
    DTI_TRY(dti_batch_recv(left[r], &byte, 1, 2, 9));
    if (with_control) DTI_TRY(dti_batch_allreduce(left[r], &sum, 1, DTI_COMM_SUM));
    return DTI_FAIL(DTENSOR_EIO, "left in the middle");
  }
  dtensor_status status = dti_batch_recv(left[r], &byte, 1, 0, 8);
  if (status == DTENSOR_OK) status = dti_batch_wait(left[r]);
  EXPECT_STATUS(DTENSOR_EMPI, status);
  return status;
}

DTEST(Sim, BatchLeftBehind) {
  for (int with_control = 0; with_control < 2; with_control++) {
    EXPECT_STATUS(DTENSOR_EIO, dtensor_sim_run(4, leave_a_batch, &with_control));
    for (int i = 0; i < 4; i++) dti_batch_destroy(&left[i]); /* when the ranks are gone */
  }
}

/* Handles that outlive the run. */
static dtensor_mesh *kept[3];

static dtensor_status keep_a_mesh(dtensor_sim *rank, void *ctx) {
  (void)ctx;
  return dtensor_sim_init_device_mesh(rank, 1, (int64_t[]){-1}, NULL,
                                      &kept[dtensor_sim_rank(rank)]);
}

DTEST(Sim, MeshOutlivesTheRun) {
  EXPECT_OK(dtensor_sim_run(3, keep_a_mesh, NULL));
  for (int i = 0; i < 3; i++) {
    EXPECT_EQ(dtensor_mesh_size(kept[i], 0), 3);
    EXPECT_EQ(dtensor_mesh_coordinate(kept[i], 0), i);
    dtensor_mesh_destroy(&kept[i]);
  }
}

static dtensor_status different_collectives(dtensor_sim *rank, void *ctx) {
  (void)ctx;
  int64_t values[3] = {0};
  const dtensor_status status = dti_comm_allreduce(
      dti_sim_comm(rank), values, dtensor_sim_rank(rank) == 1 ? 3 : 2, DTI_COMM_SUM);
  EXPECT_STATUS(DTENSOR_EDIVERGED, status);
  return status;
}

DTEST(Sim, DifferentCollectives) {
  EXPECT_STATUS(DTENSOR_EDIVERGED, dtensor_sim_run(4, different_collectives, NULL));
}

static dtensor_status inner(dtensor_sim *rank, void *ctx) {
  int *sum = ctx;
  int64_t value = dtensor_sim_rank(rank);
  DTI_TRY(dti_comm_allreduce(dti_sim_comm(rank), &value, 1, DTI_COMM_SUM));
  if (dtensor_sim_rank(rank) == 0) *sum = (int)value;
  return DTENSOR_OK;
}

static dtensor_status outer(dtensor_sim *rank, void *ctx) {
  (void)ctx;
  int sum = 0;
  DTI_TRY(dtensor_sim_run(2 + dtensor_sim_rank(rank), inner, &sum));
  const int n = 2 + dtensor_sim_rank(rank);
  dtest_set_sim_rank(dtensor_sim_rank(rank), dtensor_sim_size(rank));
  SIM_REQUIRE_EQ(sum, n * (n - 1) / 2);
  return dti_comm_agree(dti_sim_comm(rank), DTENSOR_OK);
}

DTEST(Sim, RunsNest) {
  EXPECT_OK(dtensor_sim_run(5, outer, NULL));
  EXPECT_OK(dtensor_sim_run(5, outer, NULL));
}

static dtensor_status deep(dtensor_sim *rank, void *ctx) {
  (void)rank, (void)ctx;
  volatile char stack[900 * 1024];
  stack[0] = stack[sizeof stack - 1] = 1;
  return stack[0] == stack[sizeof stack - 1] ? DTENSOR_OK : DTENSOR_EINVAL;
}

DTEST(Sim, StackOfAMegabyte) { EXPECT_OK(dtensor_sim_run(2, deep, NULL)); }
