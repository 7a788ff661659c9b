/* results.csv: what was measured, and on what. */
#include <omp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>

#include "benchmarks/measure.h"

/* The first line of a file that starts with `key`, after its colon; "" if there is none. */
static void fact_from_file(const char *path, const char *key, char *text, size_t size) {
  text[0] = '\0';
  FILE *file = fopen(path, "r");
  if (!file) return;
  char line[512];
  while (fgets(line, sizeof line, file)) {
    if (strncmp(line, key, strlen(key)) != 0) continue;
    const char *value = *key ? strchr(line, ':') : line;
    if (!value) break;
    value += strspn(value, ": \t");
    snprintf(text, size, "%.*s", (int)strcspn(value, "\n"), value);
    break;
  }
  fclose(file);
}

extern char *openblas_get_config(void);

/* Lines "# key: value" in front of the columns' names. */
static void describe_machine(FILE *csv) {
  char text[256], mpi[MPI_MAX_LIBRARY_VERSION_STRING];
  const time_t now = time(NULL);
  strftime(text, sizeof text, "%Y-%m-%d %H:%M UTC", gmtime(&now));
  fprintf(csv, "# date: %s\n", text);
  fact_from_file("/proc/cpuinfo", "model name", text, sizeof text);
  fprintf(csv, "# processor: %s, %d cores\n", text, omp_get_num_procs());
  fact_from_file("/proc/meminfo", "MemTotal", text, sizeof text);
  fprintf(csv, "# memory: %.1f GiB\n", strtod(text, NULL) / (1 << 20));
  struct utsname system;
  if (uname(&system) == 0) fprintf(csv, "# system: %s %s\n", system.sysname, system.release);
  fact_from_file("/sys/kernel/mm/transparent_hugepage/enabled", "", text, sizeof text);
  fprintf(csv, "# transparent huge pages: %s\n", text);
  int length;
  MPI_Get_library_version(mpi, &length);
  fprintf(csv, "# MPI: %.*s\n", (int)strcspn(mpi, ",\n"), mpi);
  fprintf(csv, "# BLAS: %s\n", openblas_get_config());
#ifdef __clang__
  fprintf(csv, "# compiler: %s\n", __VERSION__);
#else
  fprintf(csv, "# compiler: gcc %s\n", __VERSION__);
#endif
}

FILE *measure_csv_open(MPI_Comm comm, const char *path) {
  FILE *csv = fopen(path, "a");
  if (!csv) {
    fprintf(stderr, "cannot write %s\n", path);
    MPI_Abort(comm, 2);
  }
  fseek(csv, 0, SEEK_END);
  if (ftell(csv) != 0) return csv;
  describe_machine(csv);
  fprintf(csv,
          "op,shape,layouts,mesh,threads,seconds,bytes,least_bytes,rate,unit,limit_seconds,"
          "peer,method,peer_seconds,figure,value,goal\n");
  return csv;
}

/* A number, or nothing where there is none. */
static void number(FILE *csv, double value) {
  if (value > 0)
    fprintf(csv, "%.9g,", value);
  else
    fprintf(csv, ",");
}

void measure_csv_row(FILE *csv, int ranks, int threads, const bench_row *r, double limit_seconds,
                     const char *peer, const char *method, double peer_seconds) {
  if (!csv) return;
  fprintf(csv, "%s,%s,\"%s\",%d,%d,", r->op, r->shape, r->layouts ? r->layouts : "", ranks,
          threads);
  number(csv, r->seconds);
  fprintf(csv, "%.0f,%.0f,", r->bytes, r->least);
  number(csv, r->rate);
  fprintf(csv, "%s,", r->unit ? r->unit : "");
  number(csv, limit_seconds);
  fprintf(csv, "\"%s\",\"%s\",", peer ? peer : "", method);
  number(csv, peer_seconds);
  fprintf(csv, "\"%s\",", r->what ? r->what : "");
  number(csv, r->value);
  if (r->goal > 0) fprintf(csv, "%.6g", r->goal);
  fprintf(csv, "\n");
  fflush(csv); /* what is measured stays, should a later row fail */
}
