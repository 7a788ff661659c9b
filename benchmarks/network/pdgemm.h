/* ScaLAPACK's pdgemm as the peer, where it was found when this was built; and products whose result
 * is known, to check both. */
#ifndef DTENSOR_BENCHMARKS_NETWORK_PDGEMM_H_
#define DTENSOR_BENCHMARKS_NETWORK_PDGEMM_H_

#include "benchmarks/network/network.h"

/* Small integers of low rank: the product is exact in any order of summation. */
typedef struct network_known {
  double k, left, right, mixed;
} network_known;

network_known network_known_make(int64_t k);
double network_known_a(int64_t i, int64_t k);
double network_known_b(int64_t k, int64_t j);
double network_known_c(const network_known *known, int64_t i, int64_t j);

typedef struct network_pdgemm network_pdgemm;

/* Operands in blocks over the squarest grid of all ranks; the product is checked. NULL: there is no
 * ScaLAPACK. */
network_pdgemm *network_pdgemm_begin(network *w, const network_known *known, int m, int n, int k);
void network_pdgemm_run(void *pdgemm);
void network_pdgemm_end(network_pdgemm *pdgemm);

#endif
