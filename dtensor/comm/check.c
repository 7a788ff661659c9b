#include "dtensor/comm/check.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "dtensor/base/fail.h"

static int enabled;

static void read_environment(void) {
  const char *value = getenv("DTENSOR_CHECK");
  enabled = value && strcmp(value, "1") == 0;
}

int dti_check_enabled(void) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  pthread_once(&once, read_environment);
  return enabled;
}

uint64_t dti_hash(uint64_t hash, const void *data, size_t bytes) {
  const unsigned char *byte = data;
  if (hash == 0) hash = UINT64_C(14695981039346656037);
  for (size_t i = 0; i < bytes; i++) hash = (hash ^ byte[i]) * UINT64_C(1099511628211);
  return hash;
}

void dti_facts_add(dti_facts *facts, const char *name, const void *data, size_t bytes) {
  if (facts->n < DTI_FACTS_MAX) facts->name[facts->n++] = name;
  uint64_t *hash = &facts->hash[facts->n - 1];
  *hash = dti_hash(*hash, data, bytes);
}

dtensor_status dti_facts_compare(dti_comm *comm, const dti_facts *facts) {
  /* Of v and ~v the minima tell the smallest and the largest v. */
  int64_t pair[1 + DTI_FACTS_MAX][2];
  for (int i = 0; i <= DTI_FACTS_MAX; i++) {
    uint64_t hash = 0;
    if (i == 0)
      hash = dti_hash(0, dti_api_name(), strlen(dti_api_name()));
    else if (i <= facts->n)
      hash = facts->hash[i - 1];
    memcpy(&pair[i][0], &hash, sizeof hash);
    pair[i][1] = ~pair[i][0];
  }
  DTI_TRY(dti_comm_allreduce(comm, &pair[0][0], 2 * (1 + DTI_FACTS_MAX), DTI_COMM_MIN));

  DTI_CHECK(pair[0][0] == ~pair[0][1], DTENSOR_EDIVERGED,
            "the ranks were called differently: not all of them are in %s", dti_api_name());
  for (int i = 0; i < DTI_FACTS_MAX; i++)
    DTI_CHECK(pair[i + 1][0] == ~pair[i + 1][1], DTENSOR_EDIVERGED,
              "the ranks were called differently: %s differs",
              i < facts->n ? facts->name[i] : "the number of arguments");
  return DTENSOR_OK;
}
