/* network [--quick] [--csv FILE] [GROUP...]: run by ./run bench --network on virtual nodes. Groups
 * of rows: overlap and matmul with one rank on each node, engines and by_node with several; those
 * that can be if none is named. */
#include "benchmarks/network/network.h"

#include <omp.h>
#include <stdlib.h>
#include <string.h>

/* The most ranks on a node. */
static int ranks_per_node(MPI_Comm comm) {
  MPI_Comm node;
  int size;
  MPI_Comm_split_type(comm, MPI_COMM_TYPE_SHARED, 0, MPI_INFO_NULL, &node);
  MPI_Comm_size(node, &size);
  MPI_Comm_free(&node);
  MPI_Allreduce(MPI_IN_PLACE, &size, 1, MPI_INT, MPI_MAX, comm);
  return size;
}

static const struct {
  const char *name;
  void (*run)(network *w);
  int shares_nodes; /* else its rows are about the wire: no two ranks may share memory */
} groups[] = {{"overlap", network_overlap, 0},
              {"matmul", network_matmul, 0},
              {"engines", network_engines, 1},
              {"by_node", network_matmul_by_node, 1}};
enum { GROUPS = sizeof groups / sizeof *groups };

static void refuse(const network *w, const char *why) {
  if (w->rank == 0) fprintf(stderr, "network: %s\n", why);
  MPI_Finalize();
  exit(2);
}

/* Which groups are named, as bits; *csv the file, if one is given. */
static unsigned read_arguments(network *w, int argc, char **argv, const char **csv) {
  unsigned named = 0;
  for (int i = 1; i < argc; i++) {
    if (strcmp(argv[i], "--quick") == 0) {
      w->quick = 1;
      continue;
    }
    if (strcmp(argv[i], "--csv") == 0 && i + 1 < argc) {
      *csv = argv[++i];
      continue;
    }
    unsigned group = 0;
    for (int g = 0; g < GROUPS; g++)
      if (strcmp(argv[i], groups[g].name) == 0) group = 1u << g;
    if (group == 0) refuse(w, "usage: network [--quick] [--csv FILE] [GROUP...]");
    named |= group;
  }
  return named > 0 ? named : ~0u;
}

int main(int argc, char **argv) {
  network w = {.comm = MPI_COMM_WORLD};
  int level;
  MPI_Init_thread(&argc, &argv, MPI_THREAD_FUNNELED, &level);
  MPI_Comm_rank(w.comm, &w.rank);
  MPI_Comm_size(w.comm, &w.ranks);
  const char *csv = NULL;
  const unsigned named = read_arguments(&w, argc, argv, &csv);
  const int per_node = ranks_per_node(w.comm);
  if (w.ranks == per_node) refuse(&w, "needs two nodes or more");
  network_ok(&w, dtensor_init_device_mesh(w.comm, 1, (int64_t[]){-1}, NULL, &w.mesh), "mesh");
  w.threads = dtensor_mesh_threads(w.mesh);
  omp_set_num_threads(w.threads); /* the peers get what the library takes */
  if (w.rank == 0 && csv) w.csv = measure_csv_open(w.comm, csv);

  network_print_header(&w);
  if (per_node == 1) {
    network_wire(&w);
    network_measure_compute(&w);
    network_measure_traffic(&w);
  }
  for (int g = 0; g < GROUPS; g++)
    if (named & (1u << g) && groups[g].shares_nodes == (per_node > 1)) groups[g].run(&w);
  dtensor_mesh_destroy(&w.mesh);
  if (w.csv) fclose(w.csv);
  if (w.rank == 0 && (w.failed || w.missed))
    fprintf(stderr, "%d wrong results, %d missed goals\n", w.failed, w.missed);
  MPI_Finalize();
  return w.failed ? 1 : 0;
}
