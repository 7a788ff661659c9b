#include "dtensor/base/fail.h"
#include "dtensor/ops/matmul_job.h"

/* Of a tile, BLAS is called with at least so much of k, and about so many multiplications: one to
 * three milliseconds. */
enum { TILE_DEPTH = 128, TILE_WORK = 1 << 25 };

typedef struct work {
  const dti_matmul_job *job;
  dti_gemm_terms terms;
} work;

static int64_t most(int64_t a, int64_t b) { return a > b ? a : b; }

static dti_array sub(const dti_array *x, int64_t row, int64_t rows, int64_t column, int64_t columns,
                     size_t element) {
  dti_array part = *x;
  part.data = (char *)x->data + (row * x->stride[0] + column * x->stride[1]) * (int64_t)element;
  part.shape[0] = rows;
  part.shape[1] = columns;
  return part;
}

/* c += a b of three blocks. */
static dtensor_status multiply(work *w, const dti_array *c, const dti_array *a,
                               const dti_array *b) {
  const dti_matmul_job *job = w->job;
  const size_t element = dtensor_dtype_size(job->dtype);
  const int threads = job->mesh->threads;
  const int64_t m = c->shape[0], n = c->shape[1], k = a->shape[1];
  if (!job->is_tiled) return dti_gemm(job->dtype, c, a, b, &w->terms, threads);
  const int64_t rows = dti_matmul_tile(m), columns = dti_matmul_tile(n);
  const int64_t least_depth = most(TILE_WORK / most(rows * columns, 1), TILE_DEPTH);
  const int64_t times = most(k / least_depth, 1), depth = (k + times - 1) / times;
  for (int64_t i = 0; i < m; i += rows)
    for (int64_t j = 0; j < n; j += columns)
      for (int64_t l = 0; l < k; l += depth) {
        const int64_t mi = dti_matmul_least(rows, m - i), nj = dti_matmul_least(columns, n - j),
                      kl = dti_matmul_least(depth, k - l);
        const dti_array ct = sub(c, i, mi, j, nj, element), at = sub(a, i, mi, l, kl, element),
                        bt = sub(b, l, kl, j, nj, element);
        dti_gemm_terms terms = w->terms;
        if (l > 0) {
          terms.beta[0] = 1;
          terms.beta[1] = 0;
        }
        DTI_TRY(dti_gemm(job->dtype, &ct, &at, &bt, &terms, threads));
        dti_matmul_help(job);
      }
  return DTENSOR_OK;
}

typedef struct range {
  int64_t begin, end;
} range;

static range common(range a, int64_t begin, int64_t length) {
  return (range){most(a.begin, begin), dti_matmul_least(a.end, begin + length)};
}

/* The product of one block of a and one of b, as far as they are in the part and in k. */
static dtensor_status multiply_blocks(work *w, const dti_operand *a, int64_t ai, int64_t ak,
                                      const dti_operand *b, int64_t bk, int64_t bj, range rows,
                                      range columns, range k) {
  const size_t element = dtensor_dtype_size(w->job->dtype);
  const int64_t row = a->stretch[0][ai].begin, a_k = a->stretch[1][ak].begin,
                b_k = b->stretch[0][bk].begin, column = b->stretch[1][bj].begin;
  const dti_array *x = &a->block[ai * a->stretches[1] + ak],
                  *y = &b->block[bk * b->stretches[1] + bj];
  const int64_t m = rows.end - rows.begin, n = columns.end - columns.begin, depth = k.end - k.begin;
  const dti_array c = sub(&w->job->c, rows.begin, m, columns.begin, n, element),
                  left = sub(x, rows.begin - row, m, k.begin - a_k, depth, element),
                  right = sub(y, k.begin - b_k, depth, columns.begin - column, n, element);
  return multiply(w, &c, &left, &right);
}

/* All rows and columns for one stretch of k that is in one block of both operands. */
static dtensor_status multiply_k(work *w, const dti_operand *a, const dti_operand *b, int64_t ak,
                                 int64_t bk, const dti_matmul_part *part, range k) {
  const range all_rows = {part->begin[0], part->begin[0] + part->length[0]},
              all_columns = {part->begin[1], part->begin[1] + part->length[1]};
  for (int64_t i = 0; i < a->stretches[0]; i++) {
    const range rows = common(all_rows, a->stretch[0][i].begin, a->stretch[0][i].length);
    for (int64_t j = 0; j < b->stretches[1] && rows.begin < rows.end; j++) {
      const range columns = common(all_columns, b->stretch[1][j].begin, b->stretch[1][j].length);
      if (columns.begin < columns.end)
        DTI_TRY(multiply_blocks(w, a, i, ak, b, bk, j, rows, columns, k));
    }
  }
  return DTENSOR_OK;
}

dtensor_status dti_matmul_compute(const dti_matmul_job *job, const dti_operand *a,
                                  const dti_operand *b, const dti_matmul_part *part, int64_t begin,
                                  int64_t end, int first) {
  work w = {job, job->terms};
  if (!first) {
    w.terms.beta[0] = 1;
    w.terms.beta[1] = 0;
  }
  for (int64_t i = 0; i < a->stretches[1]; i++) {
    const range of_a = common((range){begin, end}, a->stretch[1][i].begin, a->stretch[1][i].length);
    for (int64_t j = 0; j < b->stretches[0]; j++) {
      const range k = common(of_a, b->stretch[0][j].begin, b->stretch[0][j].length);
      if (k.begin >= k.end) continue;
      DTI_TRY(multiply_k(&w, a, b, i, j, part, k));
      w.terms.beta[0] = 1;
      w.terms.beta[1] = 0;
    }
  }
  return DTENSOR_OK;
}
