#include "dtensor/kernels/transpose.h"

#include "dtensor/kernels/cpu.h"
#include "dtensor/kernels/move.h"
#include "dtensor/kernels/stream.h"

static int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }

static char *at(const dti_place *place, int64_t i, int64_t j) {
  return place->at + i * place->step[0] + j * place->step[1];
}

#if DTI_X86
/* Square tiles of whole cache lines in registers: 4 x 4 elements of 16 bytes, 8 x 8 of 8, 16 x 16
 * of 4. */
enum { LINE = 64 };

/* Four registers of four lanes of 16 bytes. */
DTI_AVX512_INLINE void transpose_lanes(__m512i *r0, __m512i *r1, __m512i *r2, __m512i *r3) {
  const __m512i even01 = _mm512_shuffle_i64x2(*r0, *r1, 0x88),
                odd01 = _mm512_shuffle_i64x2(*r0, *r1, 0xdd),
                even23 = _mm512_shuffle_i64x2(*r2, *r3, 0x88),
                odd23 = _mm512_shuffle_i64x2(*r2, *r3, 0xdd);
  *r0 = _mm512_shuffle_i64x2(even01, even23, 0x88);
  *r1 = _mm512_shuffle_i64x2(odd01, odd23, 0x88);
  *r2 = _mm512_shuffle_i64x2(even01, even23, 0xdd);
  *r3 = _mm512_shuffle_i64x2(odd01, odd23, 0xdd);
}

/* r[k] is line k of src and becomes line k of dst. First inside of the lanes, then of whole lanes.
 */
DTI_AVX512_INLINE void transpose_registers(size_t element, __m512i r[]) {
  __m512i t[16];
  if (element == 16) {
    transpose_lanes(&r[0], &r[1], &r[2], &r[3]);
  } else if (element == 8) {
    DTI_UNROLL for (int k = 0; k < 8; k += 2) {
      t[k] = _mm512_unpacklo_epi64(r[k], r[k + 1]);
      t[k + 1] = _mm512_unpackhi_epi64(r[k], r[k + 1]);
    }
    DTI_UNROLL for (int k = 0; k < 2; k++) transpose_lanes(&t[k], &t[k + 2], &t[k + 4], &t[k + 6]);
    DTI_UNROLL for (int k = 0; k < 8; k++) r[k] = t[k];
  } else {
    DTI_UNROLL for (int k = 0; k < 16; k += 2) {
      t[k] = _mm512_unpacklo_epi32(r[k], r[k + 1]);
      t[k + 1] = _mm512_unpackhi_epi32(r[k], r[k + 1]);
    }
    DTI_UNROLL for (int k = 0; k < 16; k += 4) {
      r[k] = _mm512_unpacklo_epi64(t[k], t[k + 2]);
      r[k + 1] = _mm512_unpackhi_epi64(t[k], t[k + 2]);
      r[k + 2] = _mm512_unpacklo_epi64(t[k + 1], t[k + 3]);
      r[k + 3] = _mm512_unpackhi_epi64(t[k + 1], t[k + 3]);
    }
    DTI_UNROLL for (int k = 0; k < 4; k++) transpose_lanes(&r[k], &r[k + 4], &r[k + 8], &r[k + 12]);
  }
}

/* A tile at an edge. */
DTI_AVX512_INLINE void transpose_part(size_t element, int64_t ni, int64_t nj, char *dst,
                                      int64_t dst_step, const char *src, int64_t src_step) {
  const int n = (int)(LINE / element);
  const unsigned words = (unsigned)(element / 4);
  const __mmask16 in = (__mmask16)((1u << ((unsigned)ni * words)) - 1),
                  out = (__mmask16)((1u << ((unsigned)nj * words)) - 1);
  __m512i r[16];
  DTI_UNROLL for (int k = 0; k < n; k++) r[k] =
      _mm512_maskz_loadu_epi32(k < nj ? in : 0, src + (k < nj ? k : 0) * src_step);
  transpose_registers(element, r);
  DTI_UNROLL for (int k = 0; k < n; k++) if (k < ni)
      _mm512_mask_storeu_epi32(dst + k * dst_step, out, r[k]);
}

DTI_AVX512_INLINE void transpose_whole(size_t element, char *dst, int64_t dst_step, const char *src,
                                       int64_t src_step, int stream) {
  const int n = (int)(LINE / element);
  __m512i r[16];
  DTI_UNROLL for (int k = 0; k < n; k++) r[k] = _mm512_loadu_si512(src + k * src_step);
  transpose_registers(element, r);
  DTI_UNROLL for (int k = 0; k < n; k++) {
    if (stream)
      _mm512_stream_si512((void *)(dst + k * dst_step), r[k]);
    else
      _mm512_storeu_si512(dst + k * dst_step, r[k]);
  }
}

/* dst is dense along j and src along i; stream: dst lies at whole lines. */
DTI_AVX512_INLINE void transpose_block(size_t element, int64_t ni, int64_t nj, char *dst,
                                       int64_t dst_step, const char *src, int64_t src_step,
                                       int stream) {
  const int64_t n = (int64_t)(LINE / element);
  for (int64_t i = 0; i < ni; i += n) {
    char *to = dst + i * dst_step;
    const char *from = src + i * (int64_t)element;
    const int64_t height = smaller(ni - i, n);
    int64_t j = 0;
    for (; height == n && j + n <= nj; j += n) {
      transpose_whole(element, to, dst_step, from, src_step, stream);
      to += LINE;
      from += n * src_step;
    }
    for (; j < nj; j += n) {
      transpose_part(element, height, smaller(nj - j, n), to, dst_step, from, src_step);
      to += LINE;
      from += n * src_step;
    }
  }
}

/* Block by block: the pages of a block's lines stay in the translation buffer, and the lines next
 * to those of a tile in the cache. Where a cache holds the whole, what counts is that lines which
 * compete for the same places in it, as they do at strides of a power of two, are few. */
DTI_AVX512_INLINE void transpose_tiles(size_t element, int64_t ni, int64_t nj, const dti_place *dst,
                                       const dti_place *src, int stream) {
  enum { SMALL = 1 << 20 };
  const int64_t block = ni * nj * (int64_t)element <= SMALL ? 16 : 64;
  for (int64_t i = 0; i < ni; i += block)
    for (int64_t j = 0; j < nj; j += block)
      transpose_block(element, smaller(ni - i, block), smaller(nj - j, block), at(dst, i, j),
                      dst->step[0], at(src, i, j), src->step[1], stream);
}

typedef void (*tile_transposer)(int64_t ni, int64_t nj, const dti_place *dst, const dti_place *src,
                                int stream);
#define TRANSPOSER(element)                                                                \
  DTI_AVX512 static void transpose_##element(int64_t ni, int64_t nj, const dti_place *dst, \
                                             const dti_place *src, int stream) {           \
    if (stream)                                                                            \
      transpose_tiles(element, ni, nj, dst, src, 1);                                       \
    else                                                                                   \
      transpose_tiles(element, ni, nj, dst, src, 0);                                       \
  }
TRANSPOSER(4)
TRANSPOSER(8)
TRANSPOSER(16)

static tile_transposer transposer_of(size_t element) {
  if (!dti_cpu_has(DTI_CPU_AVX512)) return NULL;
  return element == 4    ? transpose_4
         : element == 8  ? transpose_8
         : element == 16 ? transpose_16
                         : NULL;
}

/* Elements of a row before its first whole line. */
static int64_t head_of(size_t element, const dti_place *dst) {
  return (int64_t)(-(uintptr_t)dst->at % LINE / element);
}

static int transpose_in_registers(size_t element, int64_t ni, int64_t nj, const dti_place *dst,
                                  const dti_place *src, int stream) {
  const int64_t size = (int64_t)element;
  const tile_transposer transpose = transposer_of(element);
  if (!transpose || dst->step[1] != size || src->step[0] != size) return 0;
  if (!stream) {
    transpose(ni, nj, dst, src, 0);
    return 1;
  }
  const int64_t head = smaller(head_of(element, dst), nj);
  if (head > 0) transpose(ni, head, dst, src, 0);
  if (head == nj) return 1;
  const dti_place to = {at(dst, 0, head), {dst->step[0], dst->step[1]}},
                  from = {at(src, 0, head), {src->step[0], src->step[1]}};
  transpose(ni, nj - head, &to, &from, dst->step[0] % LINE == 0 && (uintptr_t)to.at % LINE == 0);
  return 1;
}
#else
static int transpose_in_registers(size_t element, int64_t ni, int64_t nj, const dti_place *dst,
                                  const dti_place *src, int stream) {
  (void)element, (void)ni, (void)nj, (void)dst, (void)src, (void)stream;
  return 0;
}
#endif

void dti_transpose(size_t element, int64_t ni, int64_t nj, const dti_place *dst,
                   const dti_place *src, int stream) {
  if (!transpose_in_registers(element, ni, nj, dst, src, stream))
    dti_move_transposing(element, ni, nj, dst->at, dst->step, src->at, src->step);
}
