#define _POSIX_C_SOURCE 200809L /* getline */
#include "xyz.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Beyond it, neighbouring numbers are no longer much nearer than neighbouring atoms. */
static const double farthest = 1e9; /* Angstrom */

typedef struct reader {
  const char *path;
  FILE *file;
  char *line; /* the one read last */
  size_t size;
  int64_t number; /* of that line, from 1 */
} reader;

static int next_line(reader *r) {
  if (getline(&r->line, &r->size, r->file) < 0) return 0;
  r->number++;
  return 1;
}

static const char *skip_blanks(const char *text) {
  while (isspace((unsigned char)*text)) text++;
  return text;
}

static outcome broken(const reader *r, const char *what) {
  return outcome_fail(OUTCOME_BAD_INPUT, "%s:%" PRId64 ": %s", r->path, r->number, what);
}

static outcome read_count(reader *r, int64_t *count) {
  if (!next_line(r))
    return outcome_fail(OUTCOME_BAD_INPUT, "%s: the file is empty or cannot be read", r->path);
  char *end = NULL;
  errno = 0;
  *count = strtoll(r->line, &end, 10);
  if (end == r->line || *skip_blanks(end) || errno || *count < 1)
    return broken(r, "the first line must be the number of atoms, and nothing else");
  return outcome_fine();
}

/* "C 0.0 1.42 0.0" */
static outcome read_atom(const reader *r, int *is_carbon, double position[3]) {
  const char *symbol = skip_blanks(r->line), *end = symbol;
  while (*end && !isspace((unsigned char)*end)) end++;
  if (!isalpha((unsigned char)*symbol)) return broken(r, "an element symbol is expected first");
  *is_carbon = end - symbol == 1 && toupper((unsigned char)*symbol) == 'C';

  for (int i = 0; i < 3; i++) {
    char *after = NULL;
    position[i] = strtod(end, &after);
    if (after == end) return broken(r, "three coordinates are expected behind the symbol");
    if (*after && !isspace((unsigned char)*after)) return broken(r, "a coordinate is not a number");
    if (!(fabs(position[i]) <= farthest))
      return broken(r, "a coordinate is not a finite number of at most 1e9 Angstrom");
    end = after;
  }
  return outcome_fine();
}

static outcome append(molecule *m, const double position[3]) {
  /* Doubled at each power of two, so a wrong count in the file cannot ask for much memory. */
  if ((m->atoms & (m->atoms - 1)) == 0) {
    const size_t room = m->atoms ? 2 * (size_t)m->atoms : 1;
    void *larger = realloc(m->position, room * sizeof *m->position);
    if (!larger) return outcome_fail(OUTCOME_FAILED, "no memory for %zu atoms", room);
    m->position = larger;
  }
  memcpy(m->position[m->atoms++], position, sizeof *m->position);
  return outcome_fine();
}

static outcome read_atoms(reader *r, int64_t count, molecule *m) {
  for (int64_t i = 0; i < count; i++) {
    if (!next_line(r))
      return outcome_fail(OUTCOME_BAD_INPUT,
                          "%s: the first line says %" PRId64 " atoms, the file ends after %" PRId64,
                          r->path, count, i);
    int is_carbon = 0;
    double position[3];
    outcome result = read_atom(r, &is_carbon, position);
    if (!result.code && is_carbon) result = append(m, position);
    if (result.code) return result;
    m->skipped += !is_carbon;
  }
  while (next_line(r))
    if (*skip_blanks(r->line)) return broken(r, "more lines than the first line says atoms");
  if (m->atoms == 0)
    return outcome_fail(OUTCOME_BAD_INPUT, "%s: there are no carbon atoms in it", r->path);
  return outcome_fine();
}

/* The comment line, or the name of the file where that is empty. */
static void name_after(molecule *m, const char *path, const char *comment) {
  const char *slash = strrchr(path, '/');
  const char *base = *comment ? comment : slash ? slash + 1 : path;
  snprintf(m->name, sizeof m->name, "%s", base);
  m->name[strcspn(m->name, "\r\n")] = '\0';
}

outcome xyz_read(const char *path, molecule *m) {
  *m = (molecule){0};
  reader r = {.path = path, .file = fopen(path, "r")};
  if (!r.file) return outcome_fail(OUTCOME_BAD_INPUT, "cannot open %s: %s", path, strerror(errno));

  int64_t count = 0;
  outcome result = read_count(&r, &count);
  if (!result.code && !next_line(&r))
    result = outcome_fail(OUTCOME_BAD_INPUT, "%s: the comment line is missing", path);
  if (!result.code) {
    name_after(m, path, skip_blanks(r.line));
    result = read_atoms(&r, count, m);
  }
  if (result.code) molecule_free(m);
  free(r.line);
  fclose(r.file);
  return result;
}
