#include "dtensor/kernels/sum_row.h"

#include <string.h>

#include "dtensor/kernels/cpu.h"
#include "dtensor/kernels/stream.h"
#include "dtensor/kernels/strided.h"

typedef struct row {
  int64_t n, divisor;
  int inputs, outputs, stream;
  const char *const *in;
  char *const *out;
} row;

#if DTI_X86
enum { LINE = DTI_STREAM_LINE, GROUP = 4 };

/* NAME_sum_part: up to a line of elements, by mask. NAME_sum_lines: from byte `begin` on, `group`
 * lines at once, to where there are not as many left; returns that byte. An output that does not
 * lie at whole lines there is written through the cache. `inputs` is a constant where there are
 * few. */
#define SUM_ROW(name, type, bits, width)                                                           \
  DTI_AVX512 static void name##_sum_part(const row *r, int64_t begin, int64_t n) {                 \
    const __mmask##width mask = (__mmask##width)((1u << n) - 1);                                   \
    __m512##bits sum = _mm512_maskz_loadu_p##type(mask, r->in[0] + begin);                         \
    for (int k = 1; k < r->inputs; k++)                                                            \
      sum = _mm512_add_p##type(sum, _mm512_maskz_loadu_p##type(mask, r->in[k] + begin));           \
    if (r->divisor > 1) sum = _mm512_div_p##type(sum, _mm512_set1_p##type((name)r->divisor));      \
    for (int k = 0; k < r->outputs; k++) _mm512_mask_storeu_p##type(r->out[k] + begin, mask, sum); \
  }                                                                                                \
  DTI_AVX512_INLINE int64_t name##_sum_lines(const row *r, int64_t begin, int64_t end, int inputs, \
                                             int outputs, int group) {                             \
    int stream[DTI_SUM_PARTS];                                                                     \
    const char *in[DTI_SUM_PARTS];                                                                 \
    char *out[DTI_SUM_PARTS];                                                                      \
    for (int k = 0; k < inputs; k++) in[k] = r->in[k];                                             \
    for (int k = 0; k < outputs; k++) {                                                            \
      out[k] = r->out[k];                                                                          \
      stream[k] = r->stream && (uintptr_t)(out[k] + begin) % LINE == 0;                            \
    }                                                                                              \
    const int divides = r->divisor > 1;                                                            \
    const __m512##bits divisor = _mm512_set1_p##type((name)r->divisor);                            \
    for (; begin + group * LINE <= end; begin += group * LINE) {                                   \
      __m512##bits sum[GROUP];                                                                     \
      DTI_UNROLL for (int g = 0; g < group; g++) sum[g] =                                          \
          _mm512_loadu_p##type(in[0] + begin + g * LINE);                                          \
      for (int k = 1; k < inputs; k++)                                                             \
        DTI_UNROLL for (int g = 0; g < group; g++) sum[g] =                                        \
            _mm512_add_p##type(sum[g], _mm512_loadu_p##type(in[k] + begin + g * LINE));            \
      if (divides)                                                                                 \
        DTI_UNROLL for (int g = 0; g < group; g++) sum[g] = _mm512_div_p##type(sum[g], divisor);   \
      for (int k = 0; k < outputs; k++) {                                                          \
        name *to = (name *)(void *)(out[k] + begin);                                               \
        if (stream[k])                                                                             \
          DTI_UNROLL for (int g = 0; g < group; g++)                                               \
              _mm512_stream_p##type(to + g * (LINE / (int)sizeof(name)), sum[g]);                  \
        else                                                                                       \
          DTI_UNROLL for (int g = 0; g < group; g++)                                               \
              _mm512_storeu_p##type(to + g * (LINE / (int)sizeof(name)), sum[g]);                  \
      }                                                                                            \
    }                                                                                              \
    return begin;                                                                                  \
  }                                                                                                \
  DTI_AVX512_INLINE int64_t name##_sum_groups(const row *r, int64_t begin, int64_t end,            \
                                              int inputs, int outputs) {                           \
    begin = name##_sum_lines(r, begin, end, inputs, outputs, GROUP);                               \
    return name##_sum_lines(r, begin, end, inputs, outputs, 1);                                    \
  }                                                                                                \
  DTI_AVX512 static void name##_sum_row(const row *r) {                                            \
    const int64_t size = sizeof(name), end = r->n * size;                                          \
    int64_t head = (int64_t)(-(uintptr_t)r->out[0] % LINE) / size;                                 \
    if (head > r->n) head = r->n;                                                                  \
    if (head > 0) name##_sum_part(r, 0, head);                                                     \
    int64_t at = head * size;                                                                      \
    if (r->inputs == 2 && r->outputs == 1)                                                         \
      at = name##_sum_groups(r, at, end, 2, 1);                                                    \
    else if (r->inputs == 2 && r->outputs == 2)                                                    \
      at = name##_sum_groups(r, at, end, 2, 2);                                                    \
    else if (r->inputs == 4 && r->outputs == 1)                                                    \
      at = name##_sum_groups(r, at, end, 4, 1);                                                    \
    else                                                                                           \
      at = name##_sum_groups(r, at, end, r->inputs, r->outputs);                                   \
    if (at < end) name##_sum_part(r, at, (end - at) / size);                                       \
  }
SUM_ROW(float, s, , 16)
SUM_ROW(double, d, d, 8)
#endif

/* Block by block in the innermost cache. */
enum { BLOCK_BYTES = 4096 };

#define SUM_BLOCKS(type)                                                                       \
  static void type##_sum_blocks(const row *r) {                                                \
    enum { BLOCK = BLOCK_BYTES / sizeof(type) };                                               \
    type sum[BLOCK];                                                                           \
    for (int64_t begin = 0, n; begin < r->n; begin += n) {                                     \
      n = r->n - begin < BLOCK ? r->n - begin : BLOCK;                                         \
      const size_t offset = (size_t)begin * sizeof(type), bytes = (size_t)n * sizeof(type);    \
      memcpy(sum, r->in[0] + offset, bytes);                                                   \
      for (int k = 1; k < r->inputs; k++) {                                                    \
        const type *term = (const type *)(const void *)(r->in[k] + offset);                    \
        _Pragma("omp simd") for (int64_t i = 0; i < n; i++) sum[i] += term[i];                 \
      }                                                                                        \
      if (r->divisor > 1)                                                                      \
        _Pragma("omp simd") for (int64_t i = 0; i < n; i++) sum[i] /= (type)r->divisor;        \
      for (int k = 0; k < r->outputs; k++)                                                     \
        (r->stream ? dti_stream_row : copy_row)(r->out[k] + offset, (const char *)sum, bytes); \
    }                                                                                          \
  }

static void copy_row(char *dst, const char *src, size_t bytes) { memcpy(dst, src, bytes); }
SUM_BLOCKS(float)
SUM_BLOCKS(double)

void dti_sum_row(dtensor_dtype dtype, int64_t n, int64_t divisor, int inputs,
                 const char *const in[], int outputs, char *const out[], int stream) {
  const row r = {n, divisor, inputs, outputs, stream, in, out};
#if DTI_X86
  if (dti_cpu_has(DTI_CPU_AVX512)) {
    (dtype == DTENSOR_F32 ? float_sum_row : double_sum_row)(&r);
    return;
  }
#endif
  (dtype == DTENSOR_F32 ? float_sum_blocks : double_sum_blocks)(&r);
}
