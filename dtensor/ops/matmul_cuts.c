/* Where a product is cut: k into the panels that arrive, the product into the slices that leave. */
#include "dtensor/base/fail.h"
#include "dtensor/ops/matmul_job.h"

/* A panel or slice is worth its messages from this many bytes on. Fewer k, or rows or columns, than
 * this of each segment cost BLAS its speed; a short panel at the end, or slice at the beginning,
 * little of it. */
enum {
  PIECE_BYTES = 1 << 15,
  PANEL_LENGTH = 32,
  LAST_PANEL_LENGTH = 16,
  SLICE_LENGTH = 160,
  FIRST_SLICE_LENGTH = 64,
  SLICE_GRAINS = 32
};

static _Thread_local int64_t forced_panels;
static _Thread_local int reads_nothing;

void dti_matmul_force_panels(int64_t panels) {
  forced_panels = panels;
  reads_nothing = panels > 0;
}

void dti_matmul_force_cuts(int64_t panels) {
  forced_panels = panels;
  reads_nothing = 0;
}

int dti_matmul_has_forced_cuts(void) { return forced_panels > 0; }

int dti_matmul_reads_in_place(void) { return !reads_nothing; }

/* Into how many pieces something of so many bytes per rank is cut at most, each of so many indices
 * of every segment. */
static int64_t most_pieces(const dti_matmul_job *job, double bytes, const dti_segments *segments,
                           int64_t length, int64_t at_most) {
  /* Inside of a node a copy is made by the cores that multiply: there is nothing to hide. */
  if (job->is_in_node) return 1;
  if (forced_panels > 0) return forced_panels < at_most ? forced_panels : at_most;
  int64_t n = dti_segments_shortest(segments) / length;
  if (n > at_most) n = at_most;
  if ((double)n > bytes / PIECE_BYTES) n = (int64_t)(bytes / PIECE_BYTES);
  return n > 1 ? n : 1;
}

/* All panels alike. */
static void cut_evenly(dti_matmul_job *job, int64_t panels) {
  job->panels = job->grains = panels;
  for (int64_t i = 0; i < panels; i++) job->panel[i] = (dti_panel){.begin = i, .end = i + 1};
}

/* Where the multiplication begins with what a rank has already, the n-th part of k, and takes as
 * long as the communication: while a piece is multiplied, the n-th part of what is still missing
 * arrives. So these are the next panels, and BLAS gets few and long ones. The last ones are short:
 * nothing hides behind the last. Where one of the two takes longer, it is no worse. */
static void cut_by_arrival(dti_matmul_job *job, int64_t n, int64_t most) {
  int64_t begin = 0;
  job->grains = 4 * most;
  for (job->panels = 0; begin < job->grains; job->panels++) {
    const int64_t left = job->grains - begin;
    int64_t grains = left / n;
    if (grains < 4) grains = 4;
    if (left - grains < 4) grains = left;
    job->panel[job->panels] = (dti_panel){.begin = begin, .end = begin + grains};
    begin += grains;
  }
}

double dti_matmul_arriving_bytes(const dti_matmul_job *job, const dti_operand *operand) {
  if (!dti_operand_arrives(operand)) return 0;
  return dti_matmul_carry_bytes(&operand->source->layout, &operand->carried, operand->dealt,
                                dtensor_dtype_size(job->dtype));
}

/* Which part of k a rank can multiply before anything has come: one in so many. */
static int64_t parts_of_k(const dti_matmul_job *job) {
  const dti_operand *moved = job->a.is_panelled ? &job->a : &job->b;
  int64_t ranks = 1;
  for (int m = 0; m < job->mesh->ndim; m++)
    if (moved->dealt >> m & 1u) ranks *= job->mesh->shape[m];
  return job->k.n > ranks ? job->k.n / ranks : job->k.n;
}

static void cut_panels(dti_matmul_job *job) {
  const double bytes =
      dti_matmul_arriving_bytes(job, &job->a) + dti_matmul_arriving_bytes(job, &job->b);
  const int64_t n = parts_of_k(job);
  const int is_led =
      job->a.is_panelled != job->b.is_panelled && n > 1 && !job->c_moves && forced_panels == 0;
  const int64_t most = most_pieces(job, bytes, &job->k, is_led ? LAST_PANEL_LENGTH : PANEL_LENGTH,
                                   DTI_MATMUL_PANELS);
  if (is_led && most > 1)
    cut_by_arrival(job, n, most);
  else
    cut_evenly(job, most);
}

dtensor_status dti_matmul_cut_k(dti_matmul_job *job) {
  const dti_matmul_plan *plan = job->plan;
  dti_axis axes[3] = {dti_axis_of(&plan->a, 1)};
  int n = 1;
  /* In steps, what a rank has of k in a step must be one piece of its buffer. */
  if (job->steps > 1 && dti_axis_is_periodic(&axes[0])) axes[0].levels = 0;
  if (job->steps == 1 && !job->a.is_panelled && !job->b.is_panelled) axes[0].levels = 0;
  if (job->steps == 1 && job->a.is_panelled) axes[n++] = dti_axis_of(&job->a.source->layout, 1);
  if (job->steps == 1 && job->b.is_panelled) axes[n++] = dti_axis_of(&job->b.source->layout, 0);
  DTI_TRY(dti_segments_make(n, axes, &job->k));
  cut_evenly(job, 1);
  if (job->steps > 1 || (!job->a.is_panelled && !job->b.is_panelled)) return DTENSOR_OK;
  DTI_TRY(dti_matmul_cut_in_turn(job));
  if (!job->peer) cut_panels(job);
  return DTENSOR_OK;
}

dtensor_status dti_matmul_cut_product(dti_matmul_job *job, const dti_layout *to) {
  dti_segments cuts[2];
  for (int d = 0; d < 2; d++) {
    const dti_axis axes[] = {dti_axis_of(&job->plan->c, d), dti_axis_of(to, d)};
    const dtensor_status status = dti_segments_make(2, axes, &cuts[d]);
    if (status == DTENSOR_OK) continue;
    if (d == 1) dti_segments_free(&cuts[0]);
    return status;
  }
  job->c_dim = cuts[1].n < cuts[0].n; /* every owner gets a part of every slice */
  job->c_cuts = cuts[job->c_dim];
  dti_segments_free(&cuts[1 - job->c_dim]);
  const int64_t owners = dti_matmul_find_kept(job, to);
  const int is_led = owners > 1 && forced_panels == 0;
  const int64_t most = most_pieces(job, job->plan->received[2], &job->c_cuts,
                                   is_led ? FIRST_SLICE_LENGTH : SLICE_LENGTH,
                                   is_led ? SLICE_GRAINS : DTI_MATMUL_SLICES);
  dti_matmul_cut_slices(job, is_led ? owners : 0, most);
  return DTENSOR_OK;
}

int64_t dti_matmul_panel_runs(const dti_matmul_job *job, int64_t step, int64_t first, int64_t end,
                              dti_run runs[]) {
  if (job->steps > 1) return dti_segments_slice(&job->k, step, step + 1, job->steps, runs);
  const dti_panel *panel = &job->panel[first];
  if (!job->peer)
    return dti_segments_slice(&job->k, panel->begin, job->panel[end - 1].end, job->grains, runs);
  int64_t n = 0;
  for (int64_t s = 0; s < job->k.n; s++) {
    if (job->peer[s] < panel->first_peer || job->peer[s] >= panel->end_peer) continue;
    const dti_segments one = {1, &job->k.run[s]};
    n += dti_segments_slice(&one, panel->begin, panel->end, job->grains, runs + n);
  }
  return n;
}

dti_box dti_matmul_panel_box(const dti_matmul_job *job, const dti_operand *operand, int64_t step,
                             int64_t panel, dti_run runs[]) {
  if (!job->peer) {
    const int64_t n = dti_matmul_panel_runs(job, step, panel, panel + 1, runs);
    return dti_matmul_box(&operand->carried, operand->k_dim, n, runs);
  }
  /* Others get other segments, so it has those of all. */
  const dti_panel *in_turn = &job->panel[panel];
  const int64_t n = dti_segments_slice(&job->k, in_turn->begin, in_turn->end, job->grains, runs);
  dti_box box = dti_matmul_box(&operand->carried, operand->k_dim, n, runs);
  box.line = job->line;
  box.first_peer = in_turn->first_peer;
  box.end_peer = in_turn->end_peer;
  return box;
}

dti_run dti_matmul_local_run(const dti_axis *axis, const int64_t coord[], dti_run run) {
  const int64_t begin = dti_axis_below(axis, coord, run.begin);
  return (dti_run){begin, dti_axis_below(axis, coord, run.begin + run.length) - begin};
}

dti_box dti_matmul_box(const dti_layout *layout, int dim, int64_t n, const dti_run runs[]) {
  dti_box box = dti_box_whole(layout);
  if (n == 1) { /* as small as it can be: what lies in between has its shape */
    box.from[dim] = box.to[dim] = runs[0].begin;
    box.shape[dim] = runs[0].length;
    return box;
  }
  box.cut_dim = dim;
  box.cuts = n;
  box.runs = runs;
  return box;
}
