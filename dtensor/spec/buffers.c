#include "dtensor/spec/buffers.h"

#include "dtensor/spec/axis.h"
#include "dtensor/spec/collective_bytes.h"
#include "dtensor/spec/confine.h"

static int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }

/* Of bytes: more than there are is enough. */
static int64_t times(int64_t a, int64_t b) {
  int64_t product;
  return __builtin_mul_overflow(a, b, &product) ? INT64_MAX : product;
}

static int64_t plus(int64_t a, int64_t b) {
  int64_t sum;
  return __builtin_add_overflow(a, b, &sum) ? INT64_MAX : sum;
}

/* ---- What a rank sends and receives ---- */

/* The two sides of a step. */
typedef struct sides {
  const dti_layout *from, *to;
  int same_mesh;
  unsigned mesh_dims;
} sides;

static sides sides_of(const dti_way_ends *ends, const dti_way *way, int i) {
  return (sides){.from = i == 0 ? ends->from : &way->step[i - 1].to,
                 .to = &way->step[i].to,
                 .same_mesh = ends->same_mesh || i > 0,
                 .mesh_dims = way->step[i].mesh_dims};
}

static int is_kept(const sides *s, int m) {
  return s->same_mesh && s->from->p[m].kind == DTENSOR_PARTIAL &&
         s->to->p[m].kind == DTENSOR_PARTIAL && s->from->p[m].op == s->to->p[m].op;
}

static int is_summed(const sides *s, int m) {
  return s->from->p[m].kind == DTENSOR_PARTIAL && s->from->mesh[m] > 1 && !is_kept(s, m);
}

/* How many values are added up to one. */
static int64_t contributions(const sides *s) {
  int64_t n = 1;
  for (int m = 0; m < s->from->mesh_ndim; m++)
    if (is_summed(s, m)) n = times(n, s->from->mesh[m]);
  return n;
}

/* Whether a rank has one of the values itself, as nobody but those who add up with it talks to it.
 */
static int has_own(const sides *s) {
  if (!s->same_mesh) return 0;
  for (int m = 0; m < s->from->mesh_ndim; m++)
    if ((s->mesh_dims >> m & 1u) && !is_summed(s, m)) return 0;
  return 1;
}

/* To how many ranks one element goes. On one mesh a replica is taken from the own coordinate. */
static int64_t copies(const sides *s) {
  int64_t n = 1;
  for (int m = 0; m < s->to->mesh_ndim; m++) {
    const dtensor_placement p = s->to->p[m];
    const int everywhere = p.kind == DTENSOR_REPLICATE ||
                           (p.kind == DTENSOR_PARTIAL && p.op == DTENSOR_AVG && !is_kept(s, m));
    const int own_line = s->same_mesh && (is_kept(s, m) || s->from->p[m].kind == DTENSOR_REPLICATE);
    if (everywhere && !own_line) n = times(n, s->to->mesh[m]);
  }
  return n;
}

/* ---- What needs no buffer ---- */

static int next_split(const dti_axis *axis, int level) {
  while (level < axis->levels && axis->parts[level] == 1) level++;
  return level;
}

/* Whether along a tensor dimension a rank of the other layout that takes anything of a local array
 * takes all: it goes on to split where the other one has ended. */
static int is_taken_whole(const dti_axis *mine, const dti_axis *theirs, int same_mesh) {
  int i = next_split(mine, 0), j = next_split(theirs, 0);
  while (same_mesh && i < mine->levels && j < theirs->levels &&
         mine->mesh_dim[i] == theirs->mesh_dim[j] &&
         dtensor_placement_equal(mine->p[i], theirs->p[j])) {
    i = next_split(mine, i + 1);
    j = next_split(theirs, j + 1);
  }
  return j >= theirs->levels;
}

/* Whether all that one rank has in common with another lies together in its packed local array:
 * outside of one dimension there are single indices, inside of it whole ones. */
static int lies_together(const dti_layout *mine, const dti_layout *theirs, int same_mesh) {
  int is_inside = 0;
  for (int d = 0; d < mine->ndim; d++) {
    const dti_axis a = dti_axis_of(mine, d), b = dti_axis_of(theirs, d);
    const int is_whole = is_taken_whole(&a, &b, same_mesh);
    if (is_inside && !is_whole) return 0;
    if (is_inside || dti_axis_most(&a) <= 1) continue;
    if (!is_whole && (dti_axis_is_periodic(&a) || dti_axis_is_periodic(&b))) return 0;
    is_inside = 1;
  }
  return 1;
}

/* ---- Steps ---- */

static int64_t most_bytes(const dti_question *q, const dti_layout *layout) {
  return times(dti_layout_most_elements(layout), (int64_t)q->element);
}

/* Ranks of a node whose neighbours cannot read their source lend them a copy of it, where it is
 * added up or carried. */
static int64_t lent_bytes(const dti_question *q, const dti_way *way, int i, const sides *s,
                          dti_engine engine) {
  const int is_read = way->step[i].kind == DTI_STEP_SHARE_OUT ||
                      engine == DTI_ENGINE_HIERARCHICAL || contributions(s) > 1;
  const int has_neighbours = q->is_near || q->topology.shared_memory;
  return i == 0 && q->is_foreign && is_read && has_neighbours ? most_bytes(q, s->from) : 0;
}

static int64_t ranks_on_a_node(const dti_question *q) {
  return q->most_on_a_node > 0 ? q->most_on_a_node : q->topology.ranks_per_node;
}

/* What two ranks have in common at most. */
static int64_t common_bytes(const dti_question *q, const sides *s) {
  int64_t bytes = (int64_t)q->element;
  for (int d = 0; d < s->from->ndim; d++) {
    const dti_axis from = dti_axis_of(s->from, d), to = dti_axis_of(s->to, d);
    bytes = times(bytes, smaller(dti_axis_most(&from), dti_axis_most(&to)));
  }
  return bytes;
}

/* All that goes to other ranks, and comes from them. */
static dti_buffers of_messages(const dti_question *q, const sides *s, const dti_way *way, int i) {
  const int64_t sums = contributions(s), common = common_bytes(q, s);
  dti_buffers b = {.send_peers = dti_numel(s->to->mesh_ndim, s->to->mesh),
                   .receive_peers = way->group[i]};
  if (s->same_mesh) {
    b.receive_peers = dti_peers_at_most(s->from, s->to, s->mesh_dims);
    b.send_peers = dti_peers_at_most(s->to, s->from, s->mesh_dims);
  }
  b.sent = smaller(times(most_bytes(q, s->from), copies(s)), times(b.send_peers, common));
  b.received = smaller(times(most_bytes(q, s->to), sums - (sums > 1 && has_own(s))),
                       times(b.receive_peers, common));
  return b;
}

/* Of these, what does not lie in place. */
static void leave_out_what_lies_in_place(const sides *s, int is_strided, dti_buffers *b) {
  if (!is_strided && lies_together(s->from, s->to, s->same_mesh)) b->sent = 0;
  if (contributions(s) == 1 && lies_together(s->to, s->from, s->same_mesh)) b->received = 0;
}

dti_buffers dti_step_buffers(const dti_question *q, const dti_way_ends *ends, const dti_way *way,
                             int i, dti_engine engine) {
  const sides s = sides_of(ends, way, i);
  const dti_step *step = &way->step[i];
  if (step->kind == DTI_STEP_GATHER)
    return (dti_buffers){.whole =
                             times(most_bytes(q, s.to), dti_group_size(s.to, step->mesh_dims))};
  const int64_t lent = lent_bytes(q, way, i, &s, engine);
  const unsigned far_dims = s.mesh_dims & ~(q->topology.shared_memory ? q->inside_nodes : 0);
  dti_buffers b = {0};
  if (q->is_near || (s.same_mesh && far_dims == 0 && engine == DTI_ENGINE_DIRECT)) {
    b.whole = lent;
    return b;
  }
  if (engine == DTI_ENGINE_COLLECTIVE) {
    dti_collective_bytes bytes = {0, 0};
    dti_collective_bytes_add(s.from, step, q->element, &bytes);
    return (dti_buffers){.whole = plus(bytes.sent, bytes.received)};
  }
  b = of_messages(q, &s, way, i);
  b.whole = lent;
  if (engine == DTI_ENGINE_DIRECT) {
    leave_out_what_lies_in_place(&s, q->is_strided && i == 0, &b);
    return b;
  }
  /* One rank may carry all of its node. */
  return (dti_buffers){.whole = plus(lent, times(ranks_on_a_node(q), plus(b.sent, b.received)))};
}

static int64_t if_cut(int64_t bytes, int64_t peers, int64_t cut) {
  return cut == 0 ? bytes : smaller(bytes, times(times(peers, DTI_CUT_WINDOW), cut));
}

int64_t dti_buffers_bytes(const dti_buffers *b, int64_t cut) {
  return plus(b->whole, plus(if_cut(b->sent, b->send_peers, cut),
                             if_cut(b->received, b->receive_peers, cut)));
}

int64_t dti_way_between(const dti_question *q, const dti_way *way) {
  int64_t bytes = 0;
  for (int i = 0; i + 1 < way->steps; i++) bytes = plus(bytes, most_bytes(q, &way->step[i].to));
  return bytes;
}

/* ---- Budgets ---- */

typedef struct demand {
  int64_t between;
  int n;
  dti_buffers step[DTENSOR_MAX_NDIM];
} demand;

static int64_t bytes_of(const demand *d, int64_t cut) {
  int64_t bytes = d->between;
  for (int i = 0; i < d->n; i++) bytes = plus(bytes, dti_buffers_bytes(&d->step[i], cut));
  return bytes;
}

enum { ALIGNMENT = 16 }; /* of messages: any element */

/* The longest messages that fit, where the shortest do and whole ones do not. */
static int64_t longest_cut(const demand *d, int64_t max_bytes) {
  int64_t fits = DTI_CUT_BYTES / ALIGNMENT, does_not = max_bytes / ALIGNMENT + 1;
  while (does_not - fits > 1) {
    const int64_t middle = fits + (does_not - fits) / 2;
    if (bytes_of(d, middle * ALIGNMENT) <= max_bytes)
      fits = middle;
    else
      does_not = middle;
  }
  return fits * ALIGNMENT;
}

dti_budget dti_way_budget(const dti_question *q, const dti_way_ends *ends, const dti_way *way,
                          const dti_step step[]) {
  demand d = {.between = dti_way_between(q, way), .n = way->steps};
  for (int i = 0; i < way->steps; i++)
    d.step[i] = dti_step_buffers(q, ends, way, i, step[i].engine);
  const int64_t whole = bytes_of(&d, 0);
  if (q->max_bytes == 0 || whole <= q->max_bytes) return (dti_budget){.fits = 1, .bytes = whole};
  const int64_t least = bytes_of(&d, DTI_CUT_BYTES);
  if (least > q->max_bytes) return (dti_budget){.bytes = least};
  const int64_t cut = longest_cut(&d, q->max_bytes);
  return (dti_budget){.fits = 1, .cut = cut, .bytes = bytes_of(&d, cut)};
}
