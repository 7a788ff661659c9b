#include "dtensor/spec/machine.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "dtensor/base/fail.h"

dtensor_machine dtensor_machine_default(void) {
  return (dtensor_machine){
      .latency = 2e-6,
      .overhead = 0.25e-6,
      .byte = 0.08e-9,
      .node_latency = 0.8e-6,
      .node_byte = 0.3e-9,
      .meeting = 1e-6,
      .copy = 0.12e-9,
      .pack = 0.2e-9,
      .reduce = 0.15e-9,
      .flops = 32e9,
      .ranks_per_node = 0,
  };
}

typedef enum quantity { TIME, TIME_PER_BYTE, RATE, RANKS } quantity;

/* The first unit of each quantity is the one that files are written in. */
static const struct unit {
  quantity of;
  const char *name;
  double value;
} units[] = {
    {TIME, "us", 1e-6},
    {TIME, "ns", 1e-9},
    {TIME, "s", 1},
    {TIME_PER_BYTE, "ns/B", 1e-9},
    {TIME_PER_BYTE, "s/B", 1},
    {RATE, "Gflop/s", 1e9},
    {RATE, "flop/s", 1},
    {RANKS, "ranks", 1},
};
enum { UNITS = sizeof units / sizeof *units };

#define FIELD(name_, of_) \
  { #name_, of_, offsetof(dtensor_machine, name_) }
static const struct field {
  const char *name;
  quantity of;
  size_t offset;
} fields[] = {
    FIELD(latency, TIME),       FIELD(overhead, TIME),           FIELD(byte, TIME_PER_BYTE),
    FIELD(node_latency, TIME),  FIELD(node_byte, TIME_PER_BYTE), FIELD(meeting, TIME),
    FIELD(copy, TIME_PER_BYTE), FIELD(pack, TIME_PER_BYTE),      FIELD(reduce, TIME_PER_BYTE),
    FIELD(flops, RATE),         FIELD(ranks_per_node, RANKS),
};
enum { FIELDS = sizeof fields / sizeof *fields, LINE_MAX_BYTES = 512 };

static double get(const dtensor_machine *machine, const struct field *f) {
  const char *at = (const char *)machine + f->offset;
  return f->of == RANKS ? (double)*(const int64_t *)(const void *)at
                        : *(const double *)(const void *)at;
}

static void set(dtensor_machine *machine, const struct field *f, double value) {
  char *at = (char *)machine + f->offset;
  if (f->of == RANKS)
    *(int64_t *)(void *)at = (int64_t)value;
  else
    *(double *)(void *)at = value;
}

static const struct field *field_named(const char *name) {
  for (int i = 0; i < FIELDS; i++)
    if (strcmp(fields[i].name, name) == 0) return &fields[i];
  return NULL;
}

static const struct unit *unit_named(quantity of, const char *name) {
  for (int i = 0; i < UNITS; i++)
    if (units[i].of == of && strcmp(units[i].name, name) == 0) return &units[i];
  return NULL;
}

static const struct unit *unit_written(quantity of) {
  int i = 0;
  while (units[i].of != of) i++;
  return &units[i];
}

/* Cuts a line at white space and at a comment. */
static int words_of(char *line, char *words[], int room) {
  line[strcspn(line, "#")] = '\0';
  int n = 0;
  for (char *at = line; *at;) {
    while (isspace((unsigned char)*at)) *at++ = '\0';
    if (!*at) break;
    if (n < room) words[n] = at;
    n++;
    while (*at && !isspace((unsigned char)*at)) at++;
  }
  return n;
}

static dtensor_status read_line(char *line, const char *name, int number, unsigned *seen,
                                dtensor_machine *machine) {
  char *word[3], *end;
  const int words = words_of(line, word, 3);
  if (words == 0) return DTENSOR_OK;
  DTI_CHECK(words == 3, DTENSOR_EINVAL,
            "%s, line %d: %d words, where there are a name, a value and "
            "a unit",
            name, number, words);
  const struct field *field = field_named(word[0]);
  DTI_CHECK(field, DTENSOR_EINVAL, "%s, line %d: a machine has no '%s'", name, number, word[0]);
  const unsigned bit = 1u << (field - fields);
  DTI_CHECK(!(*seen & bit), DTENSOR_EINVAL, "%s, line %d: %s a second time", name, number, word[0]);
  *seen |= bit;
  double value = strtod(word[1], &end);
  DTI_CHECK(*end == '\0' && end != word[1] && isfinite(value), DTENSOR_EINVAL,
            "%s, line %d: '%s' is not a number", name, number, word[1]);
  const struct unit *unit = unit_named(field->of, word[2]);
  DTI_CHECK(unit, DTENSOR_EINVAL, "%s, line %d: '%s' is not a unit of %s; it has %s", name, number,
            word[2], word[0], unit_written(field->of)->name);
  value *= unit->value;
  DTI_CHECK(value >= 0 && (field->of != RATE || value > 0), DTENSOR_EINVAL, "%s, line %d: %s is %s",
            name, number, word[0], word[1]);
  DTI_CHECK(field->of != RANKS || (value == floor(value) && value <= 1 << 30), DTENSOR_EINVAL,
            "%s, line %d: %s ranks on a node", name, number, word[1]);
  set(machine, field, value);
  return DTENSOR_OK;
}

dtensor_status dti_machine_read(FILE *file, const char *name, dtensor_machine *machine) {
  char line[LINE_MAX_BYTES];
  dtensor_machine read = dtensor_machine_default();
  unsigned seen = 0;
  for (int number = 1; fgets(line, sizeof line, file); number++) {
    DTI_CHECK(strlen(line) + 1 < sizeof line, DTENSOR_EINVAL, "%s, line %d: over %d bytes", name,
              number, LINE_MAX_BYTES - 2);
    DTI_TRY(read_line(line, name, number, &seen, &read));
  }
  DTI_CHECK(!ferror(file), DTENSOR_EIO, "%s cannot be read", name);
  *machine = read;
  return DTENSOR_OK;
}

dtensor_status dti_machine_write(FILE *file, const dtensor_machine *machine) {
  int ok = fprintf(file, "# A machine, as dtensor_machine_load() reads it: name value unit.\n") > 0;
  for (int i = 0; i < FIELDS; i++) {
    const struct unit *unit = unit_written(fields[i].of);
    ok &= fprintf(file, "%-14s %.9g %s\n", fields[i].name, get(machine, &fields[i]) / unit->value,
                  unit->name) > 0;
  }
  DTI_CHECK(ok && fflush(file) == 0, DTENSOR_EIO, "a machine cannot be written: %s",
            strerror(errno));
  return DTENSOR_OK;
}

dtensor_status dti_machine_load(const char *path, const char *name, dtensor_machine *machine) {
  if (!name) name = path;
  FILE *file = fopen(path, "r");
  DTI_CHECK(file, DTENSOR_EIO, "%s cannot be opened: %s", name, strerror(errno));
  const dtensor_status status = dti_machine_read(file, name, machine);
  fclose(file);
  return status;
}

dtensor_status dti_machine_save(const char *path, const dtensor_machine *machine) {
  FILE *file = fopen(path, "w");
  DTI_CHECK(file, DTENSOR_EIO, "%s cannot be opened: %s", path, strerror(errno));
  const dtensor_status status = dti_machine_write(file, machine);
  const int closed = fclose(file) == 0;
  DTI_CHECK(status != DTENSOR_OK || closed, DTENSOR_EIO, "%s cannot be written: %s", path,
            strerror(errno));
  return status;
}
