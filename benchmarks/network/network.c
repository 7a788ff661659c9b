/* network [--quick] [CSV]: run by ./run bench --network on virtual nodes, one rank on each. */
#include "benchmarks/network/network.h"

#include <omp.h>
#include <string.h>

/* The rows are about the wire: no two ranks may share memory. */
static int are_nodes_apart(MPI_Comm comm) {
  MPI_Comm node;
  int size;
  MPI_Comm_split_type(comm, MPI_COMM_TYPE_SHARED, 0, MPI_INFO_NULL, &node);
  MPI_Comm_size(node, &size);
  MPI_Comm_free(&node);
  MPI_Allreduce(MPI_IN_PLACE, &size, 1, MPI_INT, MPI_MAX, comm);
  return size == 1;
}

int main(int argc, char **argv) {
  network w = {.comm = MPI_COMM_WORLD};
  int level;
  MPI_Init_thread(&argc, &argv, MPI_THREAD_FUNNELED, &level);
  MPI_Comm_rank(w.comm, &w.rank);
  MPI_Comm_size(w.comm, &w.ranks);
  const char *csv = NULL;
  for (int i = 1; i < argc; i++)
    if (strcmp(argv[i], "--quick") == 0)
      w.quick = 1;
    else
      csv = argv[i];
  if (w.ranks < 2 || !are_nodes_apart(w.comm)) {
    if (w.rank == 0) fprintf(stderr, "network: needs two nodes or more, with one rank on each\n");
    MPI_Finalize();
    return 2;
  }
  network_ok(&w, dtensor_init_device_mesh(w.comm, 1, (int64_t[]){-1}, NULL, &w.mesh), "mesh");
  w.threads = dtensor_mesh_threads(w.mesh);
  omp_set_num_threads(w.threads); /* the peers get what the library takes */
  if (w.rank == 0 && csv) w.csv = measure_csv_open(w.comm, csv);

  network_print_header(&w);
  network_wire(&w);
  network_measure_compute(&w);
  network_overlap(&w);
  network_matmul(&w);
  dtensor_mesh_destroy(&w.mesh);
  if (w.csv) fclose(w.csv);
  if (w.rank == 0 && (w.failed || w.missed))
    fprintf(stderr, "%d wrong results, %d missed goals\n", w.failed, w.missed);
  MPI_Finalize();
  return w.failed ? 1 : 0;
}
