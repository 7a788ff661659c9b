/* tests/oracle/ops.txt in memory; what its lines mean is said at its top. */
#ifndef DTENSOR_TESTS_OPS_ORACLE_FILE_H_
#define DTENSOR_TESTS_OPS_ORACLE_FILE_H_

#include <stdint.h>

#include "dtensor/types.h"

enum { ORACLE_ARRAYS = 512, ORACLE_CASES = 256, ORACLE_ROWS = 8192, ORACLE_TEXT = 32 };

typedef struct oracle_array {
  int ndim;
  int64_t shape[DTENSOR_MAX_NDIM], elements;
  double *values;
} oracle_array;

typedef struct oracle_case {
  char name[ORACLE_TEXT], function[ORACLE_TEXT];
  int n_arguments;
  double arguments[4];
  int n_in, in[2], out;
} oracle_case;

typedef struct oracle_row {
  int of; /* case */
  int mesh_ndim;
  int64_t mesh[DTENSOR_MAX_NDIM];
  char in[2][ORACLE_TEXT], out[ORACLE_TEXT], to[2][ORACLE_TEXT];
} oracle_row;

typedef struct oracle {
  int n_arrays, n_cases, n_rows;
  oracle_array arrays[ORACLE_ARRAYS];
  oracle_case cases[ORACLE_CASES];
  oracle_row rows[ORACLE_ROWS];
} oracle;

/* NULL if the file cannot be read or understood. */
oracle *oracle_read(const char *path);
void oracle_free(oracle *o);

#endif
