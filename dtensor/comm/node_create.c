/* How ranks of a node come to reach each other's memory: each shows a card, tries the cards of the
 * others, and says whether it could. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "dtensor/base/fail.h"
#include "dtensor/comm/node_internal.h"

void dti_reason_set(dti_reason *reason, const char *format, ...) {
  if (reason->text[0]) return;
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(reason->text, sizeof reason->text, format, arguments);
  va_end(arguments);
}

static dtensor_status allocate(dti_comm *comm, dti_node **node, dti_card **cards,
                               dti_reason **reasons) {
  const size_t p = (size_t)comm->size;
  const int mine = comm->node_of[comm->rank];
  const size_t members = (size_t)comm->node_size;
  *node = calloc(1, sizeof **node + members * (sizeof(*node)->member[0] + sizeof *(*node)->seen));
  *cards = calloc(p, sizeof **cards);
  *reasons = calloc(p, sizeof **reasons);
  DTI_CHECK(*node && *cards && *reasons, DTENSOR_ENOMEM, "cards of %d ranks", comm->size);
  (*node)->comm = comm;
  (*node)->seen = (uint64_t *)(void *)((*node)->member + members);
  for (int rank = 0; rank < comm->size; rank++) {
    if (comm->node_of[rank] != mine) continue;
    if (rank == comm->rank) (*node)->rank = (*node)->size;
    (*node)->member[(*node)->size++].rank = rank;
  }
  return DTENSOR_OK;
}

static void write_card(dti_node *node, dti_card *card) {
  const dti_backend *backend = node->comm->backend;
  backend->card(card);
  card->cpus = dti_cpus_of_thread();
  if (card->reason.text[0]) return;
  node->board = dti_board_take(&card->last);
  card->board = node->board ? backend->export_memory(node->board, sizeof *node->board) : -1;
  if (card->board < 0) dti_reason_set(&card->reason, "there is no memory for a board");
}

/* The first reason that a member gives, with its rank. */
static void find_reason(const dti_node *node, const dti_reason *given, size_t stride,
                        dti_reason *reason) {
  for (int i = 0; i < node->size; i++) {
    const int rank = node->member[i].rank;
    const dti_reason *its =
        (const dti_reason *)(const void *)((const char *)given + (size_t)rank * stride);
    if (its->text[0]) dti_reason_set(reason, "rank %d: %.90s", rank, its->text);
  }
}

/* 1 if no rank of any node gives a reason. */
static int all_share(const dti_comm *comm, const dti_card *cards, const dti_reason *reasons) {
  for (int rank = 0; rank < comm->size; rank++)
    if (cards[rank].reason.text[0] || reasons[rank].text[0]) return 0;
  return 1;
}

/* 1 if there are more ranks than processors among those that may run where this one may. */
static int shares_cpus(const dti_node *node, const dti_card *cards) {
  const dti_cpus *mine = &cards[node->comm->rank].cpus;
  dti_cpus all = {{0}};
  int ranks = 0;
  for (int i = 0; i < node->size; i++) {
    const dti_cpus *its = &cards[node->member[i].rank].cpus;
    if (!dti_cpus_meet(mine, its)) continue;
    dti_cpus_add(&all, its);
    ranks++;
  }
  return ranks > dti_cpus_count(&all);
}

static void reach_all(dti_node *node, const dti_card *cards, dti_reason *reason) {
  uint64_t last = DTI_MEETINGS; /* so that there is one before each */
  for (int i = 0; i < node->size; i++) {
    dti_member *member = &node->member[i];
    const dti_card *card = &cards[member->rank];
    if (card->last > last) last = card->last;
    node->comm->backend->reach(node->comm, card, member, reason);
    if (reason->text[0]) return;
    member->board = dti_member_address(member, card->board);
  }
  dti_board_start(node->board, last);
  node->next = last + 1;
  node->left_all = last;
  for (int i = 0; i < DTI_COPIES; i++) node->copied[i] = last;
  node->shares_cpus = shares_cpus(node, cards);
}

/* Everybody has left all meetings: no one reads the board. */
static int is_quiet(const dti_node *node) {
  for (uint64_t i = 1; i <= DTI_MEETINGS; i++)
    if (!dti_node_all_left(node, node->next - i)) return 0;
  return 1;
}

/* A board that others may look at stays theirs. */
static void leave_node(dti_node *node, int quiet) {
  if (node->board && quiet) dti_board_put(node->board);
  for (int i = 0; i < node->size; i++)
    if (node->member[i].peer) node->comm->backend->let_go(&node->member[i]);
}

dtensor_status dti_node_create(dti_comm *comm, dti_node **out, dti_reason *reason) {
  *out = NULL;
  if (comm->nodes == comm->size) {
    dti_reason_set(reason, "each rank is alone on its node");
    comm->nodes_share = 1;
    return DTENSOR_OK;
  }
  dti_node *node;
  dti_card *cards;
  dti_reason *reasons;
  dtensor_status status = dti_comm_agree(comm, allocate(comm, &node, &cards, &reasons));
  if (status != DTENSOR_OK) goto done;

  dti_card card = {0};
  write_card(node, &card);
  DTI_TRY_OR(done, status, dti_comm_allgather(comm, &card, sizeof card, cards));
  find_reason(node, &cards[0].reason, sizeof *cards, reason);
  dti_reason mine = {""};
  if (!reason->text[0]) reach_all(node, cards, &mine);
  DTI_TRY_OR(done, status, dti_comm_allgather(comm, &mine, sizeof mine, reasons));
  find_reason(node, reasons, sizeof *reasons, reason);
  comm->nodes_share = all_share(comm, cards, reasons);
  if (node->size == 1) dti_reason_set(reason, "this rank is alone on its node");
  if (!reason->text[0]) {
    *out = node;
    node = NULL;
  }
done:
  if (node) leave_node(node, status == DTENSOR_OK);
  free(node);
  free(cards);
  free(reasons);
  return status;
}

void dti_node_destroy(dti_node **node) {
  if (*node) leave_node(*node, is_quiet(*node));
  free(*node);
  *node = NULL;
}
