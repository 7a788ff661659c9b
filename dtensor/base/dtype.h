/* What is true of each dtype. */
#ifndef DTENSOR_BASE_DTYPE_H_
#define DTENSOR_BASE_DTYPE_H_

#include "dtensor/placement.h"
#include "dtensor/status.h"
#include "dtensor/types.h"

typedef enum dti_dtype_class {
  DTI_CLASS_FLOAT = 1,   /* f32 f64 */
  DTI_CLASS_COMPLEX = 2, /* c64 c128 */
  DTI_CLASS_INT = 4,     /* i32 i64 u8 */
  DTI_CLASS_BOOL = 8,
  DTI_CLASS_HALF = 16 /* bf16 f16: storage */
} dti_dtype_class;

int dti_dtype_valid(dtensor_dtype dtype);
dti_dtype_class dti_dtype_class_of(dtensor_dtype dtype);

/* DTENSOR_EDTYPE unless dtype is one. */
dtensor_status dti_dtype_check(dtensor_dtype dtype);

/* Whether values of dtype can be combined by op: sum product min max for numbers (min and max not
 * for complex), avg for floating-point and complex, the bitwise ones for integers and bool, and min
 * and max for bool. */
int dti_dtype_reduces(dtensor_dtype dtype, dtensor_reduce_op op);

/* Whether every value of `from` is a value of `to`. */
int dti_dtype_widens(dtensor_dtype from, dtensor_dtype to);

const char *dti_reduce_op_name(dtensor_reduce_op op); /* "sum" */

/* Write the scalar as one element of dtype; DTENSOR_EDTYPE if that would lose something: a
 * fraction, an imaginary part, or a magnitude out of range. Floating-point dtypes round. */
dtensor_status dti_scalar_store(dtensor_scalar value, dtensor_dtype dtype, void *element);

/* bf16 and f16 to float and back, rounding to nearest even. */
float dti_bf16_to_float(uint16_t bits);
uint16_t dti_float_to_bf16(float value);
float dti_f16_to_float(uint16_t bits);
uint16_t dti_float_to_f16(float value);

#endif
