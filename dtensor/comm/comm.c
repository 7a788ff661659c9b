#include "dtensor/comm/comm.h"

#include <stdlib.h>
#include <string.h>

#include "dtensor/base/fail.h"
#include "dtensor/comm/backend.h"
#include "dtensor/comm/node_internal.h"

int dti_comm_rank(const dti_comm *comm) { return comm->rank; }

int dti_comm_size(const dti_comm *comm) { return comm->size; }

MPI_Comm dti_comm_mpi(const dti_comm *comm) {
  return comm->closed ? MPI_COMM_NULL : comm->backend->mpi(comm);
}

dtensor_status dti_comm_init(dti_comm *comm, const dti_backend *backend, int rank, int size) {
  dti_refcount_init(&comm->refs);
  comm->backend = backend;
  comm->rank = rank;
  comm->size = size;
  comm->tag_limit = 32767; /* what every MPI allows */
  comm->node_of = calloc((size_t)size, sizeof *comm->node_of);
  DTI_CHECK(comm->node_of, DTENSOR_ENOMEM, "a communicator of %d ranks", size);
  comm->nodes = 1;
  comm->node_size = size;
  const dtensor_status status = dti_batch_make(comm, 1, NULL, &comm->control);
  if (status != DTENSOR_OK) free(comm->node_of);
  return status;
}

dti_comm *dti_comm_retain(dti_comm *comm) {
  dti_refcount_retain(&comm->refs);
  return comm;
}

void dti_comm_release(dti_comm **comm) {
  dti_comm *last = *comm;
  *comm = NULL;
  if (!last || !dti_refcount_release(&last->refs)) return;
  /* Whoever made it held a reference until it was closed, so there is nothing left to end. */
  dti_node_destroy(&last->node);
  dti_batch_discard(&last->control);
  free(last->attached);
  free(last->ranks);
  free(last->node_of);
  last->backend->destroy(last);
}

void dti_comm_close(dti_comm *comm) {
  if (comm->closed) return;
  comm->closed = 1;
  while (comm->groups) {
    dti_comm *group = comm->groups;
    comm->groups = group->next;
    dti_comm_close(group);
    dti_comm_release(&group);
  }
  comm->backend->close(comm);
}

dtensor_status dti_comm_check_open(const dti_comm *comm) {
  DTI_CHECK(!comm->closed, DTENSOR_EMPI, "its communicator was freed");
  return DTENSOR_OK;
}

/* This rank's place in a list of ranks, or -1. */
static int place_of(int rank, int n, const int ranks[]) {
  for (int i = 0; i < n; i++)
    if (ranks[i] == rank) return i;
  return -1;
}

static int is_everyone_in_order(const dti_comm *comm, int n, const int ranks[]) {
  for (int i = 0; i < n; i++)
    if (ranks[i] != i) return 0;
  return n == comm->size;
}

dti_comm *dti_comm_find(const dti_comm *parent, int n, const int ranks[], int is_lane) {
  for (dti_comm *group = parent->groups; group; group = group->next)
    if (group->is_lane == is_lane && group->size == n &&
        memcmp(group->ranks, ranks, (size_t)n * sizeof *ranks) == 0)
      return group;
  return NULL;
}

static dtensor_status check_ranks(const dti_comm *parent, int n, const int ranks[]) {
  for (int i = 0; i < n; i++)
    DTI_CHECK(ranks[i] >= 0 && ranks[i] < parent->size, DTENSOR_EINVAL,
              "rank %d is not one of the communicator's %d", ranks[i], parent->size);
  DTI_CHECK(place_of(parent->rank, n, ranks) >= 0, DTENSOR_EINVAL,
            "rank %d is not in the group of %d ranks that it makes", parent->rank, n);
  return DTENSOR_OK;
}

dtensor_status dti_comm_make(dti_comm *parent, int n, const int ranks[], int is_lane,
                             dti_comm **group) {
  int *copy = malloc((size_t)n * sizeof *copy);
  int *work = malloc(((size_t)n + (size_t)parent->nodes) * sizeof *work);
  dtensor_status status = DTENSOR_OK;
  if (!copy || !work) status = DTI_FAIL(DTENSOR_ENOMEM, "a group of %d ranks", n);
  status = parent->backend->group(parent, n, ranks, place_of(parent->rank, n, ranks), is_lane,
                                  status, group);
  if (status == DTENSOR_OK) {
    memcpy(copy, ranks, (size_t)n * sizeof *copy);
    (*group)->ranks = copy;
    (*group)->is_lane = is_lane;
    for (int i = 0; i < n; i++) work[i] = parent->node_of[ranks[i]];
    dti_comm_set_nodes(*group, work, parent->nodes, work + n);
  } else {
    free(copy);
  }
  free(work);
  return status;
}

void dti_comm_keep(dti_comm *parent, dti_comm *group) {
  group->next = parent->groups;
  parent->groups = group;
}

dtensor_status dti_comm_group(dti_comm *parent, int n, const int ranks[], dti_comm **comm) {
  *comm = NULL;
  DTI_TRY(dti_comm_check_open(parent));
  DTI_TRY(check_ranks(parent, n, ranks));
  if (is_everyone_in_order(parent, n, ranks)) {
    *comm = dti_comm_retain(parent);
    return DTENSOR_OK;
  }
  dti_comm *group = dti_comm_find(parent, n, ranks, 0);
  if (!group) {
    DTI_TRY(dti_comm_make(parent, n, ranks, 0, &group));
    dti_comm_keep(parent, group);
  }
  *comm = dti_comm_retain(group);
  return DTENSOR_OK;
}

void dti_comm_attach(dti_comm *comm, void *memory) {
  free(comm->attached);
  comm->attached = memory;
}

const void *dti_comm_attached(const dti_comm *comm) { return comm->attached; }

int dti_comm_next_tag(dti_comm *comm) {
  comm->tag = comm->tag < comm->tag_limit ? comm->tag + 1 : 1;
  return comm->tag;
}
