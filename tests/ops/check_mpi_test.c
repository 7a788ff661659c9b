/* With DTENSOR_CHECK=1, ranks that call an operator differently all get an error that names what
 * differs; without, they would hang or compute nonsense. */
#include "dtensor/dtensor.h"
#include "tests/harness/dtest.h"

DTEST(Diverged, OperatorsTellWhatDiffers) {
  dtensor_mesh *mesh = NULL;
  const int first = dtest_rank() == 0;
  const int alone = dtest_size() == 1;
  const dtensor_placement p = dtensor_shard(0), q = dtensor_replicate();
  REQUIRE_OK(dtensor_init_device_mesh(dtest_comm(), 1, (int64_t[]){-1}, NULL, &mesh));
  dtensor *x = NULL, *y = NULL, *z = NULL;
  REQUIRE_OK(dtensor_ones(mesh, DTENSOR_F64, 2, (int64_t[]){6, 6}, &p, &x));
  REQUIRE_OK(dtensor_ones(mesh, DTENSOR_F64, 2, (int64_t[]){6, 6}, first ? &p : &q, &y));
  const dtensor_status diverged = alone ? DTENSOR_OK : DTENSOR_EDIVERGED;

  EXPECT_STATUS(diverged, first ? dtensor_exp(x, &z) : dtensor_relu(x, &z));
  dtensor_destroy(&z);
  EXPECT_STATUS(diverged, dtensor_add(x, y, &z));
  if (!alone) EXPECT_CONTAINS(dtensor_last_error(), "input 2 differs");
  dtensor_destroy(&z);
  EXPECT_STATUS(diverged, dtensor_scale(x, dtensor_real(first ? 2 : 3), &z));
  dtensor_destroy(&z);
  EXPECT_STATUS(diverged, dtensor_sum(x, 1, &(int){first ? 0 : 1}, 0, &z));
  if (!alone) EXPECT_CONTAINS(dtensor_last_error(), "dims differs");
  dtensor_destroy(&z);
  EXPECT_OK(dtensor_matmul(x, x, &z));
  dtensor_destroy(&z);

  /* A number of dims that cannot be is refused, not read. */
  EXPECT_STATUS(DTENSOR_EINVAL, dtensor_sum(x, 1 << 20, &(int){0}, 0, &z));
  EXPECT_NULL(z);

  dtensor_destroy(&z);
  dtensor_destroy(&y);
  dtensor_destroy(&x);
  dtensor_mesh_destroy(&mesh);
}
