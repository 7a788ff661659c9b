/* Instructions beyond the compiler's default, chosen while running: binaries run where they are
 * carried to. */
#ifndef DTENSOR_KERNELS_CPU_H_
#define DTENSOR_KERNELS_CPU_H_

#if defined(__x86_64__) && defined(__GNUC__)
#include <immintrin.h>
#define DTI_X86 1
/* A function so marked is only called if dti_has_avx512(). */
#define DTI_AVX512 __attribute__((target("avx512f")))
#define DTI_AVX512_INLINE static inline __attribute__((target("avx512f"), always_inline))
static inline int dti_has_avx512(void) { return __builtin_cpu_supports("avx512f") != 0; }
#else
#define DTI_X86 0
#endif

/* Before a loop of a constant number of turns over an array that is to live in registers. */
#ifdef __clang__
#define DTI_UNROLL _Pragma("unroll")
#else
#define DTI_UNROLL _Pragma("GCC unroll 16")
#endif

#endif
