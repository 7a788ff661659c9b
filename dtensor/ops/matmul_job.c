/* What a matrix product needs before anything moves. */
#include "dtensor/ops/matmul_job.h"

#include <stdlib.h>
#include <string.h>

#include "dtensor/base/alloc.h"
#include "dtensor/base/fail.h"
#include "dtensor/mesh/machine.h"
#include "dtensor/spec/route.h"

static int moves(const dti_layout *from, const dti_layout *to) {
  return !dti_layout_equal(from, to) && !dti_layout_is_local(from, to);
}

/* 1 if a move takes one exchange, so that it can be cut. */
static int is_one_exchange(const dtensor_mesh *mesh, const dti_layout *from, const dti_layout *to,
                           size_t element) {
  dti_route route;
  dti_route_make(from, to, NULL, 1, dti_mesh_is_near(mesh), element, &route);
  return route.steps == 1 && route.step[0].kind == DTI_STEP_EXCHANGE;
}

/* Those that read each other's memory have the same to begin with, unless one has to bring it to
 * itself. */
int dti_matmul_is_computed_twice(const dti_matmul_job *job) {
  const int moves_own = job->a.mode == DTI_OPERAND_MOVED || job->b.mode == DTI_OPERAND_MOVED;
  for (int m = 0; m < job->mesh->ndim; m++)
    if (job->mesh->shape[m] > 1 && job->plan->split[m] == DTI_MATMUL_WHOLE &&
        (moves_own || !(job->near >> m & 1u)))
      return 1;
  return 0;
}

/* The segments that this rank can multiply before anything has moved. */
static void find_own(dti_matmul_job *job) {
  if (job->steps > 1 || job->panels == 1 || dti_matmul_is_computed_twice(job)) return;
  const dti_axis axis = dti_axis_of(&job->plan->a, 1);
  for (int64_t s = 0; s < job->k.n; s++) {
    const dti_run *run = &job->k.run[s];
    const dti_run local = dti_matmul_local_run(&axis, job->mesh->coord, *run);
    if (local.length != run->length) continue;
    dti_operand a, b;
    dti_stretch stretch[4];
    dti_array block[2];
    job->is_own[s] =
        dti_operand_own(&job->a, local.begin, run->length, run->begin, &a, stretch, &block[0]) &&
        dti_operand_own(&job->b, local.begin, run->length, run->begin, &b, stretch + 2, &block[1]);
    job->has_own |= job->is_own[s];
  }
}

/* ---- memory */

static dtensor_status make_room(dti_matmul_job *job, size_t elements, void **memory) {
  const size_t bytes = elements * dtensor_dtype_size(job->dtype);
  *memory = dti_alloc(bytes);
  DTI_CHECK(*memory, DTENSOR_ENOMEM, "no memory for %zu bytes of workspace", bytes);
  job->workspace += (int64_t)bytes;
  return DTENSOR_OK;
}

static dtensor_status make_buffer(dti_matmul_job *job, dti_operand *operand) {
  int64_t shape[2];
  if (!dti_operand_arrives(operand)) return DTENSOR_OK;
  dti_layout_local(&operand->carried, job->mesh->coord, shape, NULL);
  operand->room = shape[operand->k_dim];
  if (job->steps > 1) { /* the longest of the steps */
    const dti_axis axis = dti_axis_of(operand->work, operand->k_dim);
    operand->room = 0;
    for (int64_t step = 0; step < job->steps; step++) {
      const int64_t n = dti_matmul_panel_runs(job, step, 0, job->panels, job->runs);
      int64_t here = 0;
      for (int64_t i = 0; i < n; i++) {
        const dti_run run = dti_matmul_local_run(&axis, job->mesh->coord, job->runs[i]);
        here += run.length;
      }
      if (here > operand->room) operand->room = here;
    }
  }
  const int64_t other = shape[1 - operand->k_dim];
  DTI_TRY(make_room(job, (size_t)(other * operand->room), &operand->buffer));
  dti_operand_window(operand, 0, operand->room);
  return DTENSOR_OK;
}

static int is_owned_alone(const dti_layout *layout) {
  for (int m = 0; m < layout->mesh_ndim; m++)
    if (layout->p[m].kind == DTI_OWNED) return 1;
  return 0;
}

/* Where the product is computed, and by which steps it moves from there. */
static dtensor_status make_product(dti_matmul_job *job, const dti_gemm_terms *terms) {
  const dti_layout *c = &job->plan->c, *out = &job->plan->out;
  job->c = dti_tensor_array(job->out);
  job->c_moves = !dti_layout_equal(c, out);
  job->terms = *terms;
  job->slices = 1;
  if (!job->c_moves && dti_gemm_takes(&job->c)) return DTENSOR_OK;

  /* beta counts in the end. */
  job->beta[0] = terms->beta[0];
  job->beta[1] = terms->beta[1];
  job->terms.beta[0] = job->terms.beta[1] = 0;
  dti_layout_local(c, job->mesh->coord, job->c.shape, NULL);
  dti_packed_strides(2, job->c.shape, job->c.stride);
  DTI_TRY(make_room(job, (size_t)dti_numel(2, job->c.shape), &job->c_buffer));
  job->c.data = job->c_buffer;
  if (!job->c_moves) return DTENSOR_OK;

  if (job->beta[0] != 0 || job->beta[1] != 0) {
    DTI_TRY(dti_tensor_create(job->mesh, job->dtype, out, &job->sum));
    job->workspace += job->sum->local_numel * (int64_t)dtensor_dtype_size(job->dtype);
  }
  dti_route route;
  dti_route_make(c, out, NULL, 1, dti_mesh_is_near(job->mesh), dtensor_dtype_size(job->dtype),
                 &route);
  if (route.step[0].kind != DTI_STEP_EXCHANGE) return DTENSOR_OK;
  if (route.steps == 1) return dti_matmul_cut_product(job, out);
  if (is_owned_alone(&route.step[0].to)) return DTENSOR_OK;
  int64_t shape[2];
  job->between.layout = route.step[0].to;
  dti_layout_local(&job->between.layout, job->mesh->coord, shape, NULL);
  dti_packed_strides(2, shape, job->between.stride);
  DTI_TRY(make_room(job, (size_t)dti_numel(2, shape), &job->between.data));
  return dti_matmul_cut_product(job, &job->between.layout);
}

static dtensor_status make_runs(dti_matmul_job *job) {
  const int64_t n = job->k.n * (job->panels + 1) + job->c_cuts.n * job->slices;
  job->runs = malloc(((size_t)n + 1) * sizeof *job->runs);
  DTI_CHECK(job->runs, DTENSOR_ENOMEM, "no memory for %lld runs of a panel", (long long)n);
  job->runs_of_fold = job->runs + job->k.n * job->panels;
  job->runs_of_slices = job->runs_of_fold + job->k.n;
  job->is_own = calloc((size_t)job->k.n + 1, 1);
  DTI_CHECK(job->is_own, DTENSOR_ENOMEM, "no memory for %lld segments", (long long)job->k.n);
  return DTENSOR_OK;
}

/* What shared memory saves in messages is counted like them: it is read all the same. */
static dtensor_status count_reads(const dti_matmul_job *job, dti_operand *operand) {
  const dtensor *x = operand->source;
  const int reads = operand->mode == DTI_OPERAND_IN_PLACE || operand->mode == DTI_OPERAND_CARRIED;
  if (!reads || !moves(&x->layout, operand->work)) return DTENSOR_OK;
  if (!job->is_in_node) return dti_operand_count_reads(operand, job->node);
  const dti_transfer_item item = {.from = {.mesh = x->mesh, .layout = &x->layout},
                                  .to = {.mesh = x->mesh, .layout = operand->work},
                                  .dtype = x->dtype};
  const dti_transfer_terms terms = {.is_near = 1};
  dti_transfer_plan *plan;
  DTI_TRY(dti_transfer_plan_get(&item, &terms, &plan));
  operand->read = dti_transfer_plan_count(plan, x->mesh, dtensor_dtype_size(x->dtype));
  dti_transfer_plan_release(&plan);
  return DTENSOR_OK;
}

/* The cuts and buffers, once it is known what moves. */
static dtensor_status prepare(dti_matmul_job *job, const dti_gemm_terms *terms) {
  const dti_matmul_plan *plan = job->plan;
  const size_t element = dtensor_dtype_size(job->dtype);
  dti_operand *operands[] = {&job->a, &job->b};
  /* The same on all ranks: what moves without messages comes whole. */
  for (int i = 0; i < 2; i++) {
    const dti_layout *from = &operands[i]->source->layout, *to = &operands[i]->carried;
    const int travels = dti_operand_arrives(operands[i]) && moves(from, to);
    operands[i]->is_panelled = travels && is_one_exchange(job->mesh, from, to, element);
    job->needs_transfers |= travels;
  }
  job->steps =
      job->a.mode == DTI_OPERAND_MOVED || job->b.mode == DTI_OPERAND_MOVED ? plan->steps : 1;
  DTI_TRY(count_reads(job, &job->a));
  DTI_TRY(count_reads(job, &job->b));
  DTI_TRY(make_product(job, terms));
  DTI_TRY(dti_matmul_cut_k(job));
  DTI_TRY(make_runs(job));
  DTI_TRY(make_buffer(job, &job->a));
  DTI_TRY(make_buffer(job, &job->b));
  DTI_CHECK(job->max_bytes == 0 || job->workspace <= job->max_bytes, DTENSOR_EBUDGET,
            "this rank needs %lld bytes of workspace, the caller allows %lld",
            (long long)job->workspace, (long long)job->max_bytes);
  dti_matmul_show_buffers(job);
  job->is_tiled = job->panels > 1 || job->slices > 1;
  find_own(job);
  return DTENSOR_OK;
}

/* ---- nodes */

/* Whether ranks share memory, and an operand would come in messages that this can save: the same
 * on all ranks. */
static dtensor_status find_node(dti_matmul_job *job, dti_comm *comm) {
  const dtensor_mesh *mesh = job->mesh;
  const dti_layout *a = &job->a.source->layout, *b = &job->b.source->layout;
  if (!dti_matmul_reads_in_place()) return DTENSOR_OK;
  dti_node *node;
  DTI_TRY(dti_comm_node(comm, &node));
  job->is_in_node = node && dti_node_size(node) == dti_comm_size(comm);
  if (!moves(a, &job->plan->a) && !moves(b, &job->plan->b)) return DTENSOR_OK;
  job->near = dti_mesh_inside_nodes(mesh);
  if (!job->is_in_node) {
    if (!dti_comm_nodes_share(comm)) return DTENSOR_OK;
    dti_matmul_look_by_node(job);
    if (!job->near) return DTENSOR_OK;
  }
  job->node = node;
  return DTENSOR_OK;
}

/* The ranks of a node deal out what they would bring to each of them. */
static void deal_out(const dti_matmul_job *job, dti_operand *operand) {
  if (job->is_in_node || operand->mode != DTI_OPERAND_MOVED) return;
  operand->dealt = dti_matmul_carry(&operand->source->layout, operand->work, job->near,
                                    operand->k_dim, &operand->carried);
}

dtensor_status dti_matmul_job_open(dti_matmul_job *job, const dti_matmul_plan *plan,
                                   const dtensor *a, const dtensor *b, dtensor *out,
                                   const dti_gemm_terms *terms, int64_t max_bytes,
                                   dtensor_status mine) {
  *job = (dti_matmul_job){.plan = plan,
                          .asked = plan,
                          .mesh = a->mesh,
                          .dtype = a->dtype,
                          .out = out,
                          .steps = plan->steps,
                          .max_bytes = max_bytes,
                          .a = {.source = a},
                          .b = {.source = b}};
  const int communicates =
      a->mesh->size > 1 &&
      (moves(&a->layout, &plan->a) || moves(&b->layout, &plan->b) || moves(&plan->c, &plan->out));
  dti_comm *comm = NULL;
  if (communicates) {
    DTI_TRY(dti_mesh_comm(a->mesh, &comm));
    DTI_TRY(find_node(job, comm));
    if (!job->is_in_node) job->far_comm = comm;
  }
  if (mine == DTENSOR_OK && job->by_node.is_used) mine = dti_matmul_go_by_node(job);
  if (mine == DTENSOR_OK)
    mine = dti_operand_prepare(&job->a, job->a.source, &job->plan->a, 1, job->near);
  if (mine == DTENSOR_OK)
    mine = dti_operand_prepare(&job->b, job->b.source, &job->plan->b, 0, job->near);
  if (job->node) {
    deal_out(job, &job->a);
    deal_out(job, &job->b);
    DTI_TRY(mine = dti_matmul_meet(job, comm, mine));
  }
  if (mine == DTENSOR_OK) mine = prepare(job, terms);
  return communicates ? dti_comm_agree(comm, mine) : mine;
}

dtensor_status dti_matmul_job_close(dti_matmul_job *job, dtensor_status status) {
  const dtensor_status parted = dti_matmul_part_ways(job, status);
  dti_operand_free(&job->a);
  dti_operand_free(&job->b);
  dti_segments_free(&job->k);
  dti_segments_free(&job->c_cuts);
  free(job->runs);
  free(job->is_own);
  free(job->peer);
  dti_free(job->c_buffer);
  dti_free(job->between.data);
  dtensor_destroy(&job->sum);
  dtensor_destroy(&job->by_node.a);
  dtensor_destroy(&job->by_node.b);
  dtensor_destroy(&job->by_node.out);
  free(job->by_node.plan);
  return parted;
}
