#include <limits.h>
#include <stdlib.h>

#include "dtensor/base/arena.h"
#include "dtensor/comm/mpi_internal.h"

static void close_comm(dti_comm *base) {
  mpi_comm *comm = (mpi_comm *)base;
  if (comm->comm != MPI_COMM_NULL) MPI_Comm_free(&comm->comm);
}

static void destroy_comm(dti_comm *base) { free(base); }

/* Whether every rank has got as far as this one: there is no handle yet that could agree. */
static dtensor_status agree_over(MPI_Comm comm, dtensor_status mine) {
  int rank;
  MPI_Comm_rank(comm, &rank);
  int64_t value = dti_agree_value(mine, rank);
  DTI_TRY_MPI(MPI_Allreduce(MPI_IN_PLACE, &value, 1, MPI_INT64_T, MPI_MIN, comm));
  return dti_agree_verdict(mine, value);
}

static dtensor_status group_comm(dti_comm *parent_, int n, const int ranks[], int rank, int is_lane,
                                 dtensor_status mine, dti_comm **comm) {
  (void)rank, (void)is_lane; /* MPI numbers them in the order of the list too */
  *comm = NULL;
  const MPI_Comm parent = ((mpi_comm *)parent_)->comm;
  MPI_Group everybody, group;
  DTI_TRY_MPI(MPI_Comm_group(parent, &everybody));
  int code = MPI_Group_incl(everybody, n, ranks, &group);
  MPI_Group_free(&everybody);
  if (code != MPI_SUCCESS) return dti_mpi_fail(code, __FILE__, __LINE__, "MPI_Group_incl");
  MPI_Comm ours;
  code = MPI_Comm_create_group(parent, group, 0, &ours);
  MPI_Group_free(&group);
  if (code != MPI_SUCCESS) return dti_mpi_fail(code, __FILE__, __LINE__, "MPI_Comm_create_group");
  const dtensor_status made = dti_mpi_comm_create(ours, comm);
  const dtensor_status status = agree_over(ours, mine != DTENSOR_OK ? mine : made);
  if (status == DTENSOR_OK) return DTENSOR_OK;
  MPI_Comm_free(&ours);
  if (*comm) ((mpi_comm *)*comm)->comm = MPI_COMM_NULL;
  dti_comm_release(comm);
  return status;
}

static MPI_Comm mpi_of(const dti_comm *comm) { return ((const mpi_comm *)comm)->comm; }

static const dti_backend backend = {
    .close = close_comm,
    .destroy = destroy_comm,
    .group = group_comm,
    .mpi = mpi_of,
    .card = dti_mpi_card,
    .reach = dti_mpi_reach,
    .let_go = dti_mpi_let_go,
    .export_memory = dti_arena_offset,
    .check = dti_mpi_check,
    .batch_create = dti_mpi_batch_create,
    .send = dti_mpi_send,
    .recv = dti_mpi_recv,
    .allreduce = dti_mpi_allreduce,
    .allgather = dti_mpi_allgather,
    .alltoallv = dti_mpi_alltoallv,
    .allgatherv = dti_mpi_allgatherv,
    .test = dti_mpi_test,
    .idle = dti_mpi_idle,
    .batch_destroy = dti_mpi_batch_destroy,
};

dtensor_status dti_mpi_comm_create(MPI_Comm ours, dti_comm **out) {
  *out = NULL;
  MPI_Comm_set_errhandler(ours, MPI_ERRORS_RETURN);
  int rank, size, found = 0, *tag_limit = NULL;
  MPI_Comm_rank(ours, &rank);
  MPI_Comm_size(ours, &size);
  mpi_comm *comm = calloc(1, sizeof *comm);
  dtensor_status status = comm ? dti_comm_init(&comm->base, &backend, rank, size)
                               : DTI_FAIL(DTENSOR_ENOMEM, "a communicator of %d ranks", size);
  if (status != DTENSOR_OK) {
    free(comm);
    return status;
  }
  comm->comm = ours;
  MPI_Comm_get_attr(ours, MPI_TAG_UB, &tag_limit, &found);
  if (found) comm->base.tag_limit = *tag_limit;
  *out = &comm->base;
  return DTENSOR_OK;
}

/* Messages show a rank's number in the largest communicator that it has given us. */
static void show_rank(const dti_comm *comm) {
  static int shown;
  if (comm->size < shown) return;
  shown = comm->size;
  dti_fail_set_rank(comm->rank, comm->size);
}

/* Undo what this rank has made of a duplicate that not all ranks have. */
static void drop_duplicate(MPI_Comm user, MPI_Comm ours, dti_comm *comm) {
  dti_comm *in_cache = NULL;
  if (comm && dti_mpi_cache_get(user, &in_cache) == DTENSOR_OK && in_cache == comm)
    dti_mpi_cache_drop(user); /* frees ours too */
  else
    MPI_Comm_free(&ours);
  dti_comm_release(&comm);
}

/* DTENSOR_RANKS_PER_NODE=k, for tests: every k ranks of a node are one. Else all of them. */
static int ranks_per_node(void) {
  const char *setting = getenv("DTENSOR_RANKS_PER_NODE");
  const long k = setting ? strtol(setting, NULL, 10) : 0;
  return k > 0 && k < INT_MAX ? (int)k : INT_MAX;
}

/* Each rank's node has for key its lowest rank. key: two for each rank. */
static dtensor_status find_nodes(dti_comm *comm, int key[]) {
  const MPI_Comm all = mpi_of(comm);
  MPI_Comm node;
  DTI_TRY_MPI(MPI_Comm_split_type(all, MPI_COMM_TYPE_SHARED, comm->rank, MPI_INFO_NULL, &node));
  int rank_on_node;
  MPI_Comm_rank(node, &rank_on_node);
  int code = MPI_Allgather(&comm->rank, 1, MPI_INT, key, 1, MPI_INT, node);
  MPI_Comm_free(&node);
  if (code != MPI_SUCCESS) return dti_mpi_fail(code, __FILE__, __LINE__, "MPI_Allgather");
  const int k = ranks_per_node();
  const int lowest = key[rank_on_node / k * k];
  DTI_TRY_MPI(MPI_Allgather(&lowest, 1, MPI_INT, key, 1, MPI_INT, all));
  dti_comm_set_nodes(comm, key, comm->size, key + comm->size);
  return DTENSOR_OK;
}

/* With one reference for the cache and one for the caller. */
static dtensor_status duplicate(MPI_Comm user, dti_comm **out) {
  MPI_Comm ours;
  DTI_TRY_MPI(MPI_Comm_dup(user, &ours));
  dti_comm *comm;
  dtensor_status status = dti_mpi_comm_create(ours, &comm);
  if (status == DTENSOR_OK) status = dti_mpi_cache_put(user, comm);
  int *key = status == DTENSOR_OK ? malloc(2 * (size_t)comm->size * sizeof *key) : NULL;
  if (status == DTENSOR_OK && !key)
    status = DTI_FAIL(DTENSOR_ENOMEM, "the nodes of %d ranks", comm->size);
  status = agree_over(ours, status);
  if (status == DTENSOR_OK) status = agree_over(ours, find_nodes(comm, key));
  free(key);
  if (status != DTENSOR_OK) {
    drop_duplicate(user, ours, comm);
    return status;
  }
  show_rank(comm);
  *out = comm;
  return DTENSOR_OK;
}

dtensor_status dti_comm_from_mpi(MPI_Comm user, dti_comm **comm) {
  *comm = NULL;
  DTI_TRY(dti_mpi_ready());
  DTI_CHECK(user != MPI_COMM_NULL, DTENSOR_EINVAL, "the communicator is MPI_COMM_NULL");
  int inter = 0;
  DTI_TRY_MPI(MPI_Comm_test_inter(user, &inter));
  DTI_CHECK(!inter, DTENSOR_EINVAL, "the communicator is an intercommunicator; merge it first");
  dti_comm *cached;
  DTI_TRY(dti_mpi_cache_get(user, &cached));
  if (!cached) return duplicate(user, comm);
  *comm = dti_comm_retain(cached);
  return DTENSOR_OK;
}

dtensor_status dti_comm_from_fortran(MPI_Fint user, dti_comm **comm) {
  *comm = NULL;
  DTI_TRY(dti_mpi_ready()); /* before it, an integer cannot be made a communicator */
  return dti_comm_from_mpi(MPI_Comm_f2c(user), comm);
}
