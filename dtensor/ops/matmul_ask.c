/* From the arguments of a matrix product to its plan. */
#include "dtensor/ops/matmul_ask.h"

#include <string.h>

#include "dtensor/base/dtype.h"
#include "dtensor/base/fail.h"
#include "dtensor/comm/check.h"
#include "dtensor/mesh/machine.h"
#include "dtensor/ops.h"
#include "dtensor/ops/dispatch.h"
#include "dtensor/ops/op_list.h"

/* ---- arguments */

static int is_complex(dtensor_dtype dtype) { return dtype == DTENSOR_C64 || dtype == DTENSOR_C128; }

static dtensor_status take_operand(const dtensor *x, dtensor_operand_form form, dtensor **view) {
  DTI_CHECK(form >= DTENSOR_AS_IS && form <= DTENSOR_CONJUGATE_TRANSPOSED, DTENSOR_EINVAL,
            "%d is no form of an operand", (int)form);
  if (form == DTENSOR_AS_IS || !x || x->layout.ndim != 2) {
    *view = dtensor_retain((dtensor *)x); /* const is about its elements */
    return DTENSOR_OK;
  }
  return dtensor_transpose(x, 0, 1, view);
}

/* A scalar that was not set has the value `otherwise`. */
static dtensor_status take_scalar(dtensor_scalar scalar, double otherwise, dtensor_dtype dtype,
                                  double value[2]) {
  value[0] = otherwise;
  value[1] = 0;
  if ((int)scalar.kind == 0) return DTENSOR_OK;
  _Alignas(16) unsigned char element[16];
  DTI_TRY(dti_scalar_store(scalar, dtype, element)); /* whether it fits */
  value[0] = scalar.kind == DTENSOR_SCALAR_INT ? (double)scalar.integer : scalar.re;
  if (scalar.kind == DTENSOR_SCALAR_COMPLEX) value[1] = scalar.im;
  return DTENSOR_OK;
}

/* DTENSOR_CHECK=1: what beside the operands must be the same on all ranks. */
static dtensor_status compare_ranks(dtensor_mesh *mesh, const dtensor_matmul_opts *opts,
                                    const dti_matmul_asked *asked) {
  if (!dti_check_enabled() || !dti_mesh_is_member(mesh)) return DTENSOR_OK;
  dti_comm *comm;
  DTI_TRY(dti_mesh_comm(mesh, &comm));
  char text[DTI_TEXT_SIZE] = "";
  if (opts->out) dti_tensor_text(opts->out, text, sizeof text);
  if (opts->placements)
    (void)dtensor_placements_format(opts->placements, mesh->ndim, text, sizeof text);
  const int64_t numbers[] = {opts->a_form, opts->b_form, opts->max_bytes, opts->out != NULL,
                             opts->placements != NULL};
  const double scalars[] = {asked->terms.alpha[0], asked->terms.alpha[1], asked->terms.beta[0],
                            asked->terms.beta[1]};
  dti_facts facts = {.n = 0};
  dti_facts_add(&facts, "forms, max_bytes, out and placements", numbers, sizeof numbers);
  dti_facts_add(&facts, "alpha and beta", scalars, sizeof scalars);
  dti_facts_add(&facts, "the layout of the product", text, strlen(text));
  return dti_facts_compare(comm, &facts);
}

static int shares_memory(const dtensor *x, const dtensor *y) {
  return x->storage && x->storage == y->storage;
}

/* beta times each contribution is beta times their reduction. */
static int is_linear(const dti_layout *layout) {
  for (int m = 0; m < layout->mesh_ndim; m++) {
    const dtensor_placement p = layout->p[m];
    if (p.kind == DTENSOR_PARTIAL && p.op != DTENSOR_SUM && p.op != DTENSOR_AVG &&
        layout->mesh[m] > 1)
      return 0;
  }
  return 1;
}

/* How the product has to lie. */
static dtensor_status take_wanted(const dti_call *call, const dtensor_matmul_opts *opts,
                                  dti_matmul_asked *asked) {
  const dtensor *a = call->in[0], *b = call->in[1], *out = opts->out;
  DTI_CHECK(!out || !opts->placements, DTENSOR_EINVAL, "out has a layout: placements must be NULL");
  DTI_CHECK(out || (asked->terms.beta[0] == 0 && asked->terms.beta[1] == 0), DTENSOR_EINVAL,
            "beta has nothing to multiply: out is NULL");
  DTI_CHECK(opts->max_bytes >= 0, DTENSOR_EINVAL, "max_bytes is %lld", (long long)opts->max_bytes);
  if (opts->placements) {
    DTI_TRY(dti_layout_init(&asked->wanted, 2, call->shape, a->mesh->ndim, a->mesh->shape,
                            opts->placements));
    asked->problem.c = &asked->wanted;
  }
  if (!out) return DTENSOR_OK;
  char text[DTI_TEXT_SIZE], other[DTI_TEXT_SIZE];
  DTI_CHECK(out->mesh == a->mesh || dti_mesh_same(out->mesh, a->mesh), DTENSOR_EMESH,
            "out is on another mesh than a: %s and %s", dti_tensor_text(out, text, sizeof text),
            dti_tensor_text(a, other, sizeof other));
  DTI_CHECK(out->dtype == a->dtype, DTENSOR_EDTYPE, "out has another dtype than a: %s and %s",
            dti_tensor_text(out, text, sizeof text), dti_tensor_text(a, other, sizeof other));
  DTI_CHECK(out->layout.ndim == 2 && out->layout.shape[0] == call->shape[0] &&
                out->layout.shape[1] == call->shape[1],
            DTENSOR_ESHAPE, "out is %s, the product is [%lld,%lld]",
            dti_tensor_text(out, text, sizeof text), (long long)call->shape[0],
            (long long)call->shape[1]);
  DTI_CHECK(!shares_memory(out, a) && !shares_memory(out, b), DTENSOR_EINVAL,
            "out shares memory with an operand: %s", dti_tensor_text(out, text, sizeof text));
  DTI_CHECK(!out->storage || out->storage->requests == 0, DTENSOR_EINVAL,
            "out is being redistributed, in a request that is open: %s",
            dti_tensor_text(out, text, sizeof text));
  DTI_CHECK(!asked->problem.is_added || is_linear(&out->layout), DTENSOR_EPLACEMENT,
            "nothing can be added to %s before it is reduced: beta must be 0",
            dti_tensor_text(out, text, sizeof text));
  asked->wanted = out->layout;
  asked->problem.c = &asked->wanted;
  return DTENSOR_OK;
}

/* ---- the plan */

/* Which index a mesh dimension splits, seen from the layouts. */
static dti_matmul_split split_of(const dti_matmul_plan *plan, int m) {
  const dtensor_placement a = plan->a.p[m], b = plan->b.p[m], c = plan->c.p[m];
  if (dti_placement_is_shard(c)) return c.dim == 0 ? DTI_MATMUL_M : DTI_MATMUL_N;
  if (c.kind != DTENSOR_PARTIAL) return DTI_MATMUL_WHOLE;
  if (a.kind == DTENSOR_PARTIAL) return DTI_MATMUL_LINEAR_A;
  return b.kind == DTENSOR_PARTIAL ? DTI_MATMUL_LINEAR_B : DTI_MATMUL_K;
}

/* The rules of the operator, which decide where the caller does not. */
static dtensor_status plan_by_rules(const dti_call *call, dti_matmul_asked *asked) {
  dti_plan rules;
  dti_matmul_plan *plan = &asked->plan;
  dti_plan_make(call, &rules);
  plan->a = rules.moves[0] ? rules.to[0] : call->in[0]->layout;
  plan->b = rules.moves[1] ? rules.to[1] : call->in[1]->layout;
  plan->c = plan->out = rules.out;
  for (int m = 0; m < plan->a.mesh_ndim; m++) plan->split[m] = split_of(plan, m);
  return dti_matmul_plan_cost(&asked->problem, plan);
}

/* What the planner of transfers knows too. Single precision is twice as fast; a complex
 * multiplication is four. */
static dti_matmul_speed speed_of(const dtensor_mesh *mesh, dtensor_dtype dtype) {
  dti_matmul_speed speed = dti_matmul_speed_of(&dti_mesh_machine_of(mesh)->machine,
                                               dti_mesh_topology(mesh), dti_mesh_is_near(mesh));
  if (dtype == DTENSOR_F32 || dtype == DTENSOR_C64) speed.madd /= 2;
  if (is_complex(dtype)) speed.madd *= 4;
  return speed;
}

static dtensor_status make_plan(const dti_call *call, dti_matmul_asked *asked,
                                dti_matmul_plan others[], int *n_others) {
  if (!asked->problem.c) {
    const dtensor_status status = plan_by_rules(call, asked);
    if (status != DTENSOR_EBUDGET) {
      if (n_others) *n_others = 0;
      return status;
    }
  }
  return dti_matmul_plan_make(&asked->problem, &asked->plan, others, n_others);
}

dtensor_status dti_matmul_ask(const dtensor *a, const dtensor *b, const dtensor_matmul_opts *opts,
                              dti_matmul_asked *asked, dti_matmul_plan others[], int *n_others) {
  static const dtensor_matmul_opts none;
  if (!opts) opts = &none;
  memset(asked, 0, sizeof *asked);
  dtensor_status status;
  dti_call call;
  DTI_TRY_OR(failed, status, take_operand(a, opts->a_form, &asked->a));
  DTI_TRY_OR(failed, status, take_operand(b, opts->b_form, &asked->b));
  DTI_TRY_OR(
      failed, status,
      dti_call_make(&dti_op_matmul, (const dtensor *const[]){asked->a, asked->b}, NULL, &call));
  asked->dtype = call.dtype;
  DTI_TRY_OR(failed, status, take_scalar(opts->alpha, 1, call.dtype, asked->terms.alpha));
  DTI_TRY_OR(failed, status, take_scalar(opts->beta, 0, call.dtype, asked->terms.beta));
  DTI_TRY_OR(failed, status, compare_ranks(asked->a->mesh, opts, asked));
  const int conjugates = is_complex(call.dtype);
  asked->terms.conjugate_a = conjugates && opts->a_form == DTENSOR_CONJUGATE_TRANSPOSED;
  asked->terms.conjugate_b = conjugates && opts->b_form == DTENSOR_CONJUGATE_TRANSPOSED;
  asked->problem =
      (dti_matmul_problem){.a = &asked->a->layout,
                           .b = &asked->b->layout,
                           .is_added = asked->terms.beta[0] != 0 || asked->terms.beta[1] != 0,
                           .is_near = dti_mesh_is_near(asked->a->mesh),
                           .element = dtensor_dtype_size(call.dtype),
                           .max_bytes = opts->max_bytes,
                           .speed = speed_of(asked->a->mesh, call.dtype)};
  asked->max_bytes = opts->max_bytes;
  DTI_TRY_OR(failed, status, take_wanted(&call, opts, asked));
  DTI_TRY_OR(failed, status, make_plan(&call, asked, others, n_others));
  return DTENSOR_OK;
failed:
  dti_matmul_asked_free(asked);
  return status;
}

void dti_matmul_asked_free(dti_matmul_asked *asked) {
  dtensor_destroy(&asked->a);
  dtensor_destroy(&asked->b);
}
