#include "dtensor/comm/board.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "dtensor/base/alloc.h"

typedef struct idle_board {
  struct idle_board *next;
  dti_board *board;
} idle_board;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static idle_board *idle;

static uint64_t last_of(const dti_board *board) {
  uint64_t last = 0;
  for (int i = 0; i < DTI_MEETINGS; i++) {
    const uint64_t posted = atomic_load(&board->place[i].posted);
    if (posted > last) last = posted;
  }
  return last;
}

dti_board *dti_board_take(uint64_t *last) {
  *last = 0;
  pthread_mutex_lock(&lock);
  idle_board *entry = idle;
  if (entry) idle = entry->next;
  pthread_mutex_unlock(&lock);
  dti_board *board = entry ? entry->board : dti_alloc_permanent(sizeof *board);
  if (!board) return NULL;
  if (entry)
    *last = last_of(board);
  else
    memset(board, 0, sizeof *board);
  free(entry);
  return board;
}

void dti_board_start(dti_board *board, uint64_t last) {
  for (uint64_t i = 0; i < DTI_MEETINGS && i <= last; i++) {
    struct dti_place *place = &board->place[(last - i) % DTI_MEETINGS];
    atomic_store(&place->posted, last - i);
    atomic_store(&place->left, last - i);
  }
  atomic_store(&board->left_all, last);
}

void dti_board_put(dti_board *board) {
  idle_board *entry = malloc(sizeof *entry);
  if (!entry) return;
  entry->board = board;
  pthread_mutex_lock(&lock);
  entry->next = idle;
  idle = entry;
  pthread_mutex_unlock(&lock);
}
