/* The processors that a rank may run on: whether ranks of a node have to share them. */
#ifndef DTENSOR_COMM_CPUS_H_
#define DTENSOR_COMM_CPUS_H_

#include <stdint.h>

typedef struct dti_cpus {
  uint64_t bits[16];
} dti_cpus;

/* Those of the calling thread; none if they are unknown. */
dti_cpus dti_cpus_of_thread(void);

/* 1 if both have one. */
int dti_cpus_meet(const dti_cpus *a, const dti_cpus *b);

void dti_cpus_add(dti_cpus *to, const dti_cpus *more);
int dti_cpus_count(const dti_cpus *cpus);

#endif
