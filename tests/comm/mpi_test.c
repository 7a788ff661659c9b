/* What only MPI has: communicators of the user's, and their end. */
#include <dtensor/mesh.h>
#include <dtensor/sim.h>
#include <stdlib.h>

#include "dtensor/comm/comm.h"
#include "tests/harness/dtest.h"

/* One duplicate serves all meshes of a communicator, and other communicators have their own. */
DTEST(Mpi, DuplicatesOnce) {
  dti_comm *first, *second, *other;
  MPI_Comm another;
  MPI_Comm_dup(dtest_comm(), &another);
  REQUIRE_OK(dti_comm_from_mpi(dtest_comm(), &first));
  REQUIRE_OK(dti_comm_from_mpi(dtest_comm(), &second));
  REQUIRE_OK(dti_comm_from_mpi(another, &other));
  EXPECT_TRUE(first == second);
  EXPECT_TRUE(other != first);
  int relation;
  MPI_Comm_compare(dtest_comm(), dti_comm_mpi(first), &relation);
  EXPECT_EQ(relation, MPI_CONGRUENT);
  dti_comm_release(&second);
  dti_comm_release(&first);
  REQUIRE_OK(dti_comm_from_mpi(dtest_comm(), &first)); /* still cached */
  EXPECT_OK(dti_comm_agree(first, DTENSOR_OK));
  dti_comm_release(&first);
  dti_comm_release(&other);
  MPI_Comm_free(&another);
}

/* Messages of two communicators with the same ranks and tags do not mix. */
DTEST(Mpi, CommunicatorsAreIsolated) {
  MPI_Comm user[2] = {dtest_comm(), MPI_COMM_NULL};
  MPI_Comm_dup(dtest_comm(), &user[1]);
  const int peer = dtest_size() - 1 - dtest_rank();
  dti_comm *comm[2];
  dti_batch *batch[2];
  int out[2] = {10, 20}, in[2] = {0, 0};
  for (int i = 0; i < 2; i++) {
    REQUIRE_OK(dti_comm_from_mpi(user[i], &comm[i]));
    REQUIRE_OK(dti_batch_create(comm[i], 2, NULL, &batch[i]));
    EXPECT_OK(dti_batch_send(batch[i], &out[i], sizeof(int), peer, 1));
  }
  for (int i = 1; i >= 0; i--) EXPECT_OK(dti_batch_recv(batch[i], &in[i], sizeof(int), peer, 1));
  for (int i = 1; i >= 0; i--) {
    EXPECT_OK(dti_batch_wait(batch[i]));
    EXPECT_EQ(in[i], out[i]);
    dti_batch_destroy(&batch[i]);
    dti_comm_release(&comm[i]);
  }
  MPI_Comm_free(&user[1]);
}

static int errors_return(MPI_Comm comm) {
  MPI_Errhandler handler;
  MPI_Comm_get_errhandler(comm, &handler);
  const int is = handler == MPI_ERRORS_RETURN;
  MPI_Errhandler_free(&handler);
  return is;
}

DTEST(Mpi, ErrorHandlerIsSetOnOursOnly) {
  dti_comm *comm;
  REQUIRE_OK(dti_comm_from_mpi(dtest_comm(), &comm));
  EXPECT_TRUE(errors_return(dti_comm_mpi(comm)));
  EXPECT_FALSE(errors_return(dtest_comm()));
  dti_comm_release(&comm);
}

DTEST(Mpi, FailuresOfMpiAreReported) {
  dti_comm *comm;
  dti_batch *batch;
  REQUIRE_OK(dti_comm_from_mpi(dtest_comm(), &comm));
  REQUIRE_OK(dti_batch_create(comm, 1, NULL, &batch));
  EXPECT_STATUS(DTENSOR_EMPI, dti_batch_send(batch, NULL, 0, 0, -77)); /* no such tag */
  EXPECT_CONTAINS(dtensor_last_error(), "MPI_Isend: ");
  dti_batch_destroy(&batch);
  dti_comm_release(&comm);
}

/* There in a build that looks for leaks: Open MPI leaks a name in MPI_Intercomm_create. */
void __lsan_disable(void) __attribute__((weak));
void __lsan_enable(void) __attribute__((weak));

DTEST(Mpi, BadCommunicators) {
  dti_comm *comm;
  EXPECT_STATUS(DTENSOR_EINVAL, dti_comm_from_mpi(MPI_COMM_NULL, &comm));
  EXPECT_NULL(comm);
  if (dtest_size() < 2) return;
  MPI_Comm half, inter;
  MPI_Comm_split(dtest_comm(), dtest_rank() == 0, 0, &half);
  if (__lsan_disable) __lsan_disable();
  MPI_Intercomm_create(half, 0, dtest_comm(), dtest_rank() == 0, 3, &inter);
  if (__lsan_enable) __lsan_enable();
  EXPECT_STATUS(DTENSOR_EINVAL, dti_comm_from_mpi(inter, &comm));
  EXPECT_CONTAINS(dtensor_last_error(), "intercommunicator");
  MPI_Comm_free(&inter);
  MPI_Comm_free(&half);
}

/* The user frees the communicator; meshes stay valid, and say what has happened. */
DTEST(Mpi, FreedCommunicator) {
  MPI_Comm user;
  MPI_Comm_dup(dtest_comm(), &user);
  dtensor_mesh *mesh = NULL;
  dti_comm *comm, *alone;
  dti_batch *batch;
  REQUIRE_OK(dtensor_init_device_mesh(user, 1, (int64_t[]){-1}, NULL, &mesh));
  REQUIRE_OK(dti_comm_from_mpi(user, &comm));
  REQUIRE_OK(dti_comm_group(comm, 1, (int[]){dtest_rank()}, &alone));
  REQUIRE_OK(dti_batch_create(comm, 1, NULL, &batch));
  EXPECT_TRUE(dtensor_mesh_comm(mesh, -1) != MPI_COMM_NULL);
  MPI_Comm_free(&user);

  EXPECT_STATUS(DTENSOR_EMPI, dti_comm_agree(comm, DTENSOR_OK));
  EXPECT_CONTAINS(dtensor_last_error(), "its communicator was freed");
  EXPECT_STATUS(DTENSOR_EMPI, dti_comm_agree(alone, DTENSOR_OK));
  EXPECT_STATUS(DTENSOR_EMPI, dti_batch_send(batch, NULL, 0, 0, 1));
  EXPECT_TRUE(dtensor_mesh_comm(mesh, -1) == MPI_COMM_NULL);
  EXPECT_EQ(dtensor_mesh_size(mesh, -1), dtest_size());
  dti_batch_destroy(&batch);
  dtensor_mesh_destroy(&mesh);
  dti_comm_release(&alone);
  dti_comm_release(&comm);
}

/* What is in flight when the user frees the communicator arrives. */
DTEST(Mpi, FreedWhileInFlight) {
  MPI_Comm user;
  MPI_Comm_dup(dtest_comm(), &user);
  dti_comm *comm;
  dti_batch *batch;
  const int peer = dtest_size() - 1 - dtest_rank();
  enum { BYTES = 1 << 20 };
  char *out = calloc(BYTES, 1), *in = malloc(BYTES);
  out[BYTES - 1] = (char)(1 + dtest_rank());
  REQUIRE_OK(dti_comm_from_mpi(user, &comm));
  REQUIRE_OK(dti_batch_create(comm, 2, NULL, &batch));
  EXPECT_OK(dti_batch_recv(batch, in, BYTES, peer, 1));
  EXPECT_OK(dti_batch_send(batch, out, BYTES, peer, 1));
  MPI_Comm_free(&user);
  EXPECT_OK(dti_batch_wait(batch));
  EXPECT_EQ(in[BYTES - 1], 1 + peer);
  dti_batch_destroy(&batch);
  dti_comm_release(&comm);
  free(out);
  free(in);
}

static dtensor_status simulated(dtensor_sim *rank, void *ctx) {
  dtensor_mesh *mesh = NULL, *of_mpi = NULL;
  dtest_set_sim_rank(dtensor_sim_rank(rank), dtensor_sim_size(rank));
  SIM_REQUIRE_OK(dtensor_sim_init_device_mesh(rank, 1, (int64_t[]){-1}, NULL, &mesh));
  dtensor_mesh_destroy(&mesh);
  const MPI_Comm *comm = ctx;
  SIM_REQUIRE_STATUS(DTENSOR_EMPI,
                     dtensor_init_device_mesh(*comm, 1, (int64_t[]){-1}, NULL, &of_mpi));
  EXPECT_CONTAINS(dtensor_last_error(), "not the thread that initialised MPI");
  return DTENSOR_OK;
}

/* Simulated ranks run beside MPI; their threads are not MPI's. */
DTEST(Mpi, SimulatedRanksInAnMpiProcess) {
  MPI_Comm comm = dtest_comm();
  REQUIRE_OK(dtensor_sim_run(3, simulated, &comm));
}

/* Meshes that nobody destroys before MPI_Finalize. */
static dtensor_mesh *late[2];
static dti_batch *late_batch;
static dti_comm *late_comm;

DTEST(Mpi, LeftForFinalize) {
  static MPI_Comm never_freed;
  MPI_Comm_dup(dtest_comm(), &never_freed);
  REQUIRE_OK(dtensor_init_device_mesh(never_freed, 1, (int64_t[]){-1}, NULL, &late[0]));
  REQUIRE_OK(dtensor_init_device_mesh(MPI_COMM_SELF, 1, (int64_t[]){1}, NULL, &late[1]));
  REQUIRE_OK(dti_comm_from_mpi(never_freed, &late_comm));
  REQUIRE_OK(dti_batch_create(late_comm, 1, NULL, &late_batch));
  EXPECT_TRUE(dtensor_mesh_comm(late[1], -1) != MPI_COMM_NULL);
}

/* Runs after main, which finalises MPI. */
__attribute__((destructor)) static void after_finalize(void) {
  if (!late_comm) return;
  int finalised = 0;
  MPI_Finalized(&finalised);
  dtensor_mesh *mesh;
  if (!finalised || dti_comm_agree(late_comm, DTENSOR_OK) != DTENSOR_EMPI ||
      dtensor_mesh_comm(late[0], -1) != MPI_COMM_NULL ||
      dtensor_mesh_comm(late[1], 0) != MPI_COMM_NULL ||
      dtensor_init_device_mesh(MPI_COMM_SELF, 1, (int64_t[]){1}, NULL, &mesh) != DTENSOR_EMPI)
    abort();
  dti_batch_destroy(&late_batch);
  dti_comm_release(&late_comm);
  for (int i = 1; i >= 0; i--) dtensor_mesh_destroy(&late[i]);
}
