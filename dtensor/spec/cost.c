/* The model: a rank's own work (overheads, packing, copies, additions) beside what the wire takes.
 * A node's link is shared by its ranks, which are taken to be equally busy. */
#include "dtensor/spec/cost.h"

#include <math.h>

#include "dtensor/spec/confine.h"
#include "dtensor/spec/split_kind.h"

static int64_t larger(int64_t a, int64_t b) { return a > b ? a : b; }

static int64_t log2_up(int64_t n) {
  int64_t rounds = 0;
  for (int64_t have = 1; have < n; have *= 2) rounds++;
  return rounds;
}

/* One side of what an engine does, in bytes. */
typedef struct work {
  double cpu, wire;
  int64_t messages; /* of a round */
  double latency;
  int64_t staging;
} work;

typedef struct pricing {
  const dtensor_machine *machine;
  double element;
  double sharers; /* ranks on a node's link */
  int64_t nodes;
  const dti_volume *v;
} pricing;

/* Reading and adding up what needs no message. */
static double memory_seconds(const pricing *p, int64_t near_elements) {
  const dti_volume *v = p->v;
  const double copied = (double)v->own + (v->contributed ? 0 : (double)near_elements);
  return p->element * (p->machine->copy * copied + p->machine->reduce * (double)v->contributed);
}

static double link_seconds(const pricing *p, int64_t in, int64_t out) {
  return p->machine->byte * p->sharers * p->element * (double)larger(in, out);
}

static double pack_seconds(const pricing *p, int64_t elements) {
  return p->machine->pack * p->element * (double)elements;
}

/* A message between every two ranks that share elements. */
static void add_messages(const pricing *p, const dti_traffic *in, const dti_traffic *out, int far,
                         work *w) {
  const dtensor_machine *m = p->machine;
  if (in->messages + out->messages == 0) return;
  w->cpu += pack_seconds(p, in->scattered + out->scattered);
  w->cpu += m->overhead * (double)(in->messages + out->messages);
  w->messages += larger(in->messages, out->messages);
  w->staging += in->scattered + out->scattered;
  if (far) {
    w->latency = m->latency;
    w->wire += link_seconds(p, in->elements, out->elements);
  } else {
    if (w->latency < m->node_latency) w->latency = m->node_latency;
    w->cpu += m->node_byte * p->element * (double)larger(in->elements, out->elements);
  }
}

static void add_shared_memory(const pricing *p, work *w) {
  const dti_volume *v = p->v;
  w->cpu += memory_seconds(p, v->near_in.elements);
  if (v->near_in.messages + v->near_out.messages > 0) w->cpu += 2 * p->machine->meeting;
}

static work direct_work(const pricing *p, int shared_memory) {
  work w = {0};
  add_messages(p, &p->v->far_in, &p->v->far_out, 1, &w);
  if (shared_memory) {
    add_shared_memory(p, &w);
  } else {
    w.cpu += memory_seconds(p, 0);
    add_messages(p, &p->v->near_in, &p->v->near_out, 0, &w);
  }
  return w;
}

/* The ranks of a node share out its partners among them. What several ranks of a node want travels
 * once; how much that saves of what arrives is taken to be as much as of what leaves. */
static work hierarchical_work(const pricing *p) {
  const dti_volume *v = p->v;
  const double once =
      v->far_out.elements > 0 ? (double)v->far_out_once / (double)v->far_out.elements : 1;
  work w = {.latency = p->machine->latency};
  add_shared_memory(p, &w);
  /* Who carries to which node does not depend on which nodes there is something for. */
  w.messages = dti_ceil_div(p->nodes - 1, (int64_t)p->sharers);
  if (w.messages > v->far_nodes) w.messages = v->far_nodes;
  /* The carrier of the largest messages keeps them whole. */
  const double carried = once * p->sharers * (double)w.messages;
  w.staging = (int64_t)ceil(carried * (double)(v->node_in + v->node_out));
  w.cpu += pack_seconds(p, v->far_in.elements + (int64_t)(carried * (double)v->node_out));
  w.cpu += 2 * p->machine->overhead * (double)w.messages;
  w.cpu += 2 * p->machine->meeting; /* all has been packed; all has arrived */
  w.wire = once * link_seconds(p, v->far_in.elements, v->far_out.elements);
  return w;
}

static work collective_work(const pricing *p, int is_all_gather, int64_t group) {
  const dti_volume *v = p->v;
  const dtensor_machine *m = p->machine;
  const int far = v->far_in.messages + v->far_out.messages > 0;
  const double latency = far ? m->latency : m->node_latency;
  const int64_t in = v->near_in.elements + v->far_in.elements;
  const int64_t out = v->near_out.elements + v->far_out.elements;
  const int64_t scattered_in = v->near_in.scattered + v->far_in.scattered;
  const int64_t scattered_out = v->near_out.scattered + v->far_out.scattered;
  work w = {.latency = latency};
  /* All-gathers double what is there in each round. Others send to every rank of the group, also
   * what is empty. What does not lie together is staged, and then all of it is. */
  w.messages = is_all_gather ? log2_up(group) : group - 1;
  if (is_all_gather && w.messages > 1) w.wire += (double)(w.messages - 1) * latency;
  w.cpu += 2 * m->overhead * (double)w.messages + memory_seconds(p, 0);
  if (scattered_in) w.staging += in;
  if (scattered_out && !is_all_gather) w.staging += out;
  w.cpu += pack_seconds(p, w.staging);
  w.cpu += m->node_byte * p->element * (double)larger(v->near_in.elements, v->near_out.elements);
  w.wire += link_seconds(p, v->far_in.elements, v->far_out.elements);
  return w;
}

dti_price dti_exchange_price(const dtensor_machine *machine, dti_topology topology, int64_t ranks,
                             size_t element, const dti_step *step, int64_t group,
                             const dti_volume *v) {
  const int64_t bytes = (int64_t)element;
  const int64_t sharers = ranks < topology.ranks_per_node ? ranks : topology.ranks_per_node;
  const pricing p = {machine, (double)element, (double)sharers, dti_ceil_div(ranks, sharers), v};
  const work w = step->engine == DTI_ENGINE_DIRECT ? direct_work(&p, topology.shared_memory)
                 : step->engine == DTI_ENGINE_HIERARCHICAL
                     ? hierarchical_work(&p)
                     : collective_work(&p, step->is_all_gather, group);
  return (dti_price){
      .cost = {.seconds = w.latency + (w.cpu > w.wire ? w.cpu : w.wire),
               .messages = w.messages,
               .bytes_received = bytes * (v->near_in.elements + v->far_in.elements),
               .bytes_sent = bytes * (v->near_out.elements + v->far_out.elements),
               .workspace = bytes * w.staging},
      .round_seconds = w.latency + 2 * machine->overhead * (double)w.messages,
  };
}

dti_price dti_gather_price(const dtensor_machine *machine, dti_topology topology,
                           const dti_step *step, int64_t bytes) {
  const dti_layout *layout = &step->to;
  const int64_t ranks = dti_group_size(layout, step->mesh_dims), rounds = log2_up(ranks);
  int64_t width = 0; /* places from the first to the last of a group */
  for (int m = 0; m < layout->mesh_ndim; m++) {
    if (width == 0 && (step->mesh_dims & (1u << m))) width = 1;
    width *= layout->mesh[m];
  }
  const int far = width > topology.ranks_per_node;
  const int64_t moved = bytes * (ranks - 1);
  const double latency = far ? machine->latency : machine->node_latency;
  const int64_t all = dti_numel(layout->mesh_ndim, layout->mesh);
  const int64_t sharers = all < topology.ranks_per_node ? all : topology.ranks_per_node;
  const double byte = far ? machine->byte * (double)sharers : machine->node_byte;
  return (dti_price){
      .cost = {.seconds = (double)rounds * (latency + 2 * machine->overhead) +
                          byte * (double)moved + machine->reduce * (double)(bytes * ranks),
               .messages = rounds,
               .bytes_received = moved,
               .bytes_sent = moved,
               .workspace = bytes * ranks},
  };
}
