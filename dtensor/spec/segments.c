#include "dtensor/spec/segments.h"

#include <stdlib.h>

#include "dtensor/base/fail.h"

enum { CHANGES = 256 }; /* the most of one axis */

typedef struct changes {
  int64_t n;
  int64_t at[CHANGES];
} changes;

/* Any status other than DTENSOR_OK ends the walk. */
static dtensor_status note(const dti_piece *piece, void *ctx) {
  changes *c = ctx;
  if (c->n == CHANGES) return DTENSOR_EUNSUPPORTED;
  c->at[c->n++] = piece->begin;
  return DTENSOR_OK;
}

static int by_value(const void *a, const void *b) {
  const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
  return (x > y) - (x < y);
}

dtensor_status dti_segments_make(int n, const dti_axis axes[], dti_segments *segments) {
  const int64_t size = axes[0].size;
  *segments = (dti_segments){0};
  if (n == 1 && axes[0].levels == 0) {
    segments->run = malloc(sizeof *segments->run);
    DTI_CHECK(segments->run, DTENSOR_ENOMEM, "no memory for the cuts of an axis");
    segments->run[0] = (dti_run){0, size};
    segments->n = size > 0;
    return DTENSOR_OK;
  }
  int64_t *at = malloc(((size_t)n * CHANGES + 2) * sizeof *at), count = 0;
  changes *c = malloc(sizeof *c);
  segments->run = malloc(((size_t)n * CHANGES + 2) * sizeof *segments->run);
  dtensor_status status = DTENSOR_OK;
  if (!at || !c || !segments->run) {
    status = DTI_FAIL(DTENSOR_ENOMEM, "no memory for the cuts of an axis");
  } else {
    at[count++] = 0;
    for (int i = 0; i < n; i++) {
      c->n = 0;
      if (dti_axis_walk(&axes[i], 0, size, NULL, note, c) != DTENSOR_OK) continue;
      for (int64_t k = 0; k < c->n; k++) at[count++] = c->at[k];
    }
    qsort(at, (size_t)count, sizeof *at, by_value);
    at[count] = size;
    for (int64_t i = 0; i < count; i++)
      if (at[i + 1] > at[i]) segments->run[segments->n++] = (dti_run){at[i], at[i + 1] - at[i]};
  }
  free(c);
  free(at);
  if (status != DTENSOR_OK) dti_segments_free(segments);
  return status;
}

void dti_segments_free(dti_segments *segments) {
  free(segments->run);
  *segments = (dti_segments){0};
}

int64_t dti_segments_shortest(const dti_segments *segments) {
  int64_t shortest = INT64_MAX;
  for (int64_t i = 0; i < segments->n; i++)
    if (segments->run[i].length < shortest) shortest = segments->run[i].length;
  return segments->n > 0 ? shortest : 0;
}

/* length part / of without the product, which may not fit. */
static int64_t part_of(int64_t length, int64_t part, int64_t of) {
  return length / of * part + length % of * part / of;
}

int64_t dti_segments_slice(const dti_segments *segments, int64_t first, int64_t end, int64_t of,
                           dti_run runs[]) {
  int64_t n = 0;
  for (int64_t i = 0; i < segments->n; i++) {
    const dti_run *run = &segments->run[i];
    const int64_t begin = run->begin + part_of(run->length, first, of);
    const int64_t length = run->begin + part_of(run->length, end, of) - begin;
    if (length == 0) continue;
    if (n > 0 && runs[n - 1].begin + runs[n - 1].length == begin)
      runs[n - 1].length += length;
    else
      runs[n++] = (dti_run){begin, length};
  }
  return n;
}
