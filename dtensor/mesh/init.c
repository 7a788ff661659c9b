/* The public constructors: where the root communicator comes from differs, the rest does not. */
#include "dtensor/base/fail.h"
#include "dtensor/comm/sim.h"
#include "dtensor/mesh/build.h"

static dti_mesh_args all_ranks(int ndim, const int64_t shape[], const dtensor_mesh_opts *opts) {
  return (dti_mesh_args){.ndim = ndim, .shape = shape, .opts = opts};
}

static dti_mesh_args chosen_ranks(int ndim, const int64_t shape[], const int ranks[],
                                  const dtensor_mesh_opts *opts) {
  return (dti_mesh_args){.ndim = ndim, .shape = shape, .chosen = 1, .ranks = ranks, .opts = opts};
}

static dtensor_status build_mpi(MPI_Comm comm, dti_mesh_args args, dtensor_mesh **mesh) {
  if (mesh) *mesh = NULL;
  dti_comm *root;
  DTI_TRY(dti_comm_from_mpi(comm, &root));
  return dti_mesh_build(root, &args, mesh);
}

static dtensor_status build_fortran(MPI_Fint comm, dti_mesh_args args, dtensor_mesh **mesh) {
  if (mesh) *mesh = NULL;
  dti_comm *root;
  DTI_TRY(dti_comm_from_fortran(comm, &root));
  return dti_mesh_build(root, &args, mesh);
}

static dtensor_status build_sim(dtensor_sim *rank, dti_mesh_args args, dtensor_mesh **mesh) {
  if (mesh) *mesh = NULL;
  DTI_CHECK(rank, DTENSOR_EINVAL, "there is no simulated rank");
  return dti_mesh_build(dti_comm_retain(dti_sim_comm(rank)), &args, mesh);
}

dtensor_status dtensor_init_device_mesh(MPI_Comm comm, int ndim, const int64_t shape[],
                                        const dtensor_mesh_opts *opts, dtensor_mesh **mesh) {
  DTI_API();
  return build_mpi(comm, all_ranks(ndim, shape, opts), mesh);
}

dtensor_status dtensor_mesh_from_ranks(MPI_Comm comm, int ndim, const int64_t shape[],
                                       const int ranks[], const dtensor_mesh_opts *opts,
                                       dtensor_mesh **mesh) {
  DTI_API();
  return build_mpi(comm, chosen_ranks(ndim, shape, ranks, opts), mesh);
}

dtensor_status dtensor_init_device_mesh_f(MPI_Fint comm, int ndim, const int64_t shape[],
                                          const dtensor_mesh_opts *opts, dtensor_mesh **mesh) {
  DTI_API();
  return build_fortran(comm, all_ranks(ndim, shape, opts), mesh);
}

dtensor_status dtensor_mesh_from_ranks_f(MPI_Fint comm, int ndim, const int64_t shape[],
                                         const int ranks[], const dtensor_mesh_opts *opts,
                                         dtensor_mesh **mesh) {
  DTI_API();
  return build_fortran(comm, chosen_ranks(ndim, shape, ranks, opts), mesh);
}

dtensor_status dtensor_sim_init_device_mesh(dtensor_sim *rank, int ndim, const int64_t shape[],
                                            const dtensor_mesh_opts *opts, dtensor_mesh **mesh) {
  DTI_API();
  return build_sim(rank, all_ranks(ndim, shape, opts), mesh);
}

dtensor_status dtensor_sim_mesh_from_ranks(dtensor_sim *rank, int ndim, const int64_t shape[],
                                           const int ranks[], const dtensor_mesh_opts *opts,
                                           dtensor_mesh **mesh) {
  DTI_API();
  return build_sim(rank, chosen_ranks(ndim, shape, ranks, opts), mesh);
}
