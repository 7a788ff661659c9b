/* The grids of a matrix product, and the least that any of them can do. */
#include <float.h>
#include <math.h>

#include "dtensor/spec/matmul_plan.h"

double dti_matmul_grid(int64_t m, int64_t n, int64_t k, int64_t ranks, int64_t grid[3]) {
  const double a = (double)m * (double)k, b = (double)k * (double)n, c = (double)m * (double)n;
  double least = DBL_MAX;
  for (int64_t rows = 1; rows <= ranks; rows++) {
    if (ranks % rows) continue;
    for (int64_t columns = 1; columns <= ranks / rows; columns++) {
      if (ranks / rows % columns) continue;
      const double pm = (double)rows, pn = (double)columns, pk = (double)(ranks / rows / columns);
      const double words =
          a / (pm * pk) + b / (pn * pk) + c / (pm * pn) - (a + b + c) / (double)ranks;
      if (words >= least) continue;
      least = words;
      grid[0] = rows;
      grid[1] = columns;
      grid[2] = ranks / rows / columns;
    }
  }
  return least;
}

static void swap_if_less(double *x, double *y) {
  if (*x >= *y) return;
  const double held = *x;
  *x = *y;
  *y = held;
}

double dti_matmul_bound(int64_t m, int64_t n, int64_t k, int64_t ranks) {
  double a = (double)m, b = (double)n, c = (double)k;
  const double p = (double)ranks;
  swap_if_less(&a, &b);
  swap_if_less(&b, &c);
  swap_if_less(&a, &b);
  if (p <= a / b) return (1 - 1 / p) * b * c;
  if (p <= a * b / (c * c)) return 2 * sqrt(a * b * c * c / p) - (a * c + b * c) / p;
  return 3 * pow(a * b * c / p, 2.0 / 3) - (a * b + a * c + b * c) / p;
}
