/* The command line. */
#ifndef PURIFY_OPTIONS_H_
#define PURIFY_OPTIONS_H_

#include <stdint.h>

#include "outcome.h"

typedef struct options {
  const char *xyz; /* NULL: the default molecule, unless flake is set */
  int64_t flake;   /* 0: no flake */
  int64_t charge;
  int64_t mesh_rows, mesh_columns; /* 0: as square as possible */
  double tolerance;
  int64_t max_iterations;
  const char *report;
  int reference; /* 1: with, 0: without, -1: if the molecule is small enough */
  int progress;  /* draw a progress bar in any case */
  int help;
} options;

/* Local. A bad option is OUTCOME_BAD_INPUT. */
outcome options_parse(int argc, char *argv[], options *o);

extern const char options_help[];

#endif
