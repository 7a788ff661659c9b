#include "dtensor/kernels/gemm.h"

#include <cblas.h>
#include <string.h>

#include "dtensor/base/alloc.h"
#include "dtensor/base/event.h"
#include "dtensor/base/fail.h"
#include "dtensor/kernels/elementwise.h"
#include "dtensor/kernels/nest.h"
#include "dtensor/kernels/strided.h"

/* The most rows and columns of one BLAS call. Far below what an int counts, so that a leading
 * dimension beyond it costs a copy of a piece and not of a whole operand. */
enum { PIECE = 1 << 24 };

typedef void (*blas_gemm)(CBLAS_TRANSPOSE a_trans, CBLAS_TRANSPOSE b_trans, int m, int n, int k,
                          const double alpha[2], const void *a, int lda, const void *b, int ldb,
                          const double beta[2], void *c, int ldc);

#define REAL_GEMM(function, type)                                                                  \
  static void function##_rows(CBLAS_TRANSPOSE a_trans, CBLAS_TRANSPOSE b_trans, int m, int n,      \
                              int k, const double alpha[2], const void *a, int lda, const void *b, \
                              int ldb, const double beta[2], void *c, int ldc) {                   \
    function(CblasRowMajor, a_trans, b_trans, m, n, k, (type)alpha[0], a, lda, b, ldb,             \
             (type)beta[0], c, ldc);                                                               \
  }
#define COMPLEX_GEMM(function, type)                                                               \
  static void function##_rows(CBLAS_TRANSPOSE a_trans, CBLAS_TRANSPOSE b_trans, int m, int n,      \
                              int k, const double alpha[2], const void *a, int lda, const void *b, \
                              int ldb, const double beta[2], void *c, int ldc) {                   \
    const type by[2] = {(type)alpha[0], (type)alpha[1]}, old[2] = {(type)beta[0], (type)beta[1]};  \
    function(CblasRowMajor, a_trans, b_trans, m, n, k, by, a, lda, b, ldb, old, c, ldc);           \
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

static dtensor_status take_input(operand *o, const dti_array *x, int conjugate, size_t element,
                                 int threads) {
  const dti_array t = transposed(x);
  const CBLAS_TRANSPOSE as_rows = conjugate ? CblasConjNoTrans : CblasNoTrans;
  *o = (operand){.matrix = *x, .leading = leading_dimension(x), .trans = as_rows};
  if (o->leading) return DTENSOR_OK;
  o->leading = leading_dimension(&t);
  o->trans = conjugate ? CblasConjTrans : CblasTrans;
  if (o->leading) return DTENSOR_OK;
  o->trans = as_rows;
  DTI_TRY(make_room(o, x, element));
  dti_copy(&o->matrix, x, element, threads);
  return DTENSOR_OK;
}

static int is_zero(const double number[2]) { return number[0] == 0 && number[1] == 0; }

static dtensor_status take_output(operand *o, const dti_array *c, size_t element, int read,
                                  int threads) {
  *o = (operand){.matrix = *c, .leading = leading_dimension(c)};
  if (o->leading) return DTENSOR_OK;
  DTI_TRY(make_room(o, c, element));
  if (read) dti_copy(&o->matrix, c, element, threads);
  return DTENSOR_OK;
}

/* All sizes from 1 to PIECE. */
static dtensor_status multiply_piece(dtensor_dtype dtype, const dti_array *c, const dti_array *a,
                                     const dti_array *b, const dti_gemm_terms *terms, int threads) {
  const size_t element = dtensor_dtype_size(dtype);
  operand left = {.copy = NULL}, right = {.copy = NULL}, out = {.copy = NULL};
  dtensor_status status;
  DTI_TRY_OR(done, status, take_input(&left, a, terms->conjugate_a, element, threads));
  DTI_TRY_OR(done, status, take_input(&right, b, terms->conjugate_b, element, threads));
  DTI_TRY_OR(done, status, take_output(&out, c, element, !is_zero(terms->beta), threads));
  blas_gemms[dtype](left.trans, right.trans, (int)c->shape[0], (int)c->shape[1], (int)a->shape[1],
                    terms->alpha, left.matrix.data, (int)left.leading, right.matrix.data,
                    (int)right.leading, terms->beta, out.matrix.data, (int)out.leading);
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
                               const dti_array *b, const dti_gemm_terms *terms, int threads) {
  const size_t element = dtensor_dtype_size(dtype);
  const int64_t m = c->shape[0], n = c->shape[1], k = a->shape[1];
  dti_gemm_terms more = *terms; /* of the pieces of k after the first */
  more.beta[0] = 1;
  more.beta[1] = 0;
  for (int64_t i = 0; i < m; i += PIECE)
    for (int64_t j = 0; j < n; j += PIECE)
      for (int64_t l = 0; l < k; l += PIECE) {
        const dti_array c_piece = piece(c, i, j, element), a_piece = piece(a, i, l, element),
                        b_piece = piece(b, l, j, element);
        DTI_TRY(
            multiply_piece(dtype, &c_piece, &a_piece, &b_piece, l > 0 ? &more : terms, threads));
      }
  return DTENSOR_OK;
}

/* c = beta c. */
static void scale(dtensor_dtype dtype, const dti_array *c, const double beta[2], int threads) {
  _Alignas(16) unsigned char factor[16] = {0};
  if (is_zero(beta)) {
    dti_fill(c, factor, dtensor_dtype_size(dtype), threads);
    return;
  }
  const int is_double = dtype == DTENSOR_F64 || dtype == DTENSOR_C128;
  const float narrow[2] = {(float)beta[0], (float)beta[1]};
  memcpy(factor, is_double ? (const void *)beta : narrow, dtensor_dtype_size(dtype));
  dti_unary_apply(DTI_SCALE, dtype, c, c, factor, threads);
}

int dti_gemm_takes(const dti_array *x) {
  const dti_array t = transposed(x);
  return x->shape[0] == 0 || x->shape[1] == 0 || leading_dimension(x) || leading_dimension(&t);
}

dtensor_status dti_gemm(dtensor_dtype dtype, const dti_array *c, const dti_array *a,
                        const dti_array *b, const dti_gemm_terms *terms, int threads) {
  static const dti_gemm_terms plain = {.alpha = {1}};
  const double begin = dti_event_listening() ? dti_event_clock() : 0;
  const int64_t m = c->shape[0], n = c->shape[1], k = a->shape[1];
  if (!terms) terms = &plain;
  if (m == 0 || n == 0) return DTENSOR_OK;
  if (k == 0) {
    scale(dtype, c, terms->beta, threads);
    return DTENSOR_OK;
  }
  dti_blas_threads_enter(threads);
  dtensor_status status;
  const dti_array ct = transposed(c), at = transposed(a), bt = transposed(b);
  if (!leading_dimension(c) && leading_dimension(&ct)) { /* column-major: c' = b' a' */
    dti_gemm_terms swapped = *terms;
    swapped.conjugate_a = terms->conjugate_b;
    swapped.conjugate_b = terms->conjugate_a;
    status = multiply(dtype, &ct, &bt, &at, &swapped, threads);
  } else {
    status = multiply(dtype, c, a, b, terms, threads);
  }
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
