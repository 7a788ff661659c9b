#include "tests/ops/oracle_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char *next_word(void) { return strtok(NULL, " \n"); }

static int copy_word(char text[ORACLE_TEXT], const char *word) {
  if (!word || strlen(word) >= ORACLE_TEXT) return 0;
  strcpy(text, word);
  return 1;
}

/* "2x3" to {2, 3}, "scalar" to {}; returns how many. */
static int read_sizes(const char *text, int64_t sizes[]) {
  int n = 0;
  if (strcmp(text, "scalar") == 0) return 0;
  for (char *end; n < DTENSOR_MAX_NDIM; text = end + 1) {
    sizes[n++] = strtoll(text, &end, 10);
    if (*end != 'x') break;
  }
  return n;
}

static int read_array(oracle *o) {
  const char *word = next_word();
  if (!word || o->n_arrays == ORACLE_ARRAYS) return 0;
  oracle_array *a = &o->arrays[o->n_arrays++];
  a->ndim = read_sizes(word, a->shape);
  a->elements = 1;
  for (int d = 0; d < a->ndim; d++) a->elements *= a->shape[d];
  a->values = calloc((size_t)a->elements, sizeof *a->values);
  for (int64_t i = 0; i < a->elements; i++) {
    if (!a->values || !(word = next_word())) return 0;
    a->values[i] = strtod(word, NULL);
  }
  return next_word() == NULL;
}

static int read_case(oracle *o) {
  if (o->n_cases == ORACLE_CASES) return 0;
  oracle_case *c = &o->cases[o->n_cases++];
  if (!copy_word(c->name, next_word()) || !copy_word(c->function, next_word())) return 0;
  for (const char *word; (word = next_word());) {
    if (c->n_arguments == 4) return 0;
    c->arguments[c->n_arguments++] = strtod(word, NULL);
  }
  return 1;
}

static int read_numbers(int n_max, int numbers[], int limit) {
  int n = 0;
  for (const char *word; (word = next_word()); n++) {
    if (n == n_max) return 0;
    numbers[n] = (int)strtol(word, NULL, 10);
    if (numbers[n] < 0 || numbers[n] >= limit) return 0;
  }
  return n;
}

static int read_row(oracle *o) {
  const char *mesh = next_word();
  if (!mesh || o->n_rows == ORACLE_ROWS || o->n_cases == 0) return 0;
  oracle_row *r = &o->rows[o->n_rows++];
  r->of = o->n_cases - 1;
  r->mesh_ndim = read_sizes(mesh, r->mesh);
  const int n_in = o->cases[r->of].n_in;
  for (int i = 0; i < n_in; i++)
    if (!copy_word(r->in[i], next_word())) return 0;
  const char *arrow = next_word();
  if (!arrow || strcmp(arrow, ">") != 0 || !copy_word(r->out, next_word())) return 0;
  for (int i = 0; strcmp(r->out, "-") != 0 && i < n_in; i++)
    if (!copy_word(r->to[i], next_word())) return 0;
  return next_word() == NULL;
}

static int read_line(oracle *o, const char *word) {
  oracle_case *c = o->n_cases ? &o->cases[o->n_cases - 1] : NULL;
  if (strcmp(word, "array") == 0) return read_array(o);
  if (strcmp(word, "op") == 0) return read_case(o);
  if (strcmp(word, "in") == 0 && c) return (c->n_in = read_numbers(2, c->in, o->n_arrays)) > 0;
  if (strcmp(word, "out") == 0 && c) return read_numbers(1, &c->out, o->n_arrays) == 1;
  return strcmp(word, "row") == 0 && read_row(o);
}

oracle *oracle_read(const char *path) {
  static char line[1 << 16];
  oracle *o = calloc(1, sizeof *o);
  FILE *file = fopen(path, "r");
  int ok = o && file;
  while (ok && fgets(line, sizeof line, file)) {
    const char *word = line[0] == '#' ? NULL : strtok(line, " \n");
    ok = !word || read_line(o, word);
  }
  if (file) fclose(file);
  if (!ok) oracle_free(o);
  return ok ? o : NULL;
}

void oracle_free(oracle *o) {
  for (int i = 0; o && i < o->n_arrays; i++) free(o->arrays[i].values);
  free(o);
}
