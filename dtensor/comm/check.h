/* Were all ranks called alike? */
#ifndef DTENSOR_COMM_CHECK_H_
#define DTENSOR_COMM_CHECK_H_

#include <stdint.h>

#include "dtensor/comm/comm.h"

/* A few facts that must be equal on all ranks, each with a name for the message. Zeroed: none. */
#define DTI_FACTS_MAX 8
typedef struct dti_facts {
  int n;
  const char *name[DTI_FACTS_MAX]; /* static */
  uint64_t hash[DTI_FACTS_MAX];
} dti_facts;

/* The function that was called need not be added. Facts above DTI_FACTS_MAX share the last name. */
void dti_facts_add(dti_facts *facts, const char *name, const void *data, size_t bytes);

/* 1 if DTENSOR_CHECK=1 is set in the environment (read once). */
int dti_check_enabled(void);

/* Compare over the ranks; DTENSOR_EDIVERGED on all of them if a fact differs, naming it: the
 * function that was called is always the first. One all-reduce of a fixed number of words, so that
 * ranks which are in different functions meet here instead of hanging. Collective over comm. */
dtensor_status dti_facts_compare(dti_comm *comm, const dti_facts *facts);

/* FNV-1a, of the bytes after those that `hash` already stands for (0: none). */
uint64_t dti_hash(uint64_t hash, const void *data, size_t bytes);

#endif
