/* The pipeline: panels of k arrive while others are multiplied, slices of the product leave while
 * others are computed. All panels are announced before the first one moves, and so are all slices:
 * a message that is announced late waits behind those on the wire (redistribute/stream.h). */
#include <string.h>

#include "dtensor/base/event.h"
#include "dtensor/base/fail.h"
#include "dtensor/kernels/elementwise.h"
#include "dtensor/kernels/strided.h"
#include "dtensor/ops/matmul_job.h"
#include "dtensor/spec/pieces.h"

/* A transfer that was begun. */
typedef struct flight {
  dti_transfer *transfer; /* NULL: none, or it could not begin */
  int is_shared;          /* ranks exchange messages, so its outcome is everyone's */
  dtensor_status begun;
} flight;

typedef struct pipeline {
  dti_matmul_job *job;
  dtensor_status status; /* the first failure: then transfers are still begun, to tell the others */
  int is_over;           /* a transfer has failed, everywhere: nothing more is begun */
  int started;           /* something was added to the product */
  flight a[DTI_MATMUL_PANELS], b[DTI_MATMUL_PANELS], c[DTI_MATMUL_SLICES];
} pipeline;

static void note(pipeline *p, dtensor_status status) {
  if (p->status == DTENSOR_OK) p->status = status;
}

/* ---- transfers */

static dti_transfer_item item_of(const pipeline *p, const dti_transfer_end *from,
                                 const dti_transfer_end *to) {
  return (dti_transfer_item){.from = *from,
                             .to = *to,
                             .dtype = p->job->dtype,
                             .is_private = to->data == p->job->out->data};
}

/* One by itself, on any way that there is. */
static void begin(pipeline *p, const dti_transfer_item *item, flight *f) {
  *f = (flight){NULL, 0, DTENSOR_OK};
  if (p->is_over) return;
  f->is_shared = !dti_layout_is_local(item->from.layout, item->to.layout);
  f->begun = dti_transfer_begin(1, item, NULL, p->status, &f->transfer);
  note(p, f->begun);
}

/* Pieces that are announced together. They all move between ranks. */
typedef struct bundle {
  int n;
  dti_transfer_item item[2 * DTI_MATMUL_PANELS];
  dti_box box[2 * DTI_MATMUL_PANELS];
  flight *flight[2 * DTI_MATMUL_PANELS];
} bundle;

static void add_piece(bundle *all, const dti_transfer_item *item, const dti_box *box, flight *f) {
  all->box[all->n] = *box;
  all->item[all->n] = *item;
  all->item[all->n].box = &all->box[all->n];
  all->flight[all->n++] = f;
}

static void begin_pieces(pipeline *p, const bundle *all) {
  dti_transfer *transfers[2 * DTI_MATMUL_PANELS];
  if (p->is_over || all->n == 0) return;
  const dtensor_status begun = dti_transfers_begin(all->n, all->item, p->status, transfers);
  note(p, begun);
  p->is_over = begun != DTENSOR_OK;
  for (int i = 0; i < all->n && !p->is_over; i++)
    *all->flight[i] = (flight){transfers[i], 1, DTENSOR_OK};
}

/* The others find out here, whenever this rank did. */
static void finish(pipeline *p, flight *f) {
  const dtensor_status status = f->transfer ? dti_transfer_wait(&f->transfer) : f->begun;
  if (f->is_shared && status != DTENSOR_OK) p->is_over = 1;
  note(p, status);
}

/* What this rank has already, into its place: no matter for a transfer, as other ranks may read the
 * same in place. */
static dtensor_status copy_here(const dti_transfer_end *from, const dti_transfer_end *to,
                                const dti_box *box, size_t element) {
  const int64_t *me = to->mesh->coord;
  dti_pieces pieces[2] = {{0}, {0}};
  dti_region mine = {.ndim = 2, .elements = 1}, theirs = {.ndim = 2, .elements = 1};
  dtensor_status status = DTENSOR_OK;
  for (int d = 0; d < 2 && status == DTENSOR_OK; d++) {
    const dti_axis axis = dti_axis_of(to->layout, d), other = dti_axis_of(from->layout, d);
    dti_run all;
    dti_window window = {.mine = box->to[d], .theirs = box->from[d]};
    window.count = dti_box_runs(box, d, &all, &window.runs);
    status = dti_pieces_cut(&axis, me, &other, &window, me, &pieces[d]);
    if (status != DTENSOR_OK || pieces[d].shares == 0) {
      mine.elements = 0;
      continue;
    }
    const dti_share *share = &pieces[d].share[0];
    mine.count[d] = share->mine_count;
    mine.runs[d] = pieces[d].mine;
    mine.elements *= share->elements;
    theirs.count[d] = share->theirs_count;
    theirs.runs[d] = pieces[d].theirs;
  }
  theirs.elements = mine.elements;
  if (status == DTENSOR_OK && mine.elements > 0)
    dti_copy_region(to->data, to->stride, &mine, from->data, from->stride, &theirs, element,
                    to->mesh->threads);
  for (int d = 0; d < 2; d++) dti_pieces_free(&pieces[d]);
  return status;
}

/* What runs of k bring of an operand; runs NULL: all of it. together: with other pieces; NULL: by
 * itself. */
static void begin_operand(pipeline *p, const dti_operand *operand, int64_t n, const dti_run runs[],
                          bundle *together, flight *f) {
  const dtensor *x = operand->source;
  const dti_array *block = &operand->block[0];
  const dti_stretch *window = &operand->stretch[operand->k_dim][0];
  const dti_transfer_end from = {x->mesh, &x->layout, x->data, x->stride};
  dti_transfer_end to = {x->mesh, operand->work, operand->buffer, block->stride};
  /* The buffer is a window of the local array: local index 0 would stand before it. */
  to.data = (char *)operand->buffer -
            window->begin * block->stride[operand->k_dim] * (int64_t)dtensor_dtype_size(x->dtype);
  const dti_box box =
      runs ? dti_matmul_box(operand->work, operand->k_dim, n, runs) : dti_box_whole(operand->work);
  dti_transfer_item item = item_of(p, &from, &to);
  if (dti_layout_is_local(from.layout, to.layout)) {
    if (p->status == DTENSOR_OK) note(p, copy_here(&from, &to, &box, dtensor_dtype_size(x->dtype)));
  } else if (together) {
    add_piece(together, &item, &box, f);
  } else {
    if (runs) item.box = &box;
    begin(p, &item, f);
  }
}

/* What a step needs: what can not be cut comes with the first panel. */
static void begin_panels(pipeline *p, int64_t step) {
  dti_matmul_job *job = p->job;
  dti_operand *operands[] = {&job->a, &job->b};
  bundle together = {.n = 0};
  for (int64_t panel = 0; panel < job->panels; panel++) {
    dti_run *runs = job->runs + panel * job->k.n;
    const int64_t n = dti_matmul_panel_runs(job, step, panel, panel + 1, runs);
    flight *flights[] = {&p->a[panel], &p->b[panel]};
    for (int i = 0; i < 2; i++) {
      const dti_operand *operand = operands[i];
      if (operand->mode != DTI_OPERAND_MOVED) continue;
      if (operand->is_panelled && job->panels > 1)
        begin_operand(p, operand, n, runs, &together, flights[i]);
      else if (panel == 0)
        begin_operand(p, operand, n, job->steps > 1 ? runs : NULL, NULL, flights[i]);
    }
  }
  begin_pieces(p, &together);
}

/* From the product as it is computed to its place, or to the place in between. */
static dti_transfer_item item_of_product(const pipeline *p) {
  dti_matmul_job *job = p->job;
  dtensor *target = job->sum ? job->sum : job->out;
  const dti_transfer_end from = {job->mesh, &job->plan->c, job->c.data, job->c.stride};
  dti_transfer_end to = {job->mesh, &target->layout, target->data, target->stride};
  if (job->between.data)
    to =
        (dti_transfer_end){job->mesh, &job->between.layout, job->between.data, job->between.stride};
  return item_of(p, &from, &to);
}

/* The rows or columns of a slice. */
static int64_t slice_runs(const dti_matmul_job *job, int64_t slice, dti_run **runs) {
  *runs = job->runs_of_slices + slice * job->c_cuts.n;
  return dti_segments_slice(&job->c_cuts, slice, slice + 1, job->slices, *runs);
}

/* Before they are computed. */
static void begin_slices(pipeline *p) {
  const dti_matmul_job *job = p->job;
  dti_transfer_item item = item_of_product(p);
  item.is_late = 1;
  bundle together = {.n = 0};
  for (int64_t slice = 0; slice < job->slices; slice++) {
    dti_run *runs;
    const int64_t n = slice_runs(job, slice, &runs);
    const dti_box box = dti_matmul_box(&job->plan->c, job->c_dim, n, runs);
    add_piece(&together, &item, &box, &p->c[slice]);
  }
  begin_pieces(p, &together);
}

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
static void compute(pipeline *p, int64_t n, const dti_run runs[], const dti_matmul_part *part,
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
      note(p,
           dti_matmul_compute(job, &job->a, &job->b, part, k.begin, k.begin + k.length, !*started));
      *started = 1;
    }
  }
}

static dti_matmul_part whole(const dti_matmul_job *job) {
  return (dti_matmul_part){.length = {job->c.shape[0], job->c.shape[1]}};
}

static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

/* The panels first to end-1 of a step, tile by tile of the product, so that each tile is brought
 * into the cache once for all of them. The order of sums is the same, however many have come. */
static void compute_panels(pipeline *p, int64_t step, int64_t first, int64_t end) {
  const dti_matmul_job *job = p->job;
  const int64_t *shape = job->c.shape;
  int started = p->started;
  dti_matmul_part tile;
  for (int d = 0; d < 2; d++) tile.length[d] = job->is_tiled ? DTI_MATMUL_TILE : shape[d];
  for (tile.begin[0] = 0; tile.begin[0] < shape[0]; tile.begin[0] += tile.length[0])
    for (tile.begin[1] = 0; tile.begin[1] < shape[1]; tile.begin[1] += tile.length[1]) {
      dti_matmul_part part = tile;
      for (int d = 0; d < 2; d++) part.length[d] = least(tile.length[d], shape[d] - tile.begin[d]);
      started = p->started;
      for (int64_t i = first; i < end; i++) {
        const int64_t n = dti_matmul_panel_runs(job, step, i, i + 1, job->runs_of_fold);
        compute(p, n, job->runs_of_fold, &part, &started);
      }
    }
  p->started = started;
}

/* What can be multiplied before anything has come. */
static void compute_own(pipeline *p) {
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
  note(p, dti_matmul_compute(job, &a, &b, &all, k.begin, k.begin + k.length, 1));
  p->started = 1;
}

/* Move the buffers of operands to what a step has of k. */
static void set_windows(pipeline *p, int64_t step) {
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

static int has_arrived(flight *f) {
  int done = 1;
  if (f->transfer) (void)dti_transfer_test(f->transfer, &done); /* finish() reads the outcome */
  return done;
}

/* The panels of a step but for the last `left` ones, which have arrived in the end too. */
static void run_step(pipeline *p, int64_t step, int64_t left) {
  dti_matmul_job *job = p->job;
  const int64_t panels = job->panels;
  if (job->steps > 1) set_windows(p, step);
  begin_panels(p, step);
  if (job->own >= 0 && p->status == DTENSOR_OK) compute_own(p);
  for (int64_t end = 0, first = 0; end < panels; first = end) {
    do {
      finish(p, &p->a[end]);
      finish(p, &p->b[end++]);
    } while (end < panels && has_arrived(&p->a[end]) && has_arrived(&p->b[end]));
    compute_panels(p, step, first, least(end, panels - left));
  }
}

/* The last panels, slice by slice of the product, each of which leaves when it is complete. */
static void run_slices(pipeline *p, int64_t left) {
  dti_matmul_job *job = p->job;
  const dti_axis axis = dti_axis_of(&job->plan->c, job->c_dim);
  dti_run *runs = job->runs_of_fold;
  const int64_t n =
      dti_matmul_panel_runs(job, job->steps - 1, job->panels - left, job->panels, runs);
  if (job->slices > 1) begin_slices(p);
  for (int64_t slice = 0; slice < job->slices; slice++) {
    dti_matmul_part part = whole(job);
    dti_run *parts = NULL;
    const int64_t n_parts = job->slices == 1 ? 1 : slice_runs(job, slice, &parts);
    for (int64_t i = 0; i < n_parts; i++) {
      if (job->slices > 1) {
        const dti_run local = dti_matmul_local_run(&axis, job->mesh->coord, parts[i]);
        part.begin[job->c_dim] = local.begin;
        part.length[job->c_dim] = local.length;
      }
      int started = p->started;
      compute(p, n, runs, &part, &started);
    }
    if (slice + 1 == job->slices) dti_matmul_leave(job); /* all is multiplied */
    if (p->c[slice].transfer) dti_transfer_release(p->c[slice].transfer);
  }
  if (job->slices == 1) {
    const dti_transfer_item item = item_of_product(p);
    begin(p, &item, &p->c[0]);
  }
  for (int64_t slice = 0; slice < job->slices; slice++) finish(p, &p->c[slice]);
}

/* ---- the end */

/* From the layout in between to the one that was asked for. */
static void spread(pipeline *p) {
  dti_matmul_job *job = p->job;
  dtensor *target = job->sum ? job->sum : job->out;
  const dti_transfer_end from = {job->mesh, &job->between.layout, job->between.data,
                                 job->between.stride},
                         to = {job->mesh, &target->layout, target->data, target->stride};
  const dti_transfer_item item = item_of(p, &from, &to);
  flight f;
  begin(p, &item, &f);
  finish(p, &f);
}

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
  pipeline p = {.job = job};
  count(&job->a.read);
  count(&job->b.read);
  /* No part of k at all: then panels add nothing. */
  if (job->a.shape[1] == 0) {
    const dti_array a = {job->c.data, 2, {job->c.shape[0], 0}, {1, 1}},
                    b = {job->c.data, 2, {0, job->c.shape[1]}, {1, 1}};
    note(&p, dti_gemm(job->dtype, &job->c, &a, &b, &job->terms, job->mesh->threads));
    p.started = 1;
  }
  /* Half of the panels hide the others, the other half hides the slices. */
  const int64_t left = !job->c_moves ? 0 : job->panels > 1 ? job->panels / 2 : 1;
  for (int64_t step = 0; step < job->steps; step++)
    run_step(&p, step, step + 1 == job->steps ? left : 0);
  if (job->c_moves) run_slices(&p, left);
  if (job->between.data) spread(&p);
  if (p.status == DTENSOR_OK && (job->sum || (job->c_buffer && !job->c_moves))) add_to_out(job);
  return p.status;
}
