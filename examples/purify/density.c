#include "density.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "shard.h"

void density_heat_map(MPI_Comm comm, const dtensor *p, heat_map *map) {
  const int64_t n = dtensor_size(p, 0);
  const int64_t rows = dtensor_local_size(p, 0), columns = dtensor_local_size(p, 1);
  const int64_t row_stride = dtensor_local_stride(p, 0), column_stride = dtensor_local_stride(p, 1);
  const double *data = dtensor_local_data(p);
  memset(map, 0, sizeof *map);
  map->side = n < HEAT_MAP_SIDE ? (int)n : HEAT_MAP_SIDE;

  for (int64_t r = 0; r < rows; r++) {
    float *line = &map->cell[dtensor_global_index(p, 0, r) * map->side / n * map->side];
    for (int64_t c = 0; c < columns; c++) {
      float *cell = &line[dtensor_global_index(p, 1, c) * map->side / n];
      *cell = fmaxf(*cell, (float)fabs(data[r * row_stride + c * column_stride]));
    }
  }
  int rank = 0;
  MPI_Comm_rank(comm, &rank);
  MPI_Reduce(rank == 0 ? MPI_IN_PLACE : map->cell, map->cell, map->side * map->side, MPI_FLOAT,
             MPI_MAX, 0, comm);
}

typedef struct order_sum {
  const bonds *b;
  double *order;
} order_sum;

static void take_order(double *element, int64_t i, int64_t j, void *ctx) {
  const order_sum *sum = ctx;
  for (int64_t at = sum->b->start[i]; at < sum->b->start[i + 1]; at++)
    if (sum->b->neighbor[at] == j) sum->order[at] = 2 * *element;
}

outcome density_bond_orders(MPI_Comm comm, const dtensor *p, const bonds *b, double **order) {
  const int64_t entries = b->start[b->atoms];
  order_sum sum = {b, calloc((size_t)entries + 1, sizeof *sum.order)};
  outcome result = outcome_fine();
  if (!sum.order || !shard_visit_bonds(p, b, take_order, &sum))
    result = outcome_fail(OUTCOME_FAILED, "no memory for the bond orders");
  result = outcome_agree(comm, result);
  int rank = 0;
  MPI_Comm_rank(comm, &rank);
  if (!result.code)
    MPI_Reduce(rank == 0 ? MPI_IN_PLACE : sum.order, sum.order, (int)entries, MPI_DOUBLE, MPI_SUM,
               0, comm);
  if (result.code || rank != 0) {
    free(sum.order);
    sum.order = NULL;
  }
  *order = sum.order;
  return result;
}
