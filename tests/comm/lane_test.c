/* Data collectives and the turns that put them in order, on MPI and on simulated ranks. */
#include "dtensor/comm/lane.h"

#include <stdlib.h>

#include "dtensor/comm/sim.h"
#include "tests/harness/world.h"

/* The even or the odd ranks, whichever this one is of. */
static int *half_of(const test_world *w, int *n) {
  *n = (w->size + 1 - w->rank % 2) / 2;
  int *ranks = malloc((size_t)*n * sizeof *ranks);
  for (int i = 0; i < *n; i++) ranks[i] = 2 * i + w->rank % 2;
  return ranks;
}

static dti_comm *half_lane(const test_world *w) {
  int n;
  int *ranks = half_of(w, &n);
  if (!dti_comm_lane(w->comm, n, ranks)) EXPECT_OK(dti_comm_make_lane(w->comm, n, ranks));
  dti_comm *lane = dti_comm_lane(w->comm, n, ranks);
  free(ranks);
  return lane;
}

static void made_once(const test_world *w) {
  int n;
  int *ranks = half_of(w, &n);
  EXPECT_NULL(dti_comm_lane(w->comm, n, ranks));
  EXPECT_OK(dti_comm_make_lane(w->comm, n, ranks));
  dti_comm *lane = dti_comm_lane(w->comm, n, ranks), *group = NULL;
  if (EXPECT_NOT_NULL(lane)) {
    EXPECT_EQ(dti_comm_size(lane), n);
    EXPECT_EQ(dti_comm_rank(lane), w->rank / 2);
    EXPECT_OK(dti_comm_group(w->comm, n, ranks, &group));
    EXPECT_TRUE(group != lane); /* control collectives go elsewhere */
    EXPECT_TRUE(dti_comm_lane(w->comm, n, ranks) == lane);
    dti_comm_release(&group);
  }
  free(ranks);
}
DTEST(Lane, MadeOnce) { run_worlds(made_once); }

/* Rank r sends 3 r + d + 1 bytes to rank d, in reverse order in its buffer, nothing to itself. */
static int length(int from, int to) { return from == to ? 0 : 3 * from + to + 1; }
static char value(int from, int to, int i) { return (char)(17 * from + 5 * to + i); }

static void alltoallv(const test_world *w) {
  dti_comm *lane = half_lane(w);
  const int p = dti_comm_size(lane), me = dti_comm_rank(lane);
  int *list = malloc(4 * (size_t)p * sizeof *list);
  int *in_bytes = list, *in_at = list + p, *out_bytes = list + 2 * p, *out_at = list + 3 * p;
  int in_total = 0, out_total = 0;
  for (int r = 0; r < p; r++) {
    in_bytes[p - 1 - r] = length(me, p - 1 - r);
    in_at[p - 1 - r] = in_total;
    in_total += in_bytes[p - 1 - r];
    out_bytes[r] = length(r, me);
    out_at[r] = out_total;
    out_total += out_bytes[r];
  }
  char *in = malloc((size_t)in_total + 1), *out = malloc((size_t)out_total + 1);
  for (int r = 0; r < p; r++)
    for (int i = 0; i < in_bytes[r]; i++) in[in_at[r] + i] = value(me, r, i);
  dti_batch *batch;
  EXPECT_OK(dti_batch_create(lane, 1, NULL, &batch));
  EXPECT_OK(dti_batch_alltoallv(batch, in, in_bytes, in_at, out, out_bytes, out_at));
  EXPECT_OK(dti_batch_wait(batch));
  for (int r = 0; r < p; r++)
    for (int i = 0; i < out_bytes[r]; i++) EXPECT_EQ(out[out_at[r] + i], value(r, me, i));
  EXPECT_STATUS(DTENSOR_EINVAL, /* it had room for one */
                dti_batch_alltoallv(batch, in, in_bytes, in_at, out, out_bytes, out_at));
  dti_batch_destroy(&batch);
  free(in);
  free(out);
  free(list);
}
DTEST(Lane, AllToAll) { run_worlds(alltoallv); }

static void allgatherv(const test_world *w) {
  dti_comm *lane = half_lane(w);
  const int p = dti_comm_size(lane), me = dti_comm_rank(lane);
  int *bytes = malloc(2 * (size_t)p * sizeof *bytes), *at = bytes + p, total = 0;
  for (int r = p - 1; r >= 0; r--) {
    bytes[r] = r % 3 * 5; /* some bring nothing */
    at[r] = total;
    total += bytes[r];
  }
  char in[10], *out = malloc((size_t)total + 1);
  for (int i = 0; i < bytes[me]; i++) in[i] = value(me, 0, i);
  dti_batch *batch;
  EXPECT_OK(dti_batch_create(lane, 1, NULL, &batch));
  EXPECT_OK(dti_batch_allgatherv(batch, in, bytes[me], out, bytes, at));
  EXPECT_OK(dti_batch_wait(batch));
  for (int r = 0; r < p; r++)
    for (int i = 0; i < bytes[r]; i++) EXPECT_EQ(out[at[r] + i], value(r, 0, i));
  dti_batch_destroy(&batch);
  free(out);
  free(bytes);
}
DTEST(Lane, AllGather) { run_worlds(allgatherv); }

static void turns(const test_world *w) {
  dti_comm *lane = half_lane(w);
  dti_turn turn[4] = {{0}};
  for (int i = 0; i < 4; i++) dti_turn_take(lane, &turn[i]);
  EXPECT_TRUE(dti_turn_has_come(&turn[0]));
  EXPECT_FALSE(dti_turn_has_come(&turn[1]));
  dti_turn_leave(&turn[2]); /* given up before it has come */
  EXPECT_FALSE(dti_turn_has_come(&turn[1]));
  dti_turn_leave(&turn[0]);
  EXPECT_TRUE(dti_turn_has_come(&turn[1]));
  dti_turn_leave(&turn[1]);
  EXPECT_TRUE(dti_turn_has_come(&turn[3]));
  dti_turn_leave(&turn[3]);
  dti_turn_leave(&turn[3]);
  dti_turn_take(lane, &turn[2]);
  EXPECT_TRUE(dti_turn_has_come(&turn[2]));
  dti_turn_leave(&turn[2]);
}
DTEST(Lane, Turns) { run_worlds(turns); }

/* Simulated ranks compare what they send with what they expect. */
static dtensor_status unbalanced(dtensor_sim *sim, void *ctx) {
  (void)ctx;
  const int rank = dtensor_sim_rank(sim);
  dtest_set_sim_rank(rank, dtensor_sim_size(sim));
  dti_comm *comm = dti_sim_comm(sim);
  SIM_REQUIRE_OK(dti_comm_make_lane(comm, 2, (int[]){0, 1}));
  dti_batch *batch;
  SIM_REQUIRE_OK(dti_batch_create(dti_comm_lane(comm, 2, (int[]){0, 1}), 1, NULL, &batch));
  const char in[2] = {1, 2};
  char out[4];
  const int sent = 1 + rank; /* each expects 1 */
  dtensor_status status = dti_batch_allgatherv(batch, in, sent, out, (int[]){1, 1}, (int[]){0, 2});
  if (status == DTENSOR_OK) status = dti_batch_wait(batch);
  EXPECT_STATUS(DTENSOR_EDIVERGED, status);
  dti_batch_destroy(&batch);
  return DTENSOR_OK;
}
DTEST(Lane, Unbalanced) {
  if (dtest_comm() == MPI_COMM_NULL) EXPECT_OK(dtensor_sim_run(2, unbalanced, NULL));
}

/* Rank 2 ends without its part. */
static dtensor_status abandoned(dtensor_sim *sim, void *ctx) {
  (void)ctx;
  const int rank = dtensor_sim_rank(sim);
  dtest_set_sim_rank(rank, dtensor_sim_size(sim));
  dti_comm *comm = dti_sim_comm(sim);
  SIM_REQUIRE_OK(dti_comm_make_lane(comm, 3, (int[]){0, 1, 2}));
  if (rank == 2) return DTENSOR_OK;
  dti_batch *batch;
  SIM_REQUIRE_OK(dti_batch_create(dti_comm_lane(comm, 3, (int[]){0, 1, 2}), 1, NULL, &batch));
  char byte = 0, out[3];
  dtensor_status status =
      dti_batch_allgatherv(batch, &byte, 1, out, (int[]){1, 1, 1}, (int[]){0, 1, 2});
  if (status == DTENSOR_OK) status = dti_batch_wait(batch);
  EXPECT_STATUS(DTENSOR_EMPI, status);
  EXPECT_CONTAINS(dtensor_last_error(), "rank 2 has ended");
  dti_batch_destroy(&batch);
  return DTENSOR_OK;
}
DTEST(Lane, NobodyWaitsForARankThatHasEnded) {
  if (dtest_comm() == MPI_COMM_NULL) EXPECT_OK(dtensor_sim_run(3, abandoned, NULL));
}
