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

/* What goes to, or comes from, another node. */
typedef struct node_share {
  int64_t node, elements;
} node_share;

static int by_node(const void *a, const void *b) {
  const node_share *x = a, *y = b;
  return x->node < y->node ? -1 : x->node > y->node;
}

/* How many nodes there are, and the most elements of one of them. */
static int64_t count_nodes(node_share shares[], int64_t n, int64_t *most) {
  qsort(shares, (size_t)n, sizeof *shares, by_node);
  int64_t nodes = 0, sum = 0;
  for (int64_t i = 0; i < n; i++) {
    const int is_next = i == 0 || shares[i].node != shares[i - 1].node;
    nodes += is_next;
    sum = shares[i].elements + (is_next ? 0 : sum);
    if (sum > *most) *most = sum;
  }
  return nodes;
}

/* Copies of one region share its runs. */
static int is_same_region(const dti_region *a, const dti_region *b) {
  for (int d = 0; d < a->ndim; d++)
    if (a->runs[d] != b->runs[d] || a->count[d] != b->count[d]) return 0;
  return 1;
}

/* `shares` has room for one per message. */
static void add_receives(const dti_exchange *x, const dti_exchange_ends *ends, int64_t per_node,
                         node_share shares[], dti_volume *volume) {
  int64_t shape[DTENSOR_MAX_NDIM], far = 0;
  local_shape(ends->to, ends->to_place, shape);
  const int64_t here = ends->to_place / per_node;
  for (int64_t i = 0; i < x->parcels; i++) {
    const dti_parcel *parcel = &x->parcel[i];
    const int64_t n = parcel->region.elements;
    const int sums = parcel->contributions > 1;
    const int together = !sums && lies_together(&parcel->region, shape);
    if (sums) volume->contributed += n * parcel->contributions;
    for (int64_t k = 0; k < parcel->contributions; k++) {
      if (parcel->sources[k] == DTI_SELF) {
        if (!sums) volume->own += n;
        continue;
      }
      const int64_t node = parcel->sources[k] / per_node;
      if (node != here) shares[far++] = (node_share){node, n};
      add(node == here ? &volume->near_in : &volume->far_in, volume, n, together);
    }
  }
  volume->far_nodes = count_nodes(shares, far, &volume->node_in);
}

static void add_sends(const dti_exchange *x, const dti_exchange_ends *ends, int64_t per_node,
                      node_share shares[], dti_volume *volume) {
  int64_t shape[DTENSOR_MAX_NDIM], far = 0;
  local_shape(ends->from, ends->from_place, shape);
  const int64_t here = ends->from_place / per_node;
  const dti_send *before = NULL; /* to another node */
  for (int64_t i = 0; i < x->sends; i++) {
    const dti_send *send = &x->send[i];
    const int64_t node = send->peer / per_node, n = send->region.elements;
    add(node == here ? &volume->near_out : &volume->far_out, volume, n,
        lies_together(&send->region, shape));
    if (node == here) continue;
    shares[far++] = (node_share){node, n};
    if (!before || before->peer / per_node != node ||
        !is_same_region(&before->region, &send->region))
      volume->far_out_once += n;
    before = send;
  }
  const int64_t targets = count_nodes(shares, far, &volume->node_out);
  if (targets > volume->far_nodes) volume->far_nodes = targets;
}

dtensor_status dti_volume_of(const dti_exchange_ends *ends, int64_t ranks_per_node,
                             dti_volume *volume) {
  *volume = (dti_volume){0};
  dti_exchange x;
  DTI_TRY(dti_exchange_plan(ends, &x));
  const int64_t most = x.sends > x.messages_received ? x.sends : x.messages_received;
  node_share *shares = malloc(((size_t)most + 1) * sizeof *shares);
  if (shares) {
    add_receives(&x, ends, ranks_per_node, shares, volume);
    add_sends(&x, ends, ranks_per_node, shares, volume);
  }
  free(shares);
  dti_exchange_free(&x);
  DTI_CHECK(shares, DTENSOR_ENOMEM, "no memory for a table of %lld nodes", (long long)most);
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
