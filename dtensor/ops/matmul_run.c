/* The pipeline: panels of k arrive while others are multiplied, slices of the product leave while
 * others are computed. All panels are announced before the first one moves, and so are all slices:
 * a message that is announced late waits behind those on the wire (redistribute/stream.h). */
#include "dtensor/base/event.h"
#include "dtensor/kernels/elementwise.h"
#include "dtensor/kernels/strided.h"
#include "dtensor/ops/matmul_pipeline.h"

/* ---- computing */

/* The next stretch of a run, from `begin` on, that was not multiplied at first. */
static dti_run next_missing(const dti_matmul_job *job, dti_run run, int64_t begin) {
  int64_t end = run.begin + run.length;
  for (int64_t s = 0; job->has_own && s < job->k.n; s++) {
    const dti_run own = job->k.run[s];
    if (!job->is_own[s] || own.begin + own.length <= begin) continue;
    if (own.begin > begin) {
      end = dti_matmul_least(end, own.begin);
      break;
    }
    begin = own.begin + own.length;
  }
  return (dti_run){begin, begin < end ? end - begin : 0};
}

/* part += the product over some runs of k, but not over the segments that came first. *started:
 * something was added to this part before. */
static void compute(dti_pipeline *p, int64_t n, const dti_run runs[], const dti_matmul_part *part,
                    int *started) {
  const dti_matmul_job *job = p->job;
  const dti_axis axis = dti_axis_of(&job->plan->a, 1);
  for (int64_t i = 0; i < n; i++) {
    dti_run run = next_missing(job, runs[i], runs[i].begin);
    for (; run.length > 0 && p->status == DTENSOR_OK;
         run = next_missing(job, runs[i], run.begin + run.length)) {
      const dti_run k = dti_matmul_local_run(&axis, job->mesh->coord, run);
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

/* A segment that can be multiplied before anything has come. */
static void compute_own(dti_pipeline *p, const dti_run *run) {
  const dti_matmul_job *job = p->job;
  const dti_axis axis = dti_axis_of(&job->plan->a, 1);
  const dti_run k = dti_matmul_local_run(&axis, job->mesh->coord, *run);
  dti_operand a, b;
  dti_stretch stretch[4];
  dti_array block[2];
  const dti_matmul_part all = whole(job);
  dti_operand_own(&job->a, k.begin, k.length, run->begin, &a, stretch, &block[0]);
  dti_operand_own(&job->b, k.begin, k.length, run->begin, &b, stretch + 2, &block[1]);
  dti_pipeline_note(
      p, dti_matmul_compute(job, &a, &b, &all, k.begin, k.begin + k.length, !p->started));
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

/* ---- panels */

static int has_ended(const dti_flight *f) {
  return f->transfer ? dti_transfer_has_ended_well(f->transfer) : f->begun == DTENSOR_OK;
}

/* The others of this node learn of what has arrived at once: they may wait for it. */
static void tell_arrived(dti_pipeline *p) {
  const int64_t before = p->arrived;
  if (p->status != DTENSOR_OK) return;
  while (p->arrived < p->job->panels && has_ended(&p->a[p->arrived]) &&
         has_ended(&p->b[p->arrived]))
    p->arrived++;
  if (p->arrived > before) dti_matmul_tell_arrived(p->job, p->arrived);
}

void dti_matmul_help(const dti_matmul_job *job) {
  dti_transfers_help();
  tell_arrived(job->under_way);
}

/* A panel is here when it has come to all whose buffers this rank reads. */
static int has_arrived(dti_pipeline *p, int64_t panel) {
  const int is_here =
      dti_pipeline_has_arrived(&p->a[panel]) && dti_pipeline_has_arrived(&p->b[panel]);
  tell_arrived(p);
  return is_here && dti_matmul_has_all(p->job, panel + 1);
}

static void finish_panel(dti_pipeline *p, int64_t panel) {
  dti_pipeline_finish(p, &p->a[panel]);
  dti_pipeline_finish(p, &p->b[panel]);
  tell_arrived(p);
  if (p->status == DTENSOR_OK) dti_pipeline_note(p, dti_matmul_await(p->job, panel + 1));
  if (p->status != DTENSOR_OK) dti_matmul_tell_failure(p->job, p->status);
}

/* The panels of a step but for the last `left` ones, which have arrived in the end too. */
static void run_step(dti_pipeline *p, int64_t step, int64_t left) {
  dti_matmul_job *job = p->job;
  const int64_t panels = job->panels;
  if (job->steps > 1) set_windows(p, step);
  dti_pipeline_begin_panels(p, step);
  for (int64_t s = 0; job->has_own && s < job->k.n && p->status == DTENSOR_OK; s++)
    if (job->is_own[s]) compute_own(p, &job->k.run[s]);
  for (int64_t end = 0, first = 0; end < panels; first = end) {
    do {
      finish_panel(p, end++);
    } while (end < panels && has_arrived(p, end));
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

/* All is multiplied. */
static void finish_reading(dti_pipeline *p) {
  if (p->status == DTENSOR_OK) dti_pipeline_note(p, dti_matmul_finish_reading(p->job));
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
    finish_reading(p);
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
    if (slice + 1 == job->slices) finish_reading(p);
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
  job->under_way = &p;
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
  for (int64_t step = 0; step < job->steps; step++) {
    run_step(&p, step, step + 1 == job->steps ? left : 0);
    dti_pipeline_note(&p, dti_matmul_meet_again(job, step, p.status));
  }
  if (job->c_moves) run_slices(&p, left);
  finish_reading(&p);
  if (job->between.data) dti_pipeline_spread(&p);
  int agreed;
  if (job->far_comm) p.status = dti_transfers_agree(job->far_comm, p.status, &agreed);
  if (p.status == DTENSOR_OK && (job->sum || (job->c_buffer && !job->c_moves))) add_to_out(job);
  job->under_way = NULL;
  return p.status;
}
