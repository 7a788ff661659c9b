/* The duplicate of each user's communicator, cached on it as an attribute.
 *
 * MPI calls the attribute's callback when the user frees the communicator: then the duplicate and
 * all groups made from it are freed. Those that are never freed end in MPI_Finalize, which first of
 * all deletes the attributes of MPI_COMM_SELF. All this happens on the thread that initialised MPI.
 */
#include <stdlib.h>

#include "dtensor/comm/mpi_internal.h"

typedef struct cached {
  struct cached *next;
  MPI_Comm user;
  dti_comm *comm;
} cached;

static cached *all;
static int user_key = MPI_KEYVAL_INVALID;
static int self_key = MPI_KEYVAL_INVALID;

static int on_user_freed(MPI_Comm user, int key, void *value, void *extra) {
  (void)user, (void)key, (void)extra;
  cached *entry = value, **link = &all;
  while (*link != entry) link = &(*link)->next;
  *link = entry->next;
  dti_comm_close(entry->comm);
  dti_comm_release(&entry->comm);
  free(entry);
  return MPI_SUCCESS;
}

static int on_finalize(MPI_Comm self, int key, void *value, void *extra) {
  (void)key, (void)value, (void)extra;
  for (cached *entry = all, *next; entry; entry = next) {
    next = entry->next;
    if (entry->user != self) MPI_Comm_delete_attr(entry->user, user_key); /* MPI deletes self's */
  }
  MPI_Comm_free_keyval(&user_key);
  MPI_Comm_free_keyval(&self_key);
  return MPI_SUCCESS;
}

static dtensor_status make_keys(void) {
  if (self_key != MPI_KEYVAL_INVALID) return DTENSOR_OK;
  if (user_key == MPI_KEYVAL_INVALID)
    DTI_TRY_MPI(MPI_Comm_create_keyval(MPI_COMM_NULL_COPY_FN, on_user_freed, &user_key, NULL));
  int key = MPI_KEYVAL_INVALID;
  DTI_TRY_MPI(MPI_Comm_create_keyval(MPI_COMM_NULL_COPY_FN, on_finalize, &key, NULL));
  DTI_TRY_MPI(MPI_Comm_set_attr(MPI_COMM_SELF, key, NULL));
  self_key = key;
  return DTENSOR_OK;
}

dtensor_status dti_mpi_cache_get(MPI_Comm user, dti_comm **comm) {
  *comm = NULL;
  DTI_TRY(make_keys());
  cached *entry = NULL;
  int found = 0;
  DTI_TRY_MPI(MPI_Comm_get_attr(user, user_key, &entry, &found));
  if (found) *comm = entry->comm;
  return DTENSOR_OK;
}

dtensor_status dti_mpi_cache_put(MPI_Comm user, dti_comm *comm) {
  cached *entry = malloc(sizeof *entry);
  DTI_CHECK(entry, DTENSOR_ENOMEM, "caching a communicator");
  *entry = (cached){all, user, comm};
  const int code = MPI_Comm_set_attr(user, user_key, entry);
  if (code != MPI_SUCCESS) {
    free(entry);
    return dti_mpi_fail(code, __FILE__, __LINE__, "MPI_Comm_set_attr");
  }
  all = entry;
  dti_comm_retain(comm);
  return DTENSOR_OK;
}

void dti_mpi_cache_drop(MPI_Comm user) { MPI_Comm_delete_attr(user, user_key); }
