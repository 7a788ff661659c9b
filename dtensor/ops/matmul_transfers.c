/* What of a matrix product travels: panels of operands, slices of the product. */
#include "dtensor/kernels/strided.h"
#include "dtensor/ops/matmul_pipeline.h"
#include "dtensor/spec/pieces.h"

void dti_pipeline_note(dti_pipeline *p, dtensor_status status) {
  if (p->status == DTENSOR_OK) p->status = status;
}

static dti_transfer_item item_of(const dti_pipeline *p, const dti_transfer_end *from,
                                 const dti_transfer_end *to) {
  return (dti_transfer_item){.from = *from,
                             .to = *to,
                             .dtype = p->job->dtype,
                             .is_private = to->data == p->job->out->data};
}

/* One by itself, on any way that there is. */
static void begin(dti_pipeline *p, const dti_transfer_item *item, dti_flight *f) {
  *f = (dti_flight){NULL, DTENSOR_OK};
  f->begun = dti_transfer_begin(1, item, NULL, p->status, &f->transfer);
  dti_pipeline_note(p, f->begun);
}

enum { PIECES = 2 * DTI_MATMUL_PANELS };
_Static_assert(PIECES >= (int)DTI_MATMUL_SLICES,
               "there is room for panels of both operands, or slices");

/* Pieces that are announced together. They all move between ranks. */
typedef struct bundle {
  int n;
  dti_transfer_item item[PIECES];
  dti_box box[PIECES];
  dti_flight *flight[PIECES];
} bundle;

static void add_piece(bundle *all, const dti_transfer_item *item, const dti_box *box,
                      dti_flight *f) {
  all->box[all->n] = *box;
  all->item[all->n] = *item;
  all->item[all->n].box = &all->box[all->n];
  all->flight[all->n++] = f;
}

static void begin_pieces(dti_pipeline *p, const bundle *all) {
  dti_transfer *transfers[PIECES];
  if (all->n == 0) return;
  const dtensor_status begun = dti_transfers_begin(all->n, all->item, p->status, transfers);
  dti_pipeline_note(p, begun);
  for (int i = 0; i < all->n; i++) *all->flight[i] = (dti_flight){transfers[i], DTENSOR_OK};
}

void dti_pipeline_finish(dti_pipeline *p, dti_flight *f) {
  dti_pipeline_note(p, f->transfer ? dti_transfer_wait(&f->transfer) : f->begun);
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

/* What is in a box of an operand; NULL: all of it. together: with other pieces; NULL: by itself. */
static void begin_operand(dti_pipeline *p, const dti_operand *operand, const dti_box *box,
                          bundle *together, dti_flight *f) {
  const dtensor *x = operand->source;
  const dti_transfer_end from = {x->mesh, &x->layout, x->data, x->stride};
  dti_transfer_end to = {x->mesh, &operand->carried, operand->buffer, operand->buffer_stride};
  /* The buffer is a window of the local array: local index 0 would stand before it. */
  to.data = (char *)operand->buffer - operand->buffer_begin *
                                          operand->buffer_stride[operand->k_dim] *
                                          (int64_t)dtensor_dtype_size(x->dtype);
  const dti_box whole = dti_box_whole(to.layout);
  dti_transfer_item item = item_of(p, &from, &to);
  if (dti_layout_is_local(from.layout, to.layout)) {
    if (p->status == DTENSOR_OK)
      dti_pipeline_note(p, copy_here(&from, &to, box ? box : &whole, dtensor_dtype_size(x->dtype)));
  } else if (together) {
    add_piece(together, &item, box, f);
  } else {
    item.box = box;
    begin(p, &item, f);
  }
}

/* What a step needs: what can not be cut comes with the first panel. */
void dti_pipeline_begin_panels(dti_pipeline *p, int64_t step) {
  dti_matmul_job *job = p->job;
  dti_operand *operands[] = {&job->a, &job->b};
  bundle together = {.n = 0};
  for (int64_t panel = 0; panel < job->panels; panel++) {
    dti_run *runs = job->runs + panel * job->k.n;
    dti_flight *flights[] = {&p->a[panel], &p->b[panel]};
    for (int i = 0; i < 2; i++) {
      const dti_operand *operand = operands[i];
      if (!dti_operand_arrives(operand)) continue;
      const dti_box box = dti_matmul_panel_box(job, operand, step, panel, runs);
      if (operand->is_panelled && job->panels > 1)
        begin_operand(p, operand, &box, &together, flights[i]);
      else if (panel == 0)
        begin_operand(p, operand, job->steps > 1 ? &box : NULL, NULL, flights[i]);
    }
  }
  begin_pieces(p, &together);
}

/* From the product as it is computed to its place, or to the place in between. */
static dti_transfer_item item_of_product(const dti_pipeline *p) {
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
int64_t dti_pipeline_slice_runs(const dti_matmul_job *job, int64_t slice, dti_run **runs) {
  *runs = job->runs_of_slices + slice * job->c_cuts.n;
  return dti_segments_slice(&job->c_cuts, slice > 0 ? job->slice_end[slice - 1] : 0,
                            job->slice_end[slice], job->slice_grains, *runs);
}

/* Before they are computed. */
void dti_pipeline_begin_slices(dti_pipeline *p) {
  const dti_matmul_job *job = p->job;
  dti_transfer_item item = item_of_product(p);
  item.is_late = 1;
  bundle together = {.n = 0};
  for (int64_t slice = 0; slice < job->slices; slice++) {
    dti_run *runs;
    const int64_t n = dti_pipeline_slice_runs(job, slice, &runs);
    const dti_box box = dti_matmul_box(&job->plan->c, job->c_dim, n, runs);
    add_piece(&together, &item, &box, &p->c[slice]);
  }
  begin_pieces(p, &together);
}

/* The product as a whole. */
void dti_pipeline_begin_product(dti_pipeline *p) {
  const dti_transfer_item item = item_of_product(p);
  begin(p, &item, &p->c[0]);
}

/* From the layout in between to the one that was asked for. */
void dti_pipeline_spread(dti_pipeline *p) {
  dti_matmul_job *job = p->job;
  dtensor *target = job->sum ? job->sum : job->out;
  const dti_transfer_end from = {job->mesh, &job->between.layout, job->between.data,
                                 job->between.stride},
                         to = {job->mesh, &target->layout, target->data, target->stride};
  const dti_transfer_item item = item_of(p, &from, &to);
  dti_flight f;
  begin(p, &item, &f);
  dti_pipeline_finish(p, &f);
}

int dti_pipeline_has_arrived(dti_flight *f) {
  int done = 1;
  if (f->transfer)
    (void)dti_transfer_test(f->transfer, &done); /* dti_pipeline_finish() reads the outcome */
  return done;
}
