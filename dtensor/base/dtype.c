#include "dtensor/base/dtype.h"

#include <stdbool.h>

#include "dtensor/base/fail.h"

/* A magnitude of `digits` binary digits at most, below 2^exponent: what decides about widening. */
typedef struct dtype_row {
  const char *name;
  size_t size;
  dti_dtype_class class;
  int digits, exponent;
  bool negative, fraction, complex;
} dtype_row;

static const dtype_row dtypes[] = {
    [DTENSOR_F32] = {"f32", 4, DTI_CLASS_FLOAT, 24, 128, true, true, false},
    [DTENSOR_F64] = {"f64", 8, DTI_CLASS_FLOAT, 53, 1024, true, true, false},
    [DTENSOR_C64] = {"c64", 8, DTI_CLASS_COMPLEX, 24, 128, true, true, true},
    [DTENSOR_C128] = {"c128", 16, DTI_CLASS_COMPLEX, 53, 1024, true, true, true},
    [DTENSOR_I32] = {"i32", 4, DTI_CLASS_INT, 31, 31, true, false, false},
    [DTENSOR_I64] = {"i64", 8, DTI_CLASS_INT, 63, 63, true, false, false},
    [DTENSOR_U8] = {"u8", 1, DTI_CLASS_INT, 8, 8, false, false, false},
    [DTENSOR_BOOL] = {"bool", 1, DTI_CLASS_BOOL, 1, 1, false, false, false},
    [DTENSOR_BF16] = {"bf16", 2, DTI_CLASS_HALF, 8, 128, true, true, false},
    [DTENSOR_F16] = {"f16", 2, DTI_CLASS_HALF, 11, 16, true, true, false},
};

enum {
  REALS = DTI_CLASS_FLOAT | DTI_CLASS_HALF | DTI_CLASS_INT,
  BITS = DTI_CLASS_INT | DTI_CLASS_BOOL
};

static const struct {
  const char *name;
  int classes; /* that it can combine */
} reduce_ops[] = {
    [DTENSOR_SUM] = {"sum", REALS | DTI_CLASS_COMPLEX},
    [DTENSOR_AVG] = {"avg", DTI_CLASS_FLOAT | DTI_CLASS_HALF | DTI_CLASS_COMPLEX},
    [DTENSOR_MIN] = {"min", REALS | DTI_CLASS_BOOL},
    [DTENSOR_MAX] = {"max", REALS | DTI_CLASS_BOOL},
    [DTENSOR_PRODUCT] = {"product", REALS | DTI_CLASS_COMPLEX},
    [DTENSOR_BAND] = {"band", BITS},
    [DTENSOR_BOR] = {"bor", BITS},
    [DTENSOR_BXOR] = {"bxor", BITS},
};

int dti_dtype_valid(dtensor_dtype dtype) {
  return (unsigned)dtype < sizeof dtypes / sizeof dtypes[0] && dtypes[dtype].name;
}

dti_dtype_class dti_dtype_class_of(dtensor_dtype dtype) { return dtypes[dtype].class; }

size_t dtensor_dtype_size(dtensor_dtype dtype) {
  return dti_dtype_valid(dtype) ? dtypes[dtype].size : 0;
}

const char *dtensor_dtype_name(dtensor_dtype dtype) {
  return dti_dtype_valid(dtype) ? dtypes[dtype].name : "?";
}

dtensor_status dti_dtype_check(dtensor_dtype dtype) {
  DTI_CHECK(dti_dtype_valid(dtype), DTENSOR_EDTYPE, "%d is not a dtype", (int)dtype);
  return DTENSOR_OK;
}

static bool is_reduce_op(dtensor_reduce_op op) {
  return (unsigned)op < sizeof reduce_ops / sizeof reduce_ops[0];
}

int dti_dtype_reduces(dtensor_dtype dtype, dtensor_reduce_op op) {
  return dti_dtype_valid(dtype) && is_reduce_op(op) &&
         (reduce_ops[op].classes & (int)dtypes[dtype].class) != 0;
}

const char *dti_reduce_op_name(dtensor_reduce_op op) {
  return is_reduce_op(op) ? reduce_ops[op].name : "?";
}

int dti_dtype_widens(dtensor_dtype from, dtensor_dtype to) {
  const dtype_row *a = &dtypes[from], *b = &dtypes[to];
  return a->digits <= b->digits && a->exponent <= b->exponent && a->negative <= b->negative &&
         a->fraction <= b->fraction && a->complex <= b->complex;
}
