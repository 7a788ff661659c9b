#include "dtensor/base/dtype.h"
#include "dtensor/base/fail.h"
#include "dtensor/kernels/philox.h"
#include "dtensor/tensor/factory.h"
#include "dtensor/tensor/stretch.h"

/* A generator per rank, which is a thread when ranks are simulated. */
static _Thread_local uint64_t current_seed, tensors_made;

void dtensor_manual_seed(uint64_t seed) {
  current_seed = seed;
  tensors_made = 0;
}

typedef struct stream {
  dti_random kind;
  dtensor_dtype dtype;
  uint64_t seed, number;
} stream;

static void random_stretch(void *out, uint64_t first, int64_t n, const void *ctx) {
  const stream *s = ctx;
  dti_random_fill(s->kind, s->dtype, s->seed, s->number, first, n, out);
}

/* A failed call counts too when it fails on every rank; one that runs out of memory on one rank
 * alone must leave that rank's count in step with the others. */
static dtensor_status make(dti_random kind, dtensor_mesh *mesh, dtensor_dtype dtype, int ndim,
                           const int64_t shape[], const dtensor_placement p[], dtensor **out) {
  const stream s = {kind, dtype, current_seed, tensors_made++};
  DTI_TRY(dti_factory(mesh, dtype, DTI_CLASS_FLOAT | DTI_CLASS_COMPLEX, ndim, shape, p, out));
  return dti_factory_end(dti_fill_stretches(*out, random_stretch, &s), out);
}

dtensor_status dtensor_rand(dtensor_mesh *mesh, dtensor_dtype dtype, int ndim,
                            const int64_t shape[], const dtensor_placement p[], dtensor **out) {
  DTI_API();
  return make(DTI_UNIFORM, mesh, dtype, ndim, shape, p, out);
}

dtensor_status dtensor_randn(dtensor_mesh *mesh, dtensor_dtype dtype, int ndim,
                             const int64_t shape[], const dtensor_placement p[], dtensor **out) {
  DTI_API();
  return make(DTI_NORMAL, mesh, dtype, ndim, shape, p, out);
}
