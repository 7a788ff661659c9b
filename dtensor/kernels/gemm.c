#include "dtensor/kernels/gemm.h"

#include <cblas.h>

#include "dtensor/base/alloc.h"
#include "dtensor/base/event.h"
#include "dtensor/base/fail.h"
#include "dtensor/kernels/nest.h"
#include "dtensor/kernels/strided.h"

/* The most rows and columns of one BLAS call. Far below what an int counts, so that a leading
 * dimension beyond it costs a copy of a piece and not of a whole operand. */
enum { PIECE = 1 << 24 };

typedef void (*blas_gemm)(CBLAS_TRANSPOSE a_trans, CBLAS_TRANSPOSE b_trans, int m, int n, int k,
                          const void *a, int lda, const void *b, int ldb, int accumulate, void *c,
                          int ldc);

#define REAL_GEMM(function, type)                                                              \
  static void function##_rows(CBLAS_TRANSPOSE a_trans, CBLAS_TRANSPOSE b_trans, int m, int n,  \
                              int k, const void *a, int lda, const void *b, int ldb,           \
                              int accumulate, void *c, int ldc) {                              \
    function(CblasRowMajor, a_trans, b_trans, m, n, k, 1, a, lda, b, ldb, (type)accumulate, c, \
             ldc);                                                                             \
  }
#define COMPLEX_GEMM(function, type)                                                          \
  static void function##_rows(CBLAS_TRANSPOSE a_trans, CBLAS_TRANSPOSE b_trans, int m, int n, \
                              int k, const void *a, int lda, const void *b, int ldb,          \
                              int accumulate, void *c, int ldc) {                             \
    const type one[2] = {1, 0}, beta[2] = {(type)accumulate, 0};                              \
    function(CblasRowMajor, a_trans, b_trans, m, n, k, one, a, lda, b, ldb, beta, c, ldc);    \
  }
REAL_GEMM(cblas_sgemm, float)
REAL_GEMM(cblas_dgemm, double)
COMPLEX_GEMM(cblas_cgemm, float)
COMPLEX_GEMM(cblas_zgemm, double)

static const blas_gemm blas_gemms[] = {[DTENSOR_F32] = cblas_sgemm_rows,
                                       [DTENSOR_F64] = cblas_dgemm_rows,
                                       [DTENSOR_C64] = cblas_cgemm_rows,
                                       [DTENSOR_C128] = cblas_zgemm_rows};

static dti_array transposed(const dti_array *x) {
  return (dti_array){x->data, 2, {x->shape[1], x->shape[0]}, {x->stride[1], x->stride[0]}};
}

/* The leading dimension if BLAS can take x as a row-major matrix, else 0. */
static int64_t leading_dimension(const dti_array *x) {
  const int64_t rows = x->shape[0], cols = x->shape[1], between = x->stride[0];
  if (cols > 1 && x->stride[1] != 1) return 0;
  if (rows <= 1) return cols > 1 ? cols : 1;
  return between >= cols && between >= 1 && between <= INT32_MAX ? between : 0;
}

/* An operand as BLAS takes it. */
typedef struct operand {
  dti_array matrix;
  void *copy; /* NULL: used as it lies */
  int64_t leading;
  CBLAS_TRANSPOSE trans;
} operand;

static dtensor_status make_room(operand *o, const dti_array *x, size_t element) {
  const size_t bytes = (size_t)x->shape[0] * (size_t)x->shape[1] * element;
  o->copy = dti_alloc(bytes);
  if (!o->copy) return DTI_FAIL(DTENSOR_ENOMEM, "%zu bytes of workspace for a gemm operand", bytes);
  o->matrix = (dti_array){o->copy, 2, {x->shape[0], x->shape[1]}, {x->shape[1], 1}};
  o->leading = leading_dimension(&o->matrix);
  return DTENSOR_OK;
}

static dtensor_status take_input(operand *o, const dti_array *x, size_t element, int threads) {
  const dti_array t = transposed(x);
  *o = (operand){.matrix = *x, .leading = leading_dimension(x), .trans = CblasNoTrans};
  if (o->leading) return DTENSOR_OK;
  o->leading = leading_dimension(&t);
  o->trans = CblasTrans;
  if (o->leading) return DTENSOR_OK;
  o->trans = CblasNoTrans;
  DTI_TRY(make_room(o, x, element));
  dti_copy(&o->matrix, x, element, threads);
  return DTENSOR_OK;
}

static dtensor_status take_output(operand *o, const dti_array *c, size_t element, int accumulate,
                                  int threads) {
  *o = (operand){.matrix = *c, .leading = leading_dimension(c)};
  if (o->leading) return DTENSOR_OK;
  DTI_TRY(make_room(o, c, element));
  if (accumulate) dti_copy(&o->matrix, c, element, threads);
  return DTENSOR_OK;
}

/* c = a b, or c += a b; all sizes from 1 to PIECE. */
static dtensor_status multiply_piece(dtensor_dtype dtype, const dti_array *c, const dti_array *a,
                                     const dti_array *b, int accumulate, int threads) {
  const size_t element = dtensor_dtype_size(dtype);
  operand left = {.copy = NULL}, right = {.copy = NULL}, out = {.copy = NULL};
  dtensor_status status;
  DTI_TRY_OR(done, status, take_input(&left, a, element, threads));
  DTI_TRY_OR(done, status, take_input(&right, b, element, threads));
  DTI_TRY_OR(done, status, take_output(&out, c, element, accumulate, threads));
  blas_gemms[dtype](left.trans, right.trans, (int)c->shape[0], (int)c->shape[1], (int)a->shape[1],
                    left.matrix.data, (int)left.leading, right.matrix.data, (int)right.leading,
                    accumulate, out.matrix.data, (int)out.leading);
  if (out.copy) dti_copy(c, &out.matrix, element, threads);
done:
  dti_free(left.copy);
  dti_free(right.copy);
  dti_free(out.copy);
  return status;
}

/* The block of x that begins at (row, col), at most PIECE large. */
static dti_array piece(const dti_array *x, int64_t row, int64_t col, size_t element) {
  dti_array p = *x;
  const int64_t begin[2] = {row, col};
  for (int d = 0; d < 2; d++) {
    p.shape[d] -= begin[d];
    if (p.shape[d] > PIECE) p.shape[d] = PIECE;
    p.data = (char *)p.data + begin[d] * x->stride[d] * (int64_t)element;
  }
  return p;
}

static dtensor_status multiply(dtensor_dtype dtype, const dti_array *c, const dti_array *a,
                               const dti_array *b, int threads) {
  const size_t element = dtensor_dtype_size(dtype);
  const int64_t m = c->shape[0], n = c->shape[1], k = a->shape[1];
  for (int64_t i = 0; i < m; i += PIECE)
    for (int64_t j = 0; j < n; j += PIECE)
      for (int64_t l = 0; l < k; l += PIECE) {
        const dti_array c_piece = piece(c, i, j, element), a_piece = piece(a, i, l, element),
                        b_piece = piece(b, l, j, element);
        DTI_TRY(multiply_piece(dtype, &c_piece, &a_piece, &b_piece, l > 0, threads));
      }
  return DTENSOR_OK;
}

dtensor_status dti_gemm(dtensor_dtype dtype, const dti_array *c, const dti_array *a,
                        const dti_array *b, int threads) {
  const double begin = dti_event_listening() ? dti_event_clock() : 0;
  const int64_t m = c->shape[0], n = c->shape[1], k = a->shape[1];
  if (m == 0 || n == 0) return DTENSOR_OK;
  if (k == 0) {
    const double zero[2] = {0, 0};
    dti_fill(c, zero, dtensor_dtype_size(dtype), threads);
    return DTENSOR_OK;
  }
  dti_blas_threads_enter(threads);
  dtensor_status status;
  const dti_array ct = transposed(c), at = transposed(a), bt = transposed(b);
  if (!leading_dimension(c) && leading_dimension(&ct)) /* column-major: c' = b' a' */
    status = multiply(dtype, &ct, &bt, &at, threads);
  else
    status = multiply(dtype, c, a, b, threads);
  dti_blas_threads_leave();
  if (begin > 0) {
    const double flops_each = dtype == DTENSOR_C64 || dtype == DTENSOR_C128 ? 8 : 2;
    dti_event_emit(&(dti_event){.name = "gemm",
                                .kind = DTI_EVENT_COMPUTE,
                                .begin = begin,
                                .end = dti_event_clock(),
                                .flops = flops_each * (double)m * (double)n * (double)k});
  }
  return status;
}
