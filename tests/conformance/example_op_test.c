/* The operator that docs/adding_an_op.md writes. */
#include "dtensor/dtensor.h"
#include "tests/conformance/conform.h"
#include "tests/harness/dtest.h"

extern const dti_op dti_op_midpoint;
dtensor_status dtensor_midpoint(const dtensor *a, const dtensor *b, dtensor **c);

static const dti_op *const ops[] = {&dti_op_midpoint};

DTEST(ExampleOp, Conforms) {
  conform(1, ops, 1, (int64_t[]){3});
  conform(1, ops, 2, (int64_t[]){2, 3});
}

DTEST_SIM(ExampleOp, IsCalledLikeAnyOther, 1, 3) {
  dtensor_mesh *mesh = NULL;
  const dtensor_placement p = dtensor_shard(0), r = dtensor_replicate();
  dtensor *a = NULL, *b = NULL, *c = NULL;
  double full[4];
  REQUIRE_OK(dtensor_sim_init_device_mesh(sim, 1, (int64_t[]){-1}, NULL, &mesh));
  REQUIRE_OK(dtensor_arange(mesh, DTENSOR_F64, 1, (int64_t[]){4}, &p, &a));
  REQUIRE_OK(dtensor_full(mesh, DTENSOR_F64, 1, (int64_t[]){4}, dtensor_real(2), &r, &b));
  REQUIRE_OK(dtensor_midpoint(a, b, &c));
  REQUIRE_OK(dtensor_full_tensor(c, full));
  for (int i = 0; i < 4; i++) EXPECT_EQ(full[i], 1 + 0.5 * i);
  dtensor_destroy(&c);
  EXPECT_STATUS(DTENSOR_EINVAL, dtensor_midpoint(a, NULL, &c));
  EXPECT_CONTAINS(dtensor_last_error(), "dtensor_midpoint: ");
  dtensor_destroy(&b);
  dtensor_destroy(&a);
  dtensor_mesh_destroy(&mesh);
}
