/* The sum of the diagonal. */
#include "dtensor/base/fail.h"
#include "dtensor/kernels/reduce.h"
#include "dtensor/kernels/strided.h"
#include "dtensor/ops.h"
#include "dtensor/ops/dispatch.h"
#include "dtensor/ops/op_list.h"
#include "dtensor/spec/axis.h"

static dtensor_status infer(dti_call *call) {
  const dtensor *x = call->in[0];
  char text[DTI_TEXT_SIZE];
  DTI_CHECK(dti_reduction_has(DTI_REDUCE_SUM, call->dtype), DTENSOR_EDTYPE, "trace has no %s",
            dtensor_dtype_name(call->dtype));
  DTI_CHECK(x->layout.ndim == 2, DTENSOR_ESHAPE, "need a matrix, x is %s",
            dti_tensor_text(x, text, sizeof text));
  call->ndim = 0;
  return DTENSOR_OK;
}

static const dti_rule rules[] = {
    {{DTI_S(0)}, DTI_P_SUM, 0},
    {{DTI_S(1)}, DTI_P_SUM, 0},
    {{DTI_P_LINEAR}, DTI_P_LINEAR, 0},
};

/* Add n elements of the diagonal, from local row i and column j on, to the output. */
static void add_stretch(const dtensor *x, int64_t i, int64_t j, int64_t n, dtensor *out) {
  const int64_t element = (int64_t)dtensor_dtype_size(x->dtype);
  const dti_array stretch = {
      .data = (char *)x->data + (i * x->stride[0] + j * x->stride[1]) * element,
      .ndim = 1,
      .shape = {n},
      .stride = {x->stride[0] + x->stride[1]}};
  _Alignas(16) unsigned char sum[16];
  const dti_array y = {.data = sum, .ndim = 1, .shape = {1}};
  dti_reduce_apply(DTI_REDUCE_SUM, x->dtype, &y, &stretch, (const int[]){1}, x->mesh->threads);
  dti_accumulate(out->data, sum, 1, x->dtype, DTENSOR_SUM, 1);
}

/* Rows and columns of the local part are sorted runs of global indices: walk both lists and take
 * what they share. */
static dtensor_status local(const dti_call *call, const dtensor *const in[], dtensor *out) {
  const dtensor *x = in[0];
  const int64_t *coord = x->mesh->coord;
  const dti_axis rows = dti_axis_of(&x->layout, 0), columns = dti_axis_of(&x->layout, 1);
  _Alignas(16) unsigned char zero[16] = {0};
  const dti_array y = dti_tensor_array(out);
  dti_fill(&y, zero, dtensor_dtype_size(call->dtype), 1);

  int64_t i = 0, j = 0;
  while (i < x->local_shape[0] && j < x->local_shape[1]) {
    int64_t row_run, column_run;
    const int64_t row = dti_axis_global(&rows, coord, i, &row_run);
    const int64_t column = dti_axis_global(&columns, coord, j, &column_run);
    const int64_t row_end = row + row_run, column_end = column + column_run;
    const int64_t begin = row > column ? row : column;
    const int64_t end = row_end < column_end ? row_end : column_end;
    if (begin < end) add_stretch(x, i + begin - row, j + begin - column, end - begin, out);
    if (row_end <= column_end)
      i += row_run;
    else
      j += column_run;
  }
  return DTENSOR_OK;
}

static const dti_sample samples[] = {
    {.in = {{2, {7, 5}}}},
    {.in = {{2, {6, 6}}}},
    {.in = {{2, {1, 4}}}},
    {.in = {{2, {0, 3}}}},
};

const dti_op dti_op_trace = {.name = "trace",
                             .n_in = 1,
                             .infer = infer,
                             DTI_TABLE(rules, rules),
                             .local = local,
                             DTI_TABLE(samples, samples)};

dtensor_status dtensor_trace(const dtensor *x, dtensor **y) {
  DTI_API();
  return dti_dispatch(&dti_op_trace, &x, NULL, y);
}
