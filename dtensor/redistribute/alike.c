#include "dtensor/redistribute/alike.h"

#include "dtensor/base/fail.h"
#include "dtensor/comm/check.h"

dtensor_status dti_participants(dtensor_mesh *from, dtensor_mesh *to, dti_comm **comm) {
  if (dti_mesh_same(from, to)) return dti_mesh_comm(to, comm);
  DTI_CHECK(from->root == to->root, DTENSOR_EMESH,
            "the two meshes are not on the same communicator");
  *comm = to->root;
  return DTENSOR_OK;
}

/* Placements member by member: there are gaps between them. */
static uint64_t hash_layout(const dti_layout *layout) {
  uint64_t hash = dti_hash(0, &layout->ndim, sizeof layout->ndim);
  hash = dti_hash(hash, layout->shape, (size_t)layout->ndim * sizeof *layout->shape);
  hash = dti_hash(hash, layout->mesh, (size_t)layout->mesh_ndim * sizeof *layout->mesh);
  for (int m = 0; m < layout->mesh_ndim; m++) {
    const dtensor_placement *p = &layout->p[m];
    const int64_t words[] = {(int64_t)p->kind, p->dim, (int64_t)p->op, p->param, p->count};
    hash = dti_hash(hash, words, sizeof words);
    hash = dti_hash(hash, p->sizes, (size_t)p->count * sizeof *p->sizes);
  }
  return hash;
}

static uint64_t hash_box(const dti_box *box, int ndim) {
  if (!box) return 0;
  const size_t bytes = (size_t)ndim * sizeof *box->shape;
  const uint64_t whole =
      dti_hash(dti_hash(dti_hash(0, box->from, bytes), box->to, bytes), box->shape, bytes);
  if (!box->runs) return whole;
  return dti_hash(dti_hash(whole, &box->cut_dim, sizeof box->cut_dim), box->runs,
                  (size_t)box->cuts * sizeof *box->runs);
}

/* The first fact of both functions below, so that the message names it. */
static void add_verdict(dti_facts *facts, dtensor_status verdict) {
  dti_facts_add(facts, "whether the arguments are good", &verdict, sizeof verdict);
}

dtensor_status dti_alike_check(dti_comm *comm, const dti_transfer_item *item,
                               const dtensor_redistribute_opts *opts) {
  if (!dti_check_enabled()) return DTENSOR_OK;
  const uint64_t source = hash_layout(item->from.layout), target = hash_layout(item->to.layout);
  const uint64_t part = hash_box(item->box, item->to.layout->ndim);
  const int64_t max_bytes = opts ? opts->max_bytes : 0;
  const int64_t max_received = opts ? opts->max_received : 0;
  dti_facts facts = {0};
  add_verdict(&facts, DTENSOR_OK);
  dti_facts_add(&facts, "the dtype", &item->dtype, sizeof item->dtype);
  dti_facts_add(&facts, "the layout of the source", &source, sizeof source);
  dti_facts_add(&facts, "the layout asked for", &target, sizeof target);
  dti_facts_add(&facts, "max_bytes", &max_bytes, sizeof max_bytes);
  dti_facts_add(&facts, "max_received", &max_received, sizeof max_received);
  dti_facts_add(&facts, "what moves", &part, sizeof part);
  return dti_facts_compare(comm, &facts);
}

dtensor_status dti_alike_refuse(dtensor_mesh *from, dtensor_mesh *to, dtensor_status verdict) {
  const int takes_part = !dti_mesh_same(from, to) || dti_mesh_is_member(to);
  if (verdict == DTENSOR_OK || !takes_part || !dti_check_enabled()) return verdict;
  dti_comm *comm;
  DTI_TRY(dti_participants(from, to, &comm));
  dti_facts facts = {0};
  add_verdict(&facts, verdict);
  const dtensor_status alike = dti_facts_compare(comm, &facts);
  return alike == DTENSOR_OK ? verdict : alike;
}
