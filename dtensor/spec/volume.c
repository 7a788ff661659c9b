#include "dtensor/spec/volume.h"

#include <stdlib.h>

#include "dtensor/base/fail.h"

/* Whether a region of a packed array is one stretch of memory. */
static int lies_together(const dti_region *region, const int64_t shape[]) {
  int d = 0;
  while (d < region->ndim && region->count[d] == 1 && region->runs[d][0].length == 1) d++;
  if (d < region->ndim && region->count[d] != 1) return 0;
  for (d++; d < region->ndim; d++)
    if (region->count[d] != 1 || region->runs[d][0].length != shape[d]) return 0;
  return 1;
}

static void add(dti_traffic *traffic, dti_volume *volume, int64_t elements, int together) {
  traffic->messages++;
  traffic->elements += elements;
  if (!together) traffic->scattered += elements;
  if (elements > volume->largest) volume->largest = elements;
}

static void local_shape(const dti_layout *layout, int64_t place, int64_t shape[]) {
  int64_t coord[DTENSOR_MAX_NDIM];
  if (place < 0) return;
  dti_mesh_unravel(layout->mesh_ndim, layout->mesh, place, coord);
  dti_layout_local(layout, coord, shape, NULL);
}

static int by_number(const void *a, const void *b) {
  const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
  return x < y ? -1 : x > y;
}

static int64_t distinct(int64_t values[], int64_t n) {
  qsort(values, (size_t)n, sizeof *values, by_number);
  int64_t count = 0;
  for (int64_t i = 0; i < n; i++) count += i == 0 || values[i] != values[i - 1];
  return count;
}

/* `nodes` has room for one number per message. */
static void add_receives(const dti_exchange *x, const dti_exchange_ends *ends, int64_t per_node,
                         int64_t nodes[], dti_volume *volume) {
  int64_t shape[DTENSOR_MAX_NDIM], far = 0;
  local_shape(ends->to, ends->to_place, shape);
  const int64_t here = ends->to_place / per_node;
  for (int64_t i = 0; i < x->parcels; i++) {
    const dti_parcel *parcel = &x->parcel[i];
    const int64_t n = parcel->region.elements;
    const int sums = parcel->contributions > 1;
    /* One contribution can be received into the place of the sum; the others need room. */
    int together = lies_together(&parcel->region, shape);
    if (sums) volume->contributed += n * parcel->contributions;
    for (int64_t k = 0; k < parcel->contributions; k++) {
      if (parcel->sources[k] == DTI_SELF) {
        if (!sums) volume->own += n;
        continue;
      }
      const int64_t node = parcel->sources[k] / per_node;
      if (node != here) nodes[far++] = node;
      add(node == here ? &volume->near_in : &volume->far_in, volume, n, together);
      if (sums) together = 0;
    }
  }
  volume->far_nodes = distinct(nodes, far);
}

static void add_sends(const dti_exchange *x, const dti_exchange_ends *ends, int64_t per_node,
                      int64_t nodes[], dti_volume *volume) {
  int64_t shape[DTENSOR_MAX_NDIM], far = 0;
  local_shape(ends->from, ends->from_place, shape);
  const int64_t here = ends->from_place / per_node;
  for (int64_t i = 0; i < x->sends; i++) {
    const int64_t node = x->send[i].peer / per_node;
    if (node != here) nodes[far++] = node;
    add(node == here ? &volume->near_out : &volume->far_out, volume, x->send[i].region.elements,
        lies_together(&x->send[i].region, shape));
  }
  const int64_t targets = distinct(nodes, far);
  if (targets > volume->far_nodes) volume->far_nodes = targets;
}

dtensor_status dti_volume_of(const dti_exchange_ends *ends, int64_t ranks_per_node,
                             dti_volume *volume) {
  *volume = (dti_volume){0};
  dti_exchange x;
  DTI_TRY(dti_exchange_plan(ends, &x));
  const int64_t most = x.sends > x.messages_received ? x.sends : x.messages_received;
  int64_t *nodes = malloc(((size_t)most + 1) * sizeof *nodes);
  if (nodes) {
    add_receives(&x, ends, ranks_per_node, nodes, volume);
    add_sends(&x, ends, ranks_per_node, nodes, volume);
  }
  free(nodes);
  dti_exchange_free(&x);
  DTI_CHECK(nodes, DTENSOR_ENOMEM, "no memory for a table of %lld nodes", (long long)most);
  return DTENSOR_OK;
}

/* The runs of a dimension, which messages share: tables in the order of the messages. */
typedef struct runs_seen {
  const dti_run *last;
  int64_t runs, shares;
} runs_seen;

static void see(runs_seen seen[], const dti_region *region) {
  for (int d = 0; d < region->ndim; d++) {
    if (seen[d].last && region->runs[d] <= seen[d].last) continue;
    seen[d].last = region->runs[d];
    seen[d].runs += region->count[d];
    seen[d].shares++;
  }
}

static size_t seen_bytes(const runs_seen seen[]) {
  /* Of a share: the owner's coordinates and five numbers; runs are kept for both sides. */
  const size_t share = (DTENSOR_MAX_NDIM + 5) * sizeof(int64_t);
  size_t bytes = 0;
  for (int d = 0; d < DTENSOR_MAX_NDIM; d++)
    bytes += (size_t)seen[d].shares * share + 2 * (size_t)seen[d].runs * sizeof(dti_run);
  return bytes;
}

size_t dti_exchange_bytes(const dti_exchange *x) {
  runs_seen received[DTENSOR_MAX_NDIM] = {{0}}, sent[DTENSOR_MAX_NDIM] = {{0}};
  int64_t sources = 0;
  for (int64_t i = 0; i < x->parcels; i++) {
    see(received, &x->parcel[i].region);
    sources += x->parcel[i].contributions;
  }
  for (int64_t i = 0; i < x->sends; i++) see(sent, &x->send[i].region);
  return sizeof *x + (size_t)x->parcels * sizeof *x->parcel + (size_t)x->sends * sizeof *x->send +
         (size_t)sources * sizeof(int64_t) + seen_bytes(received) + seen_bytes(sent);
}
