#include <stdlib.h>

#include "dtensor/base/fail.h"
#include "dtensor/tensor/tensor.h"

dtensor_status dti_storage_create(void *data, void (*release)(void *ctx), void *ctx,
                                  dti_storage **out) {
  dti_storage *storage = malloc(sizeof *storage);
  *out = storage;
  DTI_CHECK(storage, DTENSOR_ENOMEM, "no memory for a storage handle");
  *storage = (dti_storage){.data = data, .release = release, .ctx = ctx};
  dti_refcount_init(&storage->refs);
  return DTENSOR_OK;
}

/* 1 if a member that is gone has not left: it reads nothing any more. */
static int is_gone(const dti_storage *s, int member) {
  return !dti_node_has_left(s->read_on, s->read_in, member) &&
         dti_node_check(s->read_on, member) != DTENSOR_OK;
}

void dti_storage_await_readers(dti_storage *s) {
  if (!s || !s->readers) return;
  for (int member = 0; member < dti_node_size(s->read_on); member++)
    for (int64_t round = 0; !dti_node_has_left(s->read_on, s->read_in, member); round++) {
      if (dti_comm_is_check_due(round) && is_gone(s, member)) break;
      dti_comm_relax(round);
    }
}

void dti_storage_expose(dti_storage *s) {
  if (!s || s->is_exposed) return;
  dti_storage_await_readers(s);
  s->is_exposed = 1;
}

int dti_storage_can_lend(const dti_storage *s) {
  if (!s || s->is_foreign || s->is_exposed || s->segment) return 0;
  return !s->readers || dti_node_all_left(s->read_on, s->read_in);
}

void dti_storage_lend(dti_storage *s, dti_comm *comm, dti_node *node, uint64_t meeting) {
  if (s->readers != comm) {
    if (s->readers) dti_comm_release(&s->readers);
    s->readers = dti_comm_retain(comm);
  }
  s->read_on = node;
  s->read_in = meeting;
}

void dti_storage_release(dti_storage **storage) {
  dti_storage *s = *storage;
  *storage = NULL;
  if (!s || !dti_refcount_release(&s->refs)) return;
  dti_storage_await_readers(s);
  if (s->readers) dti_comm_release(&s->readers);
  if (s->release) s->release(s->ctx);
  free(s);
}
