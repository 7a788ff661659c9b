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

void dti_storage_release(dti_storage **storage) {
  dti_storage *s = *storage;
  *storage = NULL;
  if (!s || !dti_refcount_release(&s->refs)) return;
  if (s->release) s->release(s->ctx);
  free(s);
}
