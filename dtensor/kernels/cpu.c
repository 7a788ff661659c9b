#include "dtensor/kernels/cpu.h"

#include <stdatomic.h>

#if DTI_X86
#include <cpuid.h>

/* CPUID leaf 7, EDX: fast short REP MOV. */
enum { FSRM = 1 << 4 };

static int detect(void) {
  unsigned a, b, c, d;
  const int avx512 = __builtin_cpu_supports("avx512f") ? DTI_CPU_AVX512 : 0;
  return __get_cpuid_count(7, 0, &a, &b, &c, &d) && d & FSRM ? avx512 | DTI_CPU_FAST_STRINGS
                                                             : avx512;
}
#else
static int detect(void) { return 0; }
#endif

enum { KNOWN = 1 << 30 };
static atomic_int found; /* and KNOWN; 0: not asked yet, as that takes microseconds */

int dti_cpu_has(dti_cpu_feature feature) {
  if (!atomic_load_explicit(&found, memory_order_relaxed)) dti_cpu_restrict(~0);
  return (atomic_load_explicit(&found, memory_order_relaxed) & (int)feature) != 0;
}

void dti_cpu_restrict(int features) {
  atomic_store_explicit(&found, KNOWN | (detect() & features), memory_order_relaxed);
}
