/* The pipeline: panels of k arrive while others are multiplied, slices of the product leave while
 * others are computed. All panels are announced before the first one moves, and so are all slices:
 * a message that is announced late waits behind those on the wire (redistribute/stream.h). */
#include "dtensor/base/event.h"
#include "dtensor/kernels/elementwise.h"
#include "dtensor/kernels/strided.h"
#include "dtensor/ops/matmul_pipeline.h"

/* ---- computing */

static dti_run before(dti_run run, int64_t end) {
  const int64_t length = end < run.begin + run.length ? end - run.begin : run.length;
  return (dti_run){run.begin, length > 0 ? length : 0};
}

static dti_run after(dti_run run, int64_t begin) {
  const int64_t end = run.begin + run.length;
  if (begin < run.begin) begin = run.begin;
  return (dti_run){begin, begin < end ? end - begin : 0};
}

/* part += the product over some runs of k, but not over the segment that came first. *started:
 * something was added to this part before. */
static void compute(dti_pipeline *p, int64_t n, const dti_run runs[], const dti_matmul_part *part,
                    int *started) {
  const dti_matmul_job *job = p->job;
  const dti_axis axis = dti_axis_of(&job->plan->a, 1);
  for (int64_t i = 0; i < n; i++) {
    dti_run pieces[2] = {runs[i], {0, 0}};
    if (job->own >= 0) {
      const dti_run own = job->k.run[job->own];
      pieces[0] = before(runs[i], own.begin);
      pieces[1] = after(runs[i], own.begin + own.length);
    }
    for (int side = 0; side < 2 && p->status == DTENSOR_OK; side++) {
      const dti_run k = dti_matmul_local_run(&axis, job->mesh->coord, pieces[side]);
      if (k.length == 0) continue;
      dti_pipeline_note(p, dti_matmul_compute(job, &job->a, &job->b, part, k.begin,
                                              k.begin + k.length, !*started));
      *started = 1;
    }
  }
}

static dti_matmul_part whole(const dti_matmul_job *job) {
  return (dti_matmul_part){.length = {job->c.shape[0], job->c.shape[1]}};
}

/* The panels first to end-1 of a step, tile by tile of the product, so that each tile is brought
 * into the cache once for all of them. The order of sums is the same, however many have come. */
static void compute_panels(dti_pipeline *p, int64_t step, int64_t first, int64_t end) {
  const dti_matmul_job *job = p->job;
  const int64_t *shape = job->c.shape;
  int started = p->started;
  dti_matmul_part tile;
  for (int d = 0; d < 2; d++) tile.length[d] = job->is_tiled ? dti_matmul_tile(shape[d]) : shape[d];
  for (tile.begin[0] = 0; tile.begin[0] < shape[0]; tile.begin[0] += tile.length[0])
    for (tile.begin[1] = 0; tile.begin[1] < shape[1]; tile.begin[1] += tile.length[1]) {
      dti_matmul_part part = tile;
      for (int d = 0; d < 2; d++)
        part.length[d] = dti_matmul_least(tile.length[d], shape[d] - tile.begin[d]);
      started = p->started;
      for (int64_t i = first; i < end; i++) {
        const int64_t n = dti_matmul_panel_runs(job, step, i, i + 1, job->runs_of_fold);
        compute(p, n, job->runs_of_fold, &part, &started);
      }
    }
  p->started = started;
}

/* What can be multiplied before anything has come. */
static void compute_own(dti_pipeline *p) {
  const dti_matmul_job *job = p->job;
  const dti_run *run = &job->k.run[job->own];
  const dti_axis axis = dti_axis_of(&job->plan->a, 1);
  const dti_run k = dti_matmul_local_run(&axis, job->mesh->coord, *run);
  dti_operand a, b;
  dti_stretch stretch[4];
  dti_array block[2];
  const dti_matmul_part all = whole(job);
  dti_operand_own(&job->a, k.begin, k.length, run->begin, &a, stretch, &block[0]);
  dti_operand_own(&job->b, k.begin, k.length, run->begin, &b, stretch + 2, &block[1]);
  dti_pipeline_note(p, dti_matmul_compute(job, &a, &b, &all, k.begin, k.begin + k.length, 1));
  p->started = 1;
}

/* Move the buffers of operands to what a step has of k. */
static void set_windows(dti_pipeline *p, int64_t step) {
  dti_matmul_job *job = p->job;
  const dti_axis axis = dti_axis_of(&job->plan->a, 1);
  const int64_t n = dti_matmul_panel_runs(job, step, 0, job->panels, job->runs);
  dti_run window = {0, 0};
  for (int64_t i = 0; i < n; i++) {
    const dti_run run = dti_matmul_local_run(&axis, job->mesh->coord, job->runs[i]);
    if (window.length == 0) window.begin = run.begin;
    if (run.length > 0) window.length = run.begin + run.length - window.begin;
  }
  dti_operand *operands[] = {&job->a, &job->b};
  for (int i = 0; i < 2; i++)
    if (operands[i]->mode == DTI_OPERAND_MOVED)
      dti_operand_window(operands[i], window.begin, window.length);
}

/* The panels of a step but for the last `left` ones, which have arrived in the end too. */
static void run_step(dti_pipeline *p, int64_t step, int64_t left) {
  dti_matmul_job *job = p->job;
  const int64_t panels = job->panels;
  if (job->steps > 1) set_windows(p, step);
  dti_pipeline_begin_panels(p, step);
  if (job->own >= 0 && p->status == DTENSOR_OK) compute_own(p);
  for (int64_t end = 0, first = 0; end < panels; first = end) {
    do {
      dti_pipeline_finish(p, &p->a[end]);
      dti_pipeline_finish(p, &p->b[end++]);
    } while (end < panels && dti_pipeline_has_arrived(&p->a[end]) &&
             dti_pipeline_has_arrived(&p->b[end]));
    compute_panels(p, step, first, dti_matmul_least(end, panels - left));
  }
}

static void compute_part(dti_pipeline *p, int64_t n, const dti_run runs[],
                         const dti_matmul_part *part) {
  int started = p->started;
  if (part->length[0] > 0 && part->length[1] > 0) compute(p, n, runs, part, &started);
}

/* Of a slice of the product, what leaves this rank or what stays. */
static void compute_slice(dti_pipeline *p, int64_t n, const dti_run runs[], int64_t slice,
                          int leaves) {
  const dti_matmul_job *job = p->job;
  const dti_axis axis = dti_axis_of(&job->plan->c, job->c_dim);
  dti_run *parts;
  const int64_t n_parts = dti_pipeline_slice_runs(job, slice, &parts);
  for (int64_t i = 0; i < n_parts; i++) {
    const dti_run local = dti_matmul_local_run(&axis, job->mesh->coord, parts[i]);
    dti_matmul_part part = whole(job), leaving[4], staying;
    part.begin[job->c_dim] = local.begin;
    part.length[job->c_dim] = local.length;
    const int n_leaving = dti_matmul_split_part(job, &part, leaving, &staying);
    for (int k = 0; k < n_leaving && leaves; k++) compute_part(p, n, runs, &leaving[k]);
    if (!leaves) compute_part(p, n, runs, &staying);
  }
}

/* The last panels, slice by slice of the product, each of which leaves when it is complete.
 * Multiplying cannot fail any more, as all arrays lie as BLAS takes them: nobody gets a slice that
 * is not there. */
static void run_slices(dti_pipeline *p, int64_t left) {
  dti_matmul_job *job = p->job;
  dti_run *runs = job->runs_of_fold;
  const int64_t n =
      dti_matmul_panel_runs(job, job->steps - 1, job->panels - left, job->panels, runs);
  if (job->slices == 1) {
    const dti_matmul_part all = whole(job);
    compute_part(p, n, runs, &all);
    dti_matmul_leave(job); /* all is multiplied */
    dti_pipeline_begin_product(p);
    dti_pipeline_finish(p, &p->c[0]);
    return;
  }
  dti_pipeline_begin_slices(p);
  for (int64_t slice = 0; slice < job->slices; slice++) {
    compute_slice(p, n, runs, slice, 1);
    if (p->c[slice].transfer) dti_transfer_release_sends(p->c[slice].transfer);
  }
  for (int64_t slice = 0; slice < job->slices; slice++) {
    compute_slice(p, n, runs, slice, 0);
    if (slice + 1 == job->slices) dti_matmul_leave(job);
    if (p->c[slice].transfer) dti_transfer_release(p->c[slice].transfer);
  }
  for (int64_t slice = 0; slice < job->slices; slice++) dti_pipeline_finish(p, &p->c[slice]);
}

/* ---- the end */

/* out = what was computed elsewhere + beta out. */
static void add_to_out(dti_matmul_job *job) {
  const size_t element = dtensor_dtype_size(job->dtype);
  const dti_array out = dti_tensor_array(job->out),
                  x = job->sum ? dti_tensor_array(job->sum) : job->c;
  const int threads = job->mesh->threads;
  if (job->beta[0] == 0 && job->beta[1] == 0) {
    dti_copy(&out, &x, element, threads);
    return;
  }
  const float narrow[2] = {(float)job->beta[0], (float)job->beta[1]};
  const int is_double = job->dtype == DTENSOR_F64 || job->dtype == DTENSOR_C128;
  dti_binary_apply(DTI_AXPY, job->dtype, &out, &out, &x,
                   is_double ? (const void *)job->beta : narrow, threads);
}

static void count(const dti_transfer_plan_totals *read) {
  dti_counters *counters = dti_event_counters();
  counters->messages_received += read->messages_received;
  counters->messages_sent += read->messages_sent;
  counters->bytes_received += read->bytes_received;
  counters->bytes_sent += read->bytes_sent;
}

dtensor_status dti_matmul_run(dti_matmul_job *job) {
  dti_pipeline p = {.job = job};
  count(&job->a.read);
  count(&job->b.read);
  /* No part of k at all: then panels add nothing. */
  if (job->a.shape[1] == 0) {
    const dti_array a = {job->c.data, 2, {job->c.shape[0], 0}, {1, 1}},
                    b = {job->c.data, 2, {0, job->c.shape[1]}, {1, 1}};
    dti_pipeline_note(&p, dti_gemm(job->dtype, &job->c, &a, &b, &job->terms, job->mesh->threads));
    p.started = 1;
  }
  /* Half of the panels hide the others, the other half hides the slices. */
  const int64_t left = !job->c_moves ? 0 : job->panels > 1 ? job->panels / 2 : 1;
  for (int64_t step = 0; step < job->steps; step++)
    run_step(&p, step, step + 1 == job->steps ? left : 0);
  if (job->c_moves) run_slices(&p, left);
  if (job->between.data) dti_pipeline_spread(&p);
  int agreed;
  if (job->far_comm) p.status = dti_transfers_agree(job->far_comm, p.status, &agreed);
  if (p.status == DTENSOR_OK && (job->sum || (job->c_buffer && !job->c_moves))) add_to_out(job);
  return p.status;
}
