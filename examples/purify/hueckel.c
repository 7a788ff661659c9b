#include "hueckel.h"

#include "shard.h"

static const double beta = -1;

static void fill_bond(double *element, int64_t i, int64_t j, void *ctx) {
  (void)i, (void)j, (void)ctx;
  *element = beta;
}

dtensor_status hueckel_hamiltonian(dtensor_mesh *mesh, const bonds *b, const dtensor_placement p[],
                                   dtensor **h) {
  const int64_t shape[] = {b->atoms, b->atoms};
  dtensor_status status = dtensor_zeros(mesh, DTENSOR_F64, 2, shape, p, h);
  if (status != DTENSOR_OK) return status;
  if (shard_visit_bonds(*h, b, fill_bond, NULL)) return DTENSOR_OK;
  dtensor_destroy(h);
  return DTENSOR_ENOMEM;
}

double hueckel_bound(const bonds *b) { return -beta * (double)b->most; }
