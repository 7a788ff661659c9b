#include "dtensor/redistribute/hierarchy.h"

#include <stdlib.h>

#include "dtensor/base/alloc.h"
#include "dtensor/base/fail.h"
#include "dtensor/redistribute/arrivals.h"

int dti_hierarchy_members(const dti_leg *leg, int node) {
  int members = 0;
  for (int rank = 0; rank < dti_comm_size(leg->comm); rank++)
    members += dti_comm_node_of(leg->comm, rank) == node;
  return members;
}

int dti_hierarchy_rank(const dti_leg *leg, int node, int k) {
  int rank = -1;
  do {
    if (dti_comm_node_of(leg->comm, ++rank) == node) k--;
  } while (k >= 0);
  return rank;
}

int dti_hierarchy_carrier(const dti_leg *leg, int node, int members, int other) {
  const int nodes = dti_comm_nodes(leg->comm);
  return (other - node - 1 + nodes) % nodes % members;
}

/* ---- What this rank carries ---- */

static int node_here(const dti_leg *leg) {
  return dti_comm_node_of(leg->comm, dti_comm_rank(leg->comm));
}

static dti_freight freight_of(const dti_leg *leg, int node) {
  const int members = dti_hierarchy_members(leg, node);
  const int carrier = dti_hierarchy_carrier(leg, node, members, node_here(leg));
  return (dti_freight){.node = node, .carrier = dti_hierarchy_rank(leg, node, carrier)};
}

/* Whether any rank of this node takes something from another one. */
static int takes_from(const dti_leg *leg, const dti_node_plans *plans, int node) {
  for (int p = 0; p < leg->parts; p++)
    for (int m = 0; m < plans->members; m++) {
      const dti_exchange *x = dti_node_plan(plans, p, m);
      for (int64_t i = 0; i < x->parcels; i++)
        for (int64_t k = 0; k < x->parcel[i].contributions; k++) {
          const int64_t source = x->parcel[i].sources[k];
          if (source == DTI_SELF) continue;
          const int rank = dti_leg_rank(leg, &leg->part[p].from, source);
          if (dti_comm_node_of(leg->comm, rank) == node) return 1;
        }
    }
  return 0;
}

static dtensor_status add_send(dti_leg *leg, int node) {
  dti_hierarchy *h = leg->hierarchy;
  dti_freight *f = &h->send[h->sends++];
  *f = freight_of(leg, node);
  DTI_TRY(dti_manifest_make(leg, &h->plans, node, &f->manifest));
  if (f->manifest.bytes > 0) return DTENSOR_OK;
  dti_manifest_free(&f->manifest);
  h->sends--;
  return DTENSOR_OK;
}

static dtensor_status add_receive(dti_leg *leg, int node) {
  dti_hierarchy *h = leg->hierarchy;
  if (!takes_from(leg, &h->plans, node)) return DTENSOR_OK;
  dti_freight *f = &h->receive[h->receives++];
  *f = freight_of(leg, node);
  dti_node_plans theirs;
  dtensor_status status = dti_node_plans_make(leg, node, &theirs);
  if (status == DTENSOR_OK) status = dti_manifest_make(leg, &theirs, node_here(leg), &f->manifest);
  dti_node_plans_free(&theirs);
  return status;
}

/* Which nodes, and what goes to them and comes from them. */
static dtensor_status plan_freights(dti_leg *leg) {
  dti_hierarchy *h = leg->hierarchy;
  const int nodes = dti_comm_nodes(leg->comm), here = node_here(leg);
  const int members = leg->node ? dti_node_size(leg->node) : 1;
  const int first = leg->node ? dti_node_rank(leg->node) : 0;
  if (first >= nodes - 1) return DTENSOR_OK;
  const int n = (nodes - 2 - first) / members + 1;
  h->send = calloc((size_t)n, sizeof *h->send);
  h->receive = calloc((size_t)n, sizeof *h->receive);
  DTI_CHECK(h->send && h->receive, DTENSOR_ENOMEM, "no memory for messages with %d nodes", n);
  DTI_TRY(dti_node_plans_make(leg, here, &h->plans));
  for (int k = first; k < nodes - 1; k += members) {
    DTI_TRY(add_send(leg, (here + 1 + k) % nodes));
    DTI_TRY(add_receive(leg, (here + 1 + k) % nodes));
  }
  return DTENSOR_OK;
}

/* ---- Room ---- */

static int64_t pieces_of(const dti_freight *f) {
  return (f->manifest.bytes - 1) / DTI_STREAM_CHUNK + 1;
}

static dtensor_status make_buffers(dti_hierarchy *h, dti_freight *freight, int n) {
  for (int i = 0; i < n; i++) {
    const size_t bytes = (size_t)freight[i].manifest.bytes;
    freight[i].buffer = dti_alloc(bytes);
    DTI_CHECK(freight[i].buffer, DTENSOR_ENOMEM, "no memory for %zu bytes between nodes", bytes);
    h->workspace += (int64_t)bytes;
  }
  return DTENSOR_OK;
}

static dtensor_status make_room_for_chunk(dti_hierarchy *h) {
  int64_t runs = 1;
  for (int i = 0; i < h->sends; i++)
    for (int64_t l = 0; l < h->send[i].manifest.items; l++) {
      const dti_region *region = h->send[i].manifest.item[l].region;
      for (int d = 0; d < region->ndim; d++)
        if (region->count[d] > runs) runs = region->count[d];
    }
  h->room.cut = malloc((size_t)runs * sizeof *h->room.cut);
  DTI_CHECK(h->room.cut, DTENSOR_ENOMEM, "no memory for %lld index runs", (long long)runs);
  return DTENSOR_OK;
}

static dtensor_status make_batch(dti_leg *leg) {
  dti_hierarchy *h = leg->hierarchy;
  for (int i = 0; i < h->receives; i++) h->receives_open += pieces_of(&h->receive[i]);
  int64_t pieces = h->receives_open;
  for (int i = 0; i < h->sends; i++) pieces += pieces_of(&h->send[i]);
  if (pieces == 0) return DTENSOR_OK;
  h->done = malloc((size_t)pieces * sizeof *h->done);
  h->is_receive = malloc((size_t)pieces);
  size_t *bytes = malloc((size_t)pieces * sizeof *bytes);
  dtensor_status status = DTENSOR_OK;
  if (!h->done || !h->is_receive || !bytes)
    status = DTI_FAIL(DTENSOR_ENOMEM, "no memory for a table of %lld messages", (long long)pieces);
  for (int64_t i = 0; status == DTENSOR_OK && i < pieces; i++) bytes[i] = DTI_STREAM_CHUNK;
  if (status == DTENSOR_OK) status = dti_batch_create(leg->comm, pieces, bytes, &h->batch);
  if (status == DTENSOR_OK) dti_batch_set_carrier(h->batch);
  free(bytes);
  return status;
}

dtensor_status dti_hierarchy_prepare(dti_leg *leg) {
  dti_hierarchy *h = leg->hierarchy = calloc(1, sizeof *h);
  DTI_CHECK(h, DTENSOR_ENOMEM, "no memory for a leg between nodes");
  DTI_TRY(plan_freights(leg));
  DTI_TRY(make_buffers(h, h->send, h->sends));
  DTI_TRY(make_buffers(h, h->receive, h->receives));
  DTI_TRY(make_room_for_chunk(h));
  DTI_TRY(dti_arrivals_prepare(leg));
  return make_batch(leg);
}

static void free_freights(dti_freight *freight, int n) {
  for (int i = 0; i < n; i++) {
    dti_manifest_free(&freight[i].manifest);
    dti_free(freight[i].buffer);
  }
  free(freight);
}

void dti_hierarchy_free(dti_leg *leg) {
  dti_hierarchy *h = leg->hierarchy;
  if (!h) return;
  dti_batch_destroy(&h->batch);
  free_freights(h->send, h->sends);
  free_freights(h->receive, h->receives);
  dti_node_plans_free(&h->plans);
  free(h->room.cut);
  free(h->done);
  free(h->is_receive);
  dti_free(h->index);
  free(h);
}
