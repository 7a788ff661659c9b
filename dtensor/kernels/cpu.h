/* Instructions beyond the compiler's default, chosen while running: binaries run where they are
 * carried to. */
#ifndef DTENSOR_KERNELS_CPU_H_
#define DTENSOR_KERNELS_CPU_H_

#if defined(__x86_64__) && defined(__GNUC__)
#include <immintrin.h>
#define DTI_X86 1
/* A function so marked is only called if dti_cpu_has(DTI_CPU_AVX512). */
#define DTI_AVX512 __attribute__((target("avx512f")))
#define DTI_AVX512_INLINE static inline __attribute__((target("avx512f"), always_inline))
#else
#define DTI_X86 0
#endif

typedef enum dti_cpu_feature {
  DTI_CPU_AVX512 = 1, /* AVX-512 F */
  DTI_CPU_FAST_STRINGS =
      2 /* `rep movsb` begins fast and needs not read what it overwrites (FSRM) */
} dti_cpu_feature;

/* Whether this processor has it. */
int dti_cpu_has(dti_cpu_feature feature);

/* For tests: do as if it had only these of its features (the sum of some); ~0 for all. */
void dti_cpu_restrict(int features);

/* Before a loop of a constant number of turns over an array that is to live in registers. */
#ifdef __clang__
#define DTI_UNROLL _Pragma("unroll")
#else
#define DTI_UNROLL _Pragma("GCC unroll 16")
#endif

#endif
