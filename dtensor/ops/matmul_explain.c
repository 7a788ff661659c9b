/* Telling what a matrix product will do. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "dtensor/base/fail.h"
#include "dtensor/mesh/machine.h"
#include "dtensor/ops/matmul_ask.h"
#include "dtensor/ops/matmul_job.h"
#include "dtensor/redistribute/plan.h"

/* ---- bytes: those of the very transfers that would be made, or saved by reading in place */

static dtensor_status add_transfer(const dti_matmul_job *job, const dti_layout *from,
                                   const dti_layout *to, const dti_box *box, int64_t *bytes) {
  const dti_transfer_item item = {.from = {.mesh = job->mesh, .layout = from},
                                  .to = {.mesh = job->mesh, .layout = to},
                                  .box = box,
                                  .dtype = job->dtype};
  const dti_transfer_terms terms = {.is_near = dti_mesh_is_near(job->mesh)};
  dti_transfer_plan *plan;
  DTI_TRY(dti_transfer_plan_get(&item, &terms, &plan));
  *bytes += dti_transfer_plan_count(plan, job->mesh, dtensor_dtype_size(job->dtype)).bytes_received;
  dti_transfer_plan_release(&plan);
  return DTENSOR_OK;
}

static dtensor_status add_operand(const dti_matmul_job *job, const dti_operand *operand,
                                  int64_t *bytes) {
  *bytes += operand->read.bytes_received;
  if (!dti_operand_arrives(operand)) return DTENSOR_OK;
  const dti_layout *from = &operand->source->layout, *to = &operand->carried;
  const int is_whole = job->steps == 1 && (job->panels == 1 || !operand->is_panelled);
  for (int64_t step = 0; step < job->steps; step++)
    for (int64_t panel = 0; panel < (is_whole ? 1 : job->panels); panel++) {
      const dti_box box = dti_matmul_panel_box(job, operand, step, panel, job->runs);
      DTI_TRY(add_transfer(job, from, to, is_whole ? NULL : &box, bytes));
    }
  return DTENSOR_OK;
}

static dtensor_status add_product(const dti_matmul_job *job, int64_t *bytes) {
  if (!job->c_moves) return DTENSOR_OK;
  const dti_layout *c = &job->plan->c, *out = &job->plan->out;
  if (!job->between.data) return add_transfer(job, c, out, NULL, bytes);
  DTI_TRY(add_transfer(job, c, &job->between.layout, NULL, bytes));
  return add_transfer(job, &job->between.layout, out, NULL, bytes);
}

static dtensor_status fill_info(const dti_matmul_job *job, dtensor_matmul_info *info) {
  const dti_matmul_plan *plan = job->plan;
  info->steps = job->steps;
  info->panels = job->panels;
  info->slices = job->slices;
  info->a_in_place = job->a.mode == DTI_OPERAND_IN_PLACE;
  info->b_in_place = job->b.mode == DTI_OPERAND_IN_PLACE;
  info->bytes_in_place = job->a.read.bytes_received + job->b.read.bytes_received;
  info->workspace = job->workspace;
  info->compute = plan->compute;
  info->communication = plan->communication;
  info->seconds = plan->seconds;
  DTI_TRY(add_operand(job, &job->a, &info->bytes_a));
  DTI_TRY(add_operand(job, &job->b, &info->bytes_b));
  return add_product(job, &info->bytes_c);
}

/* ---- text */

typedef struct page {
  char *text;
  size_t size, length;
} page;

__attribute__((format(printf, 2, 3))) static void write_line(page *p, const char *format, ...) {
  if (p->length >= p->size) return;
  va_list values;
  va_start(values, format);
  const int n = vsnprintf(p->text + p->length, p->size - p->length, format, values);
  va_end(values);
  if (n > 0) p->length += (size_t)n;
}

static void write_operand(page *p, const char *name, const dti_operand *operand, int64_t bytes) {
  static const char *const modes[] = {"is there", "is read in place", "comes in messages",
                                      "comes once to each node"};
  char from[DTI_TEXT_SIZE], to[DTI_TEXT_SIZE];
  write_line(p, "  %s %s as %s: %s, %" PRId64 " bytes", name,
             dti_layout_text(&operand->source->layout, from, sizeof from),
             dti_layout_text(operand->work, to, sizeof to), modes[operand->mode], bytes);
  if (operand->mode == DTI_OPERAND_CARRIED)
    write_line(p, ", %" PRId64 " of them read on this node", operand->read.bytes_received);
  write_line(p, "\n");
}

/* What a rank would receive if inputs and product were cut into one block for each rank. */
static void write_bound(page *p, const dti_matmul_job *job) {
  const dti_layout *a = &job->plan->a, *b = &job->plan->b;
  const int64_t m = a->shape[0], n = b->shape[1], k = a->shape[1], ranks = job->mesh->size;
  const double element = (double)dtensor_dtype_size(job->dtype);
  int64_t grid[3];
  if (m == 0 || n == 0 || k == 0) return;
  const double blocked = dti_matmul_grid(m, n, k, ranks, grid) * element;
  write_line(p,
             "  blocked on %" PRId64 " x %" PRId64 " x %" PRId64
             " ranks for m, n, k: %.0f bytes received; no algorithm receives less than %.0f\n",
             grid[0], grid[1], grid[2], blocked, dti_matmul_bound(m, n, k, ranks) * element);
}

static void write_text(page *p, const dti_matmul_job *job, const dtensor_matmul_info *info,
                       const dti_matmul_plan others[], int n_others) {
  char splits[DTI_TEXT_SIZE], from[DTI_TEXT_SIZE], to[DTI_TEXT_SIZE];
  const int mesh_ndim = job->asked->a.mesh_ndim;
  write_line(p, "matmul [%" PRId64 ",%" PRId64 "] x [%" PRId64 ",%" PRId64 "] %s: splits %s\n",
             job->plan->a.shape[0], job->plan->a.shape[1], job->plan->b.shape[0],
             job->plan->b.shape[1], dtensor_dtype_name(job->dtype),
             dti_matmul_splits_text(job->asked->split, mesh_ndim, splits, sizeof splits));
  write_operand(p, "a", &job->a, info->bytes_a);
  write_operand(p, "b", &job->b, info->bytes_b);
  write_line(p, "  c %s as %s: %" PRId64 " bytes\n",
             dti_layout_text(&job->plan->c, from, sizeof from),
             dti_layout_text(&job->plan->out, to, sizeof to), info->bytes_c);
  write_line(p,
             "  %" PRId64 " steps of %" PRId64 " panels, %" PRId64 " slices, workspace %" PRId64
             " bytes\n",
             info->steps, info->panels, info->slices, info->workspace);
  write_line(p, "  predicted %.3g s: compute %.3g s, communication %.3g s\n", info->seconds,
             info->compute, info->communication);
  write_bound(p, job);
  for (int i = 0; i < n_others; i++)
    write_line(p, "  instead of: splits %s, %.3g s, %.0f bytes received, workspace %.0f bytes\n",
               dti_matmul_splits_text(others[i].split, mesh_ndim, splits, sizeof splits),
               others[i].seconds,
               others[i].received[0] + others[i].received[1] + others[i].received[2],
               others[i].workspace);
}

/* ---- the public function */

enum { OTHERS = 3 };

dtensor_status dtensor_explain_matmul(const dtensor *a, const dtensor *b,
                                      const dtensor_matmul_opts *opts, dtensor_matmul_info *info,
                                      char *text, size_t size) {
  DTI_API();
  static const char letters[] = {'m', 'n', 'k', 'a', 'b', '-'};
  dtensor_matmul_info unasked;
  if (!info) info = &unasked;
  *info = (dtensor_matmul_info){.steps = 0};
  if (text && size > 0) text[0] = 0;
  dti_matmul_asked asked;
  dti_matmul_plan others[OTHERS];
  int n_others = OTHERS;
  DTI_TRY(dti_matmul_ask(a, b, opts, &asked, others, &n_others));
  for (int m = 0; m < asked.a->mesh->ndim; m++) info->splits[m] = letters[asked.plan.split[m]];
  dtensor_status status = DTENSOR_OK;
  if (dti_mesh_is_member(asked.a->mesh)) {
    dtensor *out = NULL;
    dti_matmul_job job;
    if (opts && opts->out)
      out = dtensor_retain(opts->out);
    else
      status = dti_tensor_create(asked.a->mesh, asked.dtype, &asked.plan.out, &out);
    status = dti_matmul_job_open(&job, &asked.plan, asked.a, asked.b, out, &asked.terms,
                                 asked.max_bytes, status);
    if (status == DTENSOR_OK) status = fill_info(&job, info);
    if (status == DTENSOR_OK && text && size > 0) {
      page p = {text, size, 0};
      write_text(&p, &job, info, others, n_others);
    }
    const dtensor_status closed = dti_matmul_job_close(&job, status);
    if (status == DTENSOR_OK) status = closed;
    dtensor_destroy(&out);
  }
  dti_matmul_asked_free(&asked);
  return status;
}
