/* The density matrix of a carbon molecule by SP2 purification, on a mesh of MPI ranks. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "console.h"
#include "flake.h"
#include "hueckel.h"
#include "options.h"
#include "report.h"
#include "xyz.h"

/* Above it the reference, on one rank, would take longer than the purification on all. */
enum { REFERENCE_ATOMS = 2000 };

static const char default_molecule[] = "examples/purify/c60.xyz";

typedef struct program {
  MPI_Comm comm;
  int rank, ranks;
  options options;
  molecule molecule;
  bonds bonds;
  int64_t mesh_rows, mesh_columns;
  dtensor_mesh *mesh;
  dtensor *hamiltonian, *density;
  sp2_options sp2;
  sp2_run run;
  timeline timeline;
  double *bond_order;
  heat_map heat;
  report report;
} program;

#define TRY(expression)                               \
  do {                                                \
    const outcome result_ = (expression);             \
    if (result_.code != OUTCOME_FINE) return result_; \
  } while (0)

/* From the root of the repository, from Bazel's runfiles (old and new names), or beside the
 * program. */
static outcome read_default(const char *program_path, molecule *m) {
  const char *slash = strrchr(program_path, '/');
  const int folder = slash ? (int)(slash - program_path) + 1 : 0;
  char places[4][4096];
  snprintf(places[0], sizeof places[0], "%s", default_molecule);
  snprintf(places[1], sizeof places[1], "%s.runfiles/dtensor/%s", program_path, default_molecule);
  snprintf(places[2], sizeof places[2], "%s.runfiles/_main/%s", program_path, default_molecule);
  snprintf(places[3], sizeof places[3], "%.*sc60.xyz", folder, program_path);
  for (int i = 0; i < 4; i++)
    if (access(places[i], R_OK) == 0) return xyz_read(places[i], m);
  return xyz_read(default_molecule, m);
}

static outcome load_molecule(program *p, const char *program_path) {
  const options *o = &p->options;
  outcome result = outcome_fine();
  if (p->rank == 0)
    result = o->flake ? flake_build(o->flake, &p->molecule)
             : o->xyz ? xyz_read(o->xyz, &p->molecule)
                      : read_default(program_path, &p->molecule);
  TRY(outcome_agree(p->comm, result));
  TRY(molecule_broadcast(p->comm, &p->molecule));
  return outcome_agree(p->comm, bonds_find(&p->molecule, &p->bonds));
}

/* Every rank has the same molecule and options, so all of them come to the same verdict. */
static outcome count_electrons(program *p) {
  const int64_t atoms = p->molecule.atoms, electrons = atoms - p->options.charge;
  if (p->bonds.most == 0)
    return outcome_fail(OUTCOME_BAD_INPUT, "%s: no two of the %" PRId64 " carbon atoms are bonded",
                        p->molecule.name, atoms);
  if (electrons <= 0 || electrons >= 2 * atoms)
    return outcome_fail(OUTCOME_BAD_INPUT,
                        "%" PRId64 " pi electrons in the %" PRId64
                        " orbitals of %s: none would be occupied, or all",
                        electrons, atoms, p->molecule.name);
  if (electrons % 2)
    return outcome_fail(OUTCOME_BAD_INPUT,
                        "%s has an odd number of pi electrons, %" PRId64
                        ": only closed shells can be purified (see --charge)",
                        p->molecule.name, electrons);
  p->sp2 = (sp2_options){.bound = hueckel_bound(&p->bonds),
                         .occupied = (double)(electrons / 2),
                         .tolerance = p->options.tolerance,
                         .max_iterations = (int)p->options.max_iterations};
  return outcome_fine();
}

/* As square as possible, unless the user says otherwise. */
static outcome choose_mesh(program *p) {
  p->mesh_rows = p->options.mesh_rows;
  p->mesh_columns = p->options.mesh_columns;
  if (p->mesh_rows == 0) {
    for (int64_t rows = 1; rows * rows <= p->ranks; rows++)
      if (p->ranks % rows == 0) p->mesh_rows = rows;
    p->mesh_columns = p->ranks / p->mesh_rows;
  }
  if (p->mesh_rows * p->mesh_columns != p->ranks)
    return outcome_fail(OUTCOME_BAD_INPUT,
                        "a mesh of %" PRId64 "x%" PRId64 " needs %" PRId64 " ranks, there are %d",
                        p->mesh_rows, p->mesh_columns, p->mesh_rows * p->mesh_columns, p->ranks);
  return outcome_fine();
}

static outcome build_hamiltonian(program *p) {
  const int64_t shape[] = {p->mesh_rows, p->mesh_columns};
  const dtensor_placement layout[] = {dtensor_shard(0), dtensor_shard(1)};
  TRY(outcome_of(dtensor_init_device_mesh(p->comm, 2, shape, NULL, &p->mesh)));
  const dtensor_status status = hueckel_hamiltonian(p->mesh, &p->bonds, layout, &p->hamiltonian);
  return outcome_agree_status(p->comm, status);
}

static void print_introduction(const program *p) {
  if (p->rank != 0) return;
  printf("%s: %" PRId64 " carbon atoms, %.0f pi electrons\n", p->molecule.name, p->molecule.atoms,
         2 * p->sp2.occupied);
  if (p->molecule.skipped)
    printf("%" PRId64 " other atoms are left out: they bring no pi electrons\n",
           p->molecule.skipped);
  printf("%d rank%s x %d thread%s, device mesh %" PRId64 " x %" PRId64 "\n\n", p->ranks,
         p->ranks == 1 ? "" : "s", dtensor_mesh_threads(p->mesh),
         dtensor_mesh_threads(p->mesh) == 1 ? "" : "s", p->mesh_rows, p->mesh_columns);
  fflush(stdout);
}

static outcome purify(program *p) {
  console table = {.is_silent = p->rank != 0,
                   .has_bar = p->options.progress || console_is_terminal(),
                   .atoms = (double)p->molecule.atoms,
                   .tolerance = p->options.tolerance};
  p->sp2.on_step = console_table_row;
  p->sp2.ctx = &table;
  p->run.steps = calloc((size_t)p->sp2.max_iterations, sizeof *p->run.steps);
  outcome result = outcome_fine();
  if (!p->run.steps) result = outcome_fail(OUTCOME_FAILED, "no memory for the iterations");
  TRY(outcome_agree(p->comm, result));

  dtensor_memory_reset_peak();
  console_table_begin(&table);
  timeline_start(p->comm, &p->timeline);
  result = sp2_purify(p->comm, p->hamiltonian, &p->sp2, &p->run, &p->density);
  timeline_stop();
  console_table_end(&table);
  return result;
}

static outcome find_reference(program *p) {
  const int is_wanted = p->options.reference == 1 ||
                        (p->options.reference == -1 && p->molecule.atoms <= REFERENCE_ATOMS);
  outcome result = outcome_fine();
  if (p->rank == 0 && is_wanted)
    result = reference_solve(&p->bonds, (int64_t)p->sp2.occupied, &p->report.reference);
  return outcome_agree(p->comm, result);
}

static void print_energy(const program *p) {
  if (p->rank != 0) return;
  const report *r = &p->report;
  char bytes[CONSOLE_BYTES];
  printf("pi energy       %.8f |beta|\n", r->energy);
  if (r->reference.is_known) {
    printf("LAPACK          %.8f |beta|, difference %.1e\n", -r->reference.energy,
           r->energy + r->reference.energy);
    printf("HOMO-LUMO gap   %.6f |beta|\n", r->reference.lumo - r->reference.homo);
  }
  printf("peak memory     %s of tensors on a rank\n", console_bytes(r->peak_memory, bytes));
}

/* What the report needs of all ranks, and the report, on rank 0. */
static outcome make_report(program *p, const char *verdict) {
  dtensor_memory_info memory;
  dtensor_memory_stats(&memory);
  int64_t peak = memory.peak;
  MPI_Allreduce(MPI_IN_PLACE, &peak, 1, MPI_INT64_T, MPI_MAX, p->comm);
  density_heat_map(p->comm, p->density, &p->heat);
  TRY(density_bond_orders(p->comm, p->density, &p->bonds, &p->bond_order));
  TRY(timeline_gather(p->comm, &p->timeline));

  report *r = &p->report;
  r->molecule = &p->molecule;
  r->bonds = &p->bonds;
  r->bond_order = p->bond_order;
  r->density = p->density;
  r->heat = &p->heat;
  r->options = &p->sp2;
  r->run = &p->run;
  r->verdict = verdict;
  r->timeline = &p->timeline;
  r->ranks = p->ranks;
  r->threads = dtensor_mesh_threads(p->mesh);
  r->mesh_rows = p->mesh_rows;
  r->mesh_columns = p->mesh_columns;
  r->peak_memory = (double)peak;
  if (*verdict == '\0') print_energy(p);
  outcome result = outcome_fine();
  if (p->rank == 0) result = report_write(p->options.report, r);
  TRY(outcome_agree(p->comm, result));
  if (p->rank == 0) printf("report          %s\n", p->options.report);
  return outcome_fine();
}

static outcome solve(program *p, const char *program_path) {
  outcome result = outcome_fine();
  if (p->rank == 0) result = report_check(p->options.report);
  TRY(outcome_agree(p->comm, result));
  TRY(choose_mesh(p));
  TRY(load_molecule(p, program_path));
  TRY(count_electrons(p));
  TRY(build_hamiltonian(p));
  print_introduction(p);

  const outcome purified = purify(p);
  if (purified.code == OUTCOME_FAILED) return purified;
  double energy = 0;
  TRY(sp2_energy(p->comm, p->density, p->hamiltonian, &energy));
  p->report.energy = -energy;
  TRY(find_reference(p));
  TRY(make_report(p, purified.text));
  return purified;
}

static void clean_up(program *p) {
  dtensor_destroy(&p->density);
  dtensor_destroy(&p->hamiltonian);
  dtensor_mesh_destroy(&p->mesh);
  bonds_free(&p->bonds);
  molecule_free(&p->molecule);
  timeline_free(&p->timeline);
  free(p->run.steps);
  free(p->bond_order);
}

int main(int argc, char *argv[]) {
  static program p; /* the heat map is large for a stack */
  int threading = 0;
  MPI_Init_thread(&argc, &argv, MPI_THREAD_FUNNELED, &threading);
  p.comm = MPI_COMM_WORLD;
  MPI_Comm_rank(p.comm, &p.rank);
  MPI_Comm_size(p.comm, &p.ranks);

  outcome result = outcome_agree(p.comm, options_parse(argc, argv, &p.options));
  if (!result.code && p.options.help) {
    if (p.rank == 0) fputs(options_help, stdout);
  } else if (!result.code) {
    result = solve(&p, argv[0]);
  }
  if (result.code && p.rank == 0) {
    fflush(stdout);
    fprintf(stderr, "purify: %s\n", result.text);
  }
  clean_up(&p);
  MPI_Finalize();
  return result.code;
}
