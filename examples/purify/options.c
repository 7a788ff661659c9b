#include "options.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "flake.h"

const char options_help[] =
    "Usage: purify [option...] [molecule.xyz]\n"
    "\n"
    "The density matrix of a carbon molecule's pi electrons (Hueckel), by SP2 purification:\n"
    "nothing but matrix products, distributed over the ranks of mpirun. Without an argument, of\n"
    "C60, whose energy is known.\n"
    "\n"
    "  --flake N            a hexagonal graphene flake of 18 N (N-1) + 6 atoms\n"
    "  --charge Q           take Q electrons away (default 0)\n"
    "  --mesh RxC           device mesh (default: as square as possible)\n"
    "  --tolerance T        stop below this idempotency error (default 1e-11)\n"
    "  --max-iterations N   (default 200)\n"
    "  --report FILE        where the report goes (default report.html)\n"
    "  --reference          compare with LAPACK's eigenvalues also above 2000 atoms\n"
    "  --no-reference       never compare\n"
    "  --progress           a progress bar also where no terminal is found\n"
    "  --help\n"
    "\n"
    "Exit code: 0 converged, 1 not converged, 2 bad input, 3 something failed.\n";

/* A whole number between least and most, and nothing behind it but `end`. */
static int read_integer(const char *text, char end, int64_t least, int64_t most, int64_t *value,
                        const char **after) {
  char *stop = NULL;
  errno = 0;
  const long long number = strtoll(text, &stop, 10);
  if (stop == text || *stop != end || errno || number < least || number > most) return 0;
  *value = number;
  if (after) *after = stop + 1;
  return 1;
}

static int read_flake(const char *text, options *o) {
  return read_integer(text, '\0', 1, FLAKE_LARGEST, &o->flake, NULL);
}

static int read_charge(const char *text, options *o) {
  return read_integer(text, '\0', -INT32_MAX, INT32_MAX, &o->charge, NULL);
}

static int read_mesh(const char *text, options *o) {
  return read_integer(text, 'x', 1, INT32_MAX, &o->mesh_rows, &text) &&
         read_integer(text, '\0', 1, INT32_MAX, &o->mesh_columns, NULL);
}

static int read_tolerance(const char *text, options *o) {
  char *end = NULL;
  o->tolerance = strtod(text, &end);
  return end != text && !*end && o->tolerance >= 1e-13 && o->tolerance <= 0.1;
}

static int read_max_iterations(const char *text, options *o) {
  return read_integer(text, '\0', 1, 100000, &o->max_iterations, NULL);
}

static int read_report(const char *text, options *o) {
  o->report = text;
  return *text != '\0';
}

/* Options with a value. */
static const struct {
  const char *name;
  int (*read)(const char *text, options *o);
  const char *wants;
} valued[] = {
    {"--flake", read_flake, "a whole number from 1 to 1000"},
    {"--charge", read_charge, "a whole number"},
    {"--mesh", read_mesh, "rows x columns, as in 2x3"},
    {"--tolerance", read_tolerance, "a number from 1e-13 to 0.1"},
    {"--max-iterations", read_max_iterations, "a whole number from 1 to 100000"},
    {"--report", read_report, "the name of a file"},
};

/* Options without one. */
static int set_flag(const char *name, options *o) {
  if (!strcmp(name, "--reference"))
    o->reference = 1;
  else if (!strcmp(name, "--no-reference"))
    o->reference = 0;
  else if (!strcmp(name, "--progress"))
    o->progress = 1;
  else if (!strcmp(name, "--help") || !strcmp(name, "-h"))
    o->help = 1;
  else
    return 0;
  return 1;
}

/* "--name value" or "--name=value"; *at moves to the last argument used. */
static outcome read_valued(int argc, char *argv[], int *at, options *o) {
  const char *argument = argv[*at];
  for (size_t i = 0; i < sizeof valued / sizeof valued[0]; i++) {
    const size_t length = strlen(valued[i].name);
    if (strncmp(argument, valued[i].name, length)) continue;
    const char *value = NULL;
    if (argument[length] == '=')
      value = argument + length + 1;
    else if (argument[length] != '\0')
      continue;
    else if (*at + 1 < argc)
      value = argv[++*at];
    if (!value || !valued[i].read(value, o))
      return outcome_fail(OUTCOME_BAD_INPUT, "%s wants %s, not '%s'", valued[i].name,
                          valued[i].wants, value ? value : "");
    return outcome_fine();
  }
  return outcome_fail(OUTCOME_BAD_INPUT, "unknown option '%s'; see --help", argument);
}

outcome options_parse(int argc, char *argv[], options *o) {
  *o = (options){
      .tolerance = 1e-11, .max_iterations = 200, .report = "report.html", .reference = -1};
  for (int i = 1; i < argc; i++) {
    if (argv[i][0] == '-') {
      if (set_flag(argv[i], o)) continue;
      const outcome result = read_valued(argc, argv, &i, o);
      if (result.code) return result;
    } else if (o->xyz) {
      return outcome_fail(OUTCOME_BAD_INPUT, "two molecules: %s and %s", o->xyz, argv[i]);
    } else {
      o->xyz = argv[i];
    }
  }
  if (o->xyz && o->flake)
    return outcome_fail(OUTCOME_BAD_INPUT, "either a molecule (%s) or --flake, not both", o->xyz);
  return outcome_fine();
}
