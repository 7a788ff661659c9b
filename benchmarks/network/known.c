#include "benchmarks/network/pdgemm.h"

static double row(int64_t i) { return (double)(i % 7); }
static double inner(int64_t k) { return (double)(k % 5); }
static double column(int64_t j) { return (double)(j % 11); }

double network_known_a(int64_t i, int64_t k) { return row(i) + inner(k); }
double network_known_b(int64_t k, int64_t j) { return inner(k + 1) - column(j); }

network_known network_known_make(int64_t k) {
  network_known sums = {.k = (double)k};
  for (int64_t i = 0; i < k; i++) {
    sums.left += inner(i);
    sums.right += inner(i + 1);
    sums.mixed += inner(i) * inner(i + 1);
  }
  return sums;
}

double network_known_c(const network_known *s, int64_t i, int64_t j) {
  return row(i) * s->right + s->mixed - column(j) * (row(i) * s->k + s->left);
}
