/* Pieces of one array that are begun together and waited for one by one: some when their source
 * is there, some before. */
#include <dtensor/debug.h>
#include <dtensor/memory.h>

#include "dtensor/base/alloc.h"
#include "dtensor/base/fail.h"
#include "dtensor/comm/node.h"
#include "dtensor/mesh/mesh.h"
#include "dtensor/redistribute/transfer.h"
#include "dtensor/tensor/tensor.h"
#include "tests/harness/arange.h"
#include "tests/harness/world.h"

enum { PIECES = 12 };

typedef struct pieces {
  dtensor *from, *to;
  dti_box box[PIECES];
  dti_transfer_item item[PIECES];
  dti_transfer *transfer[PIECES];
} pieces;

/* The columns of a matrix, cut into pieces, the last ones wider. */
static void cut(pieces *all) {
  const int64_t columns = all->from->layout.shape[1];
  for (int i = 0; i < PIECES; i++) {
    const int64_t begin = columns * i * i / PIECES / PIECES,
                  end = columns * (i + 1) * (i + 1) / PIECES / PIECES;
    all->box[i] = dti_box_whole(&all->from->layout);
    all->box[i].from[1] = all->box[i].to[1] = begin;
    all->box[i].shape[1] = end - begin;
    const dtensor *x = all->from, *y = all->to;
    all->item[i] = (dti_transfer_item){.from = {x->mesh, &x->layout, x->data, x->stride},
                                       .to = {y->mesh, &y->layout, y->data, y->stride},
                                       .box = &all->box[i],
                                       .dtype = DTENSOR_F64};
  }
}

static dtensor_status make(dtensor_mesh *mesh, int64_t rows, int64_t columns, const char *from,
                           const char *to, pieces *all) {
  const int64_t shape[] = {rows, columns};
  dtensor_placement p;
  *all = (pieces){.from = NULL};
  dtensor_status status = make_arange(mesh, 2, shape, from, &all->from);
  if (status == DTENSOR_OK) status = dtensor_placements_parse(to, 1, &p);
  if (status == DTENSOR_OK) status = dtensor_empty(mesh, DTENSOR_F64, 2, shape, &p, &all->to);
  if (status == DTENSOR_OK) cut(all);
  return status;
}

static void drop(pieces *all) {
  dtensor_destroy(&all->from);
  dtensor_destroy(&all->to);
}

static const char *const moves[][2] = {{"S0", "S1"}, {"S1", "S0"}, {"S0", "R"}, {"P", "S0"}};
enum { MOVES = sizeof moves / sizeof *moves };

DTEST_NODES(Together, AllArrive, {1, 1}, {2, 1}, {3, 1}, {4, 2}, {6, 3}, {4, 4}) {
  dtensor_mesh *mesh = NULL;
  REQUIRE_OK(world_line(world, &mesh));
  for (int m = 0; m < MOVES; m++) {
    pieces all;
    REQUIRE_OK(make(mesh, 37, 150, moves[m][0], moves[m][1], &all));
    REQUIRE_OK(dti_transfers_begin(PIECES, all.item, DTENSOR_OK, all.transfer));
    for (int i = 0; i < PIECES; i++) EXPECT_OK(dti_transfer_wait(&all.transfer[i]));
    EXPECT_TRUE(holds_arange(all.to));
    drop(&all);
  }
  dtensor_mesh_destroy(&mesh);
}

/* Whether this rank has an element in x. */
static int has(const dtensor *x, int64_t row, int64_t column) {
  const int64_t i = row - dtensor_local_offset(x, 0), j = column - dtensor_local_offset(x, 1);
  return i >= 0 && i < x->local_shape[0] && j >= 0 && j < x->local_shape[1];
}

typedef enum which { ALL, LEAVING, STAYING } which;

/* This rank's values of a piece come into the source. */
static void write_piece(const pieces *all, const dtensor *values, int i, which part) {
  const int64_t width = values->local_shape[1], begin = dtensor_local_offset(values, 1);
  double *data = all->from->data;
  for (int64_t k = 0; k < values->local_numel; k++) {
    const int64_t row = dtensor_local_offset(values, 0) + k / width, column = begin + k % width;
    const int64_t in_piece = column - all->box[i].from[1];
    if (in_piece < 0 || in_piece >= all->box[i].shape[1]) continue;
    if (part == ALL || has(all->to, row, column) == (part == STAYING))
      data[k] = ((const double *)values->data)[k];
  }
}

/* Pieces of a source that has no values yet, and others that have them. */
static dtensor_status make_without_values(dtensor_mesh *mesh, const char *const move[2],
                                          pieces *all, pieces *values) {
  DTI_TRY(make(mesh, 37, 150, move[0], move[1], all));
  DTI_TRY(make(mesh, 37, 150, move[0], move[1], values));
  double *data = all->from->data;
  for (int64_t i = 0; i < all->from->local_numel; i++) data[i] = -1;
  return DTENSOR_OK;
}

DTEST_NODES(Together, NothingIsReadBeforeItIsThere, {1, 1}, {2, 1}, {3, 1}, {4, 2}, {6, 3}) {
  dtensor_mesh *mesh = NULL;
  REQUIRE_OK(world_line(world, &mesh));
  for (int m = 0; m < MOVES; m++) {
    pieces all, values;
    REQUIRE_OK(make_without_values(mesh, moves[m], &all, &values));
    for (int i = 0; i < PIECES; i++) {
      all.item[i].is_late = i % 3 != 0;
      if (!all.item[i].is_late) write_piece(&all, values.from, i, ALL);
    }
    REQUIRE_OK(dti_transfers_begin(PIECES, all.item, DTENSOR_OK, all.transfer));
    for (int i = 0; i < PIECES; i++) {
      if (!all.item[i].is_late) continue;
      dti_transfers_advance(0);
      write_piece(&all, values.from, i, ALL);
      dti_transfer_release(all.transfer[i]);
    }
    for (int i = 0; i < PIECES; i++) EXPECT_OK(dti_transfer_wait(&all.transfer[i]));
    EXPECT_TRUE(holds_arange(all.to));
    drop(&values);
    drop(&all);
  }
  dtensor_mesh_destroy(&mesh);
}

/* Messages leave before the rest of the source is there, which is read when it is. */
DTEST_NODES(Together, WhatLeavesNeedNotWaitForWhatStays, {1, 1}, {2, 1}, {3, 1}, {4, 2}, {6, 3}) {
  static const char *const shards[][2] = {{"P(sum)", "S0"}, {"S0", "S1"}, {"S1", "S0"}};
  dtensor_mesh *mesh = NULL;
  REQUIRE_OK(world_line(world, &mesh));
  for (size_t m = 0; m < sizeof shards / sizeof *shards; m++) {
    pieces all, values;
    REQUIRE_OK(make_without_values(mesh, shards[m], &all, &values));
    for (int i = 0; i < PIECES; i++) all.item[i].is_late = 1;
    REQUIRE_OK(dti_transfers_begin(PIECES, all.item, DTENSOR_OK, all.transfer));
    for (int i = 0; i < PIECES; i++) {
      write_piece(&all, values.from, i, LEAVING);
      dti_transfer_release_sends(all.transfer[i]);
      dti_transfers_advance(0);
    }
    for (int i = 0; i < PIECES; i++) {
      dti_transfers_advance(0);
      write_piece(&all, values.from, i, STAYING);
      dti_transfer_release(all.transfer[i]);
    }
    for (int i = 0; i < PIECES; i++) EXPECT_OK(dti_transfer_wait(&all.transfer[i]));
    EXPECT_TRUE(holds_arange(all.to));
    drop(&values);
    drop(&all);
  }
  dtensor_mesh_destroy(&mesh);
}

/* What a rank has sent to each of its peers before anything can have come: all, or as much as keeps
 * messages to several peers in order. */
DTEST_NODES(Together, FewAreSentToSeveralPeersAtFirst, {2, 1}, {3, 1}, {6, 1}) {
  if (world->size == 1) return;
  dtensor_mesh *mesh = NULL;
  REQUIRE_OK(world_line(world, &mesh));
  dti_node *node;
  REQUIRE_OK(dti_comm_node(mesh->root, &node));
  pieces all;
  REQUIRE_OK(make(mesh, 37, 150, "S0", "R", &all));
  const dti_box *last = &all.box[world->size == 2 ? PIECES - 1 : 1];
  const int64_t columns = last->from[1] + last->shape[1], rows = all.from->local_shape[0];
  dtensor_comm_counts counts;
  dtensor_comm_stats_reset();
  REQUIRE_OK(dti_transfers_begin(PIECES, all.item, DTENSOR_OK, all.transfer));
  dtensor_comm_stats(&counts);
  if (!node) /* else it has neighbours, who read */
    EXPECT_EQ(counts.bytes_sent, (world->size - 1) * columns * rows * (int64_t)sizeof(double));
  for (int i = 0; i < PIECES; i++) EXPECT_OK(dti_transfer_wait(&all.transfer[i]));
  EXPECT_TRUE(holds_arange(all.to));
  drop(&all);
  dtensor_mesh_destroy(&mesh);
}

/* More than MPI is given at once. */
DTEST_NODES(Together, LongOnesTakeTurns, {3, 1}, {4, 2}) {
  dtensor_mesh *mesh = NULL;
  REQUIRE_OK(world_line(world, &mesh));
  pieces all;
  REQUIRE_OK(make(mesh, 750, 4500, "S0", "R", &all));
  REQUIRE_OK(dti_transfers_begin(PIECES, all.item, DTENSOR_OK, all.transfer));
  for (int i = 0; i < PIECES; i++) EXPECT_OK(dti_transfer_wait(&all.transfer[i]));
  EXPECT_TRUE(holds_arange(all.to));
  drop(&all);
  dtensor_mesh_destroy(&mesh);
}

/* One rank has no memory for some of the pieces: none begins on any rank, and nothing is sent. */
DTEST_NODES(Together, AFailureOfOneIsThatOfAll, {2, 1}, {3, 1}, {4, 2}, {6, 6}) {
  if (world->size == 1) return;
  dtensor_mesh *mesh = NULL;
  REQUIRE_OK(world_line(world, &mesh));
  pieces all;
  REQUIRE_OK(make(mesh, 37, 150, "S1", "S0", &all));
  dtensor_comm_counts counts;
  dtensor_comm_stats_reset();
  const dtensor_status mine = world->rank == 1 ? DTENSOR_ENOMEM : DTENSOR_OK;
  EXPECT_STATUS(DTENSOR_ENOMEM, dti_transfers_begin(PIECES, all.item, mine, all.transfer));
  dtensor_comm_stats(&counts);
  EXPECT_EQ(counts.bytes_sent + counts.bytes_received, 0);
  for (int i = 0; i < PIECES; i++) EXPECT_NULL(all.transfer[i]);
  /* And the next ones do not notice. */
  REQUIRE_OK(dti_transfers_begin(PIECES, all.item, DTENSOR_OK, all.transfer));
  for (int i = 0; i < PIECES; i++) EXPECT_OK(dti_transfer_wait(&all.transfer[i]));
  EXPECT_TRUE(holds_arange(all.to));
  drop(&all);
  dtensor_mesh_destroy(&mesh);
}

/* The pieces of a matrix that is made anew; the first failure. */
static dtensor_status move_pieces(dtensor_mesh *mesh, int64_t columns) {
  pieces all;
  dtensor_status status = make(mesh, 100, columns, "S0", "R", &all);
  for (int i = 0; i < PIECES; i++) all.item[i].is_late = i % 2;
  if (status == DTENSOR_OK)
    status = dti_transfers_begin(PIECES, all.item, DTENSOR_OK, all.transfer);
  if (status == DTENSOR_OK) {
    for (int i = 1; i < PIECES; i += 2) dti_transfer_release(all.transfer[i]);
    for (int i = 0; i < PIECES; i++) {
      const dtensor_status outcome = dti_transfer_wait(&all.transfer[i]);
      if (status == DTENSOR_OK) status = outcome;
    }
    if (status == DTENSOR_OK) EXPECT_TRUE(holds_arange(all.to));
  }
  drop(&all);
  return status;
}

/* A call of communication fails on one rank, the agreement's among them, and pieces take turns:
 * every rank comes back, and the next pieces find nothing left over. */
DTEST_NODES(Together, CommunicationFails, {2, 1}, {3, 1}, {4, 2}) {
  if (world->size == 1) return;
  dtensor_mesh *mesh = NULL;
  REQUIRE_OK(world_line(world, &mesh));
  int64_t failures = 0, any = 1;
  for (int64_t n = 0; any && EXPECT_LT(n, 1 << 24); n += 1 + n / 4) {
    if (world->rank == 0) dti_comm_fail_after(n, 1);
    const dtensor_status status = move_pieces(mesh, n % 2 ? 300 : 20000);
    any = dti_comm_fail_after(0, 0) == 0 && world->rank == 0;
    if (status != DTENSOR_OK) EXPECT_STATUS(DTENSOR_EMPI, status);
    failures += status != DTENSOR_OK;
    EXPECT_OK(move_pieces(mesh, 300));
    EXPECT_OK(dti_comm_allreduce(mesh->root, &any, 1, DTI_COMM_MAX));
  }
  if (world->rank == 0 && !dti_comm_is_near(mesh->root)) EXPECT_GT(failures, 0);
  dtensor_mesh_destroy(&mesh);
}

/* On one rank the agreement is lost after the others have got it: neighbours are told. */
static dtensor_status lost_agreement(dtensor_sim *sim, void *ctx) {
  const int64_t *after = ctx;
  const test_world world = world_of_sim(sim);
  dtensor_mesh *mesh = NULL;
  SIM_REQUIRE_OK(world_line(&world, &mesh));
  EXPECT_OK(move_pieces(mesh, 300));
  if (world.rank == 1) dti_comm_fail_after(*after, 2);
  const dtensor_status status = move_pieces(mesh, 300);
  EXPECT_STATUS(DTENSOR_EMPI, status);
  dti_comm_fail_after(0, 0);
  dtensor_mesh_destroy(&mesh);
  return status;
}

DTEST(Together, TheAgreementIsLost) {
  if (dtest_comm() != MPI_COMM_NULL) return;
  for (int64_t after = 0; after < 3; after++)
    EXPECT_STATUS(DTENSOR_EMPI, dtensor_sim_run_nodes(4, 2, lost_agreement, &after));
}
