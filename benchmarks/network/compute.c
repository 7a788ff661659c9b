#include <cblas.h>
#include <math.h>

#include "benchmarks/network/network.h"

enum { TILE_MOST = 320 };
static double a[TILE_MOST * TILE_MOST], b[TILE_MOST * TILE_MOST], c[TILE_MOST * TILE_MOST];
static int tile = 128;

void network_compute(int64_t tiles, void (*poll)(void *ctx), void *ctx) {
  for (int64_t i = 0; i < tiles; i++) {
    cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, tile, tile, tile, 1, a, tile, b, tile, 0,
                c, tile);
    if (poll) poll(ctx);
  }
}

static void run(void *ctx) { network_compute(*(int64_t *)ctx, NULL, NULL); }

/* Of one tile, while all ranks compute about that long. */
static double tile_seconds(const network *w, double seconds) {
  int64_t tiles = 16;
  for (;;) {
    network_body body = {.run = run, .ctx = &tiles};
    network_time(w, 5, &body, 1);
    if (body.seconds > 0.3 * seconds) return body.seconds / (double)tiles;
    tiles *= 2;
  }
}

int64_t network_tiles(const network *w, double seconds) {
  const double tiles = ceil(seconds / tile_seconds(w, w->quick ? 0 : seconds));
  return tiles < 1 ? 1 : (int64_t)tiles;
}

void network_measure_compute(network *w) {
  for (int i = 0; i < TILE_MOST * TILE_MOST; i++) a[i] = b[i] = 1e-3 * (i % 1000);
  const double small = tile_seconds(w, 0.05);
  const double n = tile * cbrt(0.5e-3 / small);
  tile = n > TILE_MOST ? TILE_MOST : n < 64 ? 64 : (int)n / 16 * 16;
  w->flops = 2.0 * tile * tile * tile / tile_seconds(w, 0.1);
}
