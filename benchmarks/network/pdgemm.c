#include "benchmarks/network/pdgemm.h"

#include <stdlib.h>

#ifdef BENCH_HAVE_SCALAPACK

enum { BLOCK = 64 };

/* Debian ships no header. */
void Cblacs_get(int context, int what, int *value);
void Cblacs_gridinit(int *context, const char *order, int rows, int columns);
void Cblacs_gridinfo(int context, int *rows, int *columns, int *row, int *column);
void Cblacs_gridexit(int context);
void descinit_(int *desc, const int *m, const int *n, const int *mb, const int *nb, const int *rsrc,
               const int *csrc, const int *context, const int *lld, int *info);
void pdgemm_(const char *transa, const char *transb, const int *m, const int *n, const int *k,
             const double *alpha, const double *a, const int *ia, const int *ja, const int *desca,
             const double *b, const int *ib, const int *jb, const int *descb, const double *beta,
             double *c, const int *ic, const int *jc, const int *descc);

/* A matrix in blocks; column-major. */
typedef struct blocked {
  double *data;
  int rows, columns; /* of the local part */
  int desc[9];
} blocked;

struct network_pdgemm {
  int m, n, k, context;
  int grid[2], place[2];
  blocked a, b, c;
};

static int64_t global_index(int i, int place, int places) {
  return ((int64_t)(i / BLOCK) * places + place) * BLOCK + i % BLOCK;
}

static int local_count(int n, int place, int places) {
  int here = 0;
  while (global_index(here, place, places) < n) here++;
  return here;
}

static void make(const network_pdgemm *p, int rows, int columns, double (*value)(int64_t, int64_t),
                 blocked *x) {
  const int block = BLOCK, zero = 0;
  int info;
  x->rows = local_count(rows, p->place[0], p->grid[0]);
  x->columns = local_count(columns, p->place[1], p->grid[1]);
  const int lead = x->rows > 0 ? x->rows : 1;
  descinit_(x->desc, &rows, &columns, &block, &block, &zero, &zero, &p->context, &lead, &info);
  x->data = malloc(((size_t)x->rows * (size_t)x->columns + 1) * sizeof *x->data);
  for (int64_t j = 0; j < x->columns; j++)
    for (int64_t i = 0; i < x->rows; i++)
      x->data[j * x->rows + i] = value ? value(global_index((int)i, p->place[0], p->grid[0]),
                                               global_index((int)j, p->place[1], p->grid[1]))
                                       : -1;
}

static int is_right(const network_pdgemm *p, const network_known *known) {
  int right = 1;
  for (int64_t j = 0; j < p->c.columns; j++)
    for (int64_t i = 0; i < p->c.rows; i++)
      right &= p->c.data[j * p->c.rows + i] ==
               network_known_c(known, global_index((int)i, p->place[0], p->grid[0]),
                               global_index((int)j, p->place[1], p->grid[1]));
  return right;
}

void network_pdgemm_run(void *pdgemm) {
  network_pdgemm *p = pdgemm;
  const int one = 1;
  const double alpha = 1, beta = 0;
  pdgemm_("N", "N", &p->m, &p->n, &p->k, &alpha, p->a.data, &one, &one, p->a.desc, p->b.data, &one,
          &one, p->b.desc, &beta, p->c.data, &one, &one, p->c.desc);
}

network_pdgemm *network_pdgemm_begin(network *w, const network_known *known, int m, int n, int k) {
  network_pdgemm *p = calloc(1, sizeof *p);
  if (!p) MPI_Abort(w->comm, 1);
  p->m = m;
  p->n = n;
  p->k = k;
  int rows = 1;
  for (int r = 1; r * r <= w->ranks; r++)
    if (w->ranks % r == 0) rows = r;
  Cblacs_get(-1, 0, &p->context);
  Cblacs_gridinit(&p->context, "Row", rows, w->ranks / rows);
  Cblacs_gridinfo(p->context, &p->grid[0], &p->grid[1], &p->place[0], &p->place[1]);
  make(p, m, k, network_known_a, &p->a);
  make(p, k, n, network_known_b, &p->b);
  make(p, m, n, NULL, &p->c);
  network_pdgemm_run(p);
  network_check(w, is_right(p, known), "pdgemm");
  return p;
}

void network_pdgemm_end(network_pdgemm *p) {
  Cblacs_gridexit(p->context);
  free(p->a.data);
  free(p->b.data);
  free(p->c.data);
  free(p);
}

#else

network_pdgemm *network_pdgemm_begin(network *w, const network_known *known, int m, int n, int k) {
  (void)w, (void)known, (void)m, (void)n, (void)k;
  return NULL;
}
void network_pdgemm_run(void *pdgemm) { (void)pdgemm; }
void network_pdgemm_end(network_pdgemm *pdgemm) { (void)pdgemm; }

#endif
