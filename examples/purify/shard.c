#include "shard.h"

#include <stdlib.h>

int shard_visit_bonds(const dtensor *x, const bonds *b, bond_visitor visit, void *ctx) {
  const int64_t rows = dtensor_local_size(x, 0), columns = dtensor_local_size(x, 1);
  const int64_t row_stride = dtensor_local_stride(x, 0), column_stride = dtensor_local_stride(x, 1);
  double *data = dtensor_local_data(x);

  /* Where this rank keeps a global column: its local index + 1, 0 for "nowhere". */
  int64_t *local = calloc((size_t)b->atoms + 1, sizeof *local);
  if (!local) return 0;
  for (int64_t c = 0; c < columns; c++) local[dtensor_global_index(x, 1, c)] = c + 1;

  for (int64_t r = 0; r < rows; r++) {
    const int64_t i = dtensor_global_index(x, 0, r);
    for (int64_t at = b->start[i]; at < b->start[i + 1]; at++) {
      const int64_t j = b->neighbor[at];
      if (local[j]) visit(&data[r * row_stride + (local[j] - 1) * column_stride], i, j, ctx);
    }
  }
  free(local);
  return 1;
}
