/* The counters hold what redistribute.h promises to move. */
#include <dtensor/dtensor.h>

#include "tests/harness/dtest.h"

DTEST(Counters, AllGather) {
  const int64_t p = dtest_size(), shape[] = {12, 7}; /* 12 rows: even on 1, 3 and 4 ranks */
  const dtensor_placement rows[] = {dtensor_shard(0)}, all[] = {dtensor_replicate()};
  dtensor_mesh *mesh = NULL;
  dtensor *x = NULL, *y = NULL, *z = NULL;
  REQUIRE_OK(dtensor_init_device_mesh(dtest_comm(), 1, (int64_t[]){-1}, NULL, &mesh));
  REQUIRE_OK(dtensor_ones(mesh, DTENSOR_F64, 2, shape, rows, &x));

  dtensor_comm_counts counts;
  dtensor_comm_stats_reset();
  REQUIRE_OK(dtensor_redistribute(x, all, NULL, &y));
  dtensor_comm_stats(&counts);
  EXPECT_EQ(counts.bytes_received, 12 * 7 * 8 / p * (p - 1));
  EXPECT_EQ(counts.bytes_sent, counts.bytes_received);
  EXPECT_EQ(counts.messages_received, p - 1);
  EXPECT_EQ(counts.messages_sent, p - 1);

  dtensor_comm_stats_reset();
  REQUIRE_OK(dtensor_redistribute(y, rows, NULL, &z)); /* a local slice */
  dtensor_comm_stats(&counts);
  EXPECT_EQ(counts.bytes_sent, (int64_t)0);
  EXPECT_EQ(counts.bytes_received, (int64_t)0);
  EXPECT_EQ(counts.messages_sent, (int64_t)0);
  dtensor_comm_stats(NULL);
  dtensor_destroy(&x);
  dtensor_destroy(&y);
  dtensor_destroy(&z);
  dtensor_mesh_destroy(&mesh);
}
