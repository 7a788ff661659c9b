#include "dtensor/kernels/move.h"

#include <string.h>

typedef void (*row_mover)(int64_t n, char *dst, int64_t dst_step, const char *src,
                          int64_t src_step);

/* A repeated element is read once: the compiler cannot know that dst does not overlap it. */
#define MOVE_ROW(size)                                                                    \
  static void move_row_##size(int64_t n, char *dst, int64_t dst_step, const char *src,    \
                              int64_t src_step) {                                         \
    if (src_step == 0 && n > 0) {                                                         \
      char value[size];                                                                   \
      memcpy(value, src, size);                                                           \
      if (dst_step == size)                                                               \
        for (int64_t i = 0; i < n; i++) memcpy(dst + i * size, value, size);              \
      else                                                                                \
        for (int64_t i = 0; i < n; i++) memcpy(dst + i * dst_step, value, size);          \
      return;                                                                             \
    }                                                                                     \
    for (int64_t i = 0; i < n; i++) memcpy(dst + i * dst_step, src + i * src_step, size); \
  }
DTI_ELEMENT_SIZES(MOVE_ROW)

void dti_move_row(size_t element, int64_t n, char *dst, int64_t dst_step, const char *src,
                  int64_t src_step) {
  static const row_mover movers[] = {
#define ENTRY(size) [size] = move_row_##size,
      DTI_ELEMENT_SIZES(ENTRY)
#undef ENTRY
  };
  const int64_t size = (int64_t)element;
  if (n > 1 && dst_step == size && src_step == size)
    memcpy(dst, src, (size_t)n * element);
  else
    movers[element](n, dst, dst_step, src, src_step);
}

/* Through a buffer, so that every cache line of src is read once and every one of dst written once
 * also where the strides are a power of two and the lines of a tile compete for one cache set. */
enum { TILE = 16 };

typedef void (*tile_mover)(int64_t ni, int64_t nj, char *dst, const int64_t dst_step[2],
                           const char *src, const int64_t src_step[2]);

#define MOVE_TILE(size)                                                                      \
  static void move_tile_##size(int64_t ni, int64_t nj, char *dst, const int64_t dst_step[2], \
                               const char *src, const int64_t src_step[2]) {                 \
    char buffer[TILE][TILE + 1][size];                                                       \
    for (int64_t j = 0; j < nj; j++)                                                         \
      for (int64_t i = 0; i < ni; i++)                                                       \
        memcpy(buffer[j][i], src + i * src_step[0] + j * src_step[1], size);                 \
    for (int64_t i = 0; i < ni; i++)                                                         \
      for (int64_t j = 0; j < nj; j++)                                                       \
        memcpy(dst + i * dst_step[0] + j * dst_step[1], buffer[j][i], size);                 \
  }
DTI_ELEMENT_SIZES(MOVE_TILE)

void dti_move_transposing(size_t element, int64_t ni, int64_t nj, char *dst,
                          const int64_t dst_step[2], const char *src, const int64_t src_step[2]) {
  static const tile_mover movers[] = {
#define ENTRY(size) [size] = move_tile_##size,
      DTI_ELEMENT_SIZES(ENTRY)
#undef ENTRY
  };
  for (int64_t i = 0; i < ni; i += TILE)
    for (int64_t j = 0; j < nj; j += TILE)
      movers[element](ni - i < TILE ? ni - i : TILE, nj - j < TILE ? nj - j : TILE,
                      dst + i * dst_step[0] + j * dst_step[1], dst_step,
                      src + i * src_step[0] + j * src_step[1], src_step);
}
