#include "dtensor/ops/dispatch.h"

#include <string.h>

#include "dtensor/base/dtype.h"
#include "dtensor/base/event.h"
#include "dtensor/base/fail.h"
#include "dtensor/comm/check.h"
#include "dtensor/redistribute/redistribute.h"

static const char *const input_names[DTI_OP_INPUTS] = {"input 1", "input 2", "input 3"};

/* DTENSOR_CHECK=1: shapes, dtypes, placements and params of all ranks. */
static dtensor_status compare_ranks(const dti_call *call) {
  dtensor_mesh *mesh = call->in[0]->mesh;
  dti_comm *comm;
  DTI_TRY(dti_mesh_comm(mesh, &comm));

  dti_facts facts = {.n = 0};
  for (int i = 0; i < call->op->n_in; i++) {
    char text[DTI_TEXT_SIZE];
    dti_tensor_text(call->in[i], text, sizeof text);
    dti_facts_add(&facts, input_names[i], text, strlen(text));
  }
  const dti_params *params = &call->params;
  const double scalar[] = {params->scalar.re, params->scalar.im};
  const int64_t numbers[] = {params->scalar.kind, params->scalar.integer, params->dtype,
                             params->ndims,       params->dims != NULL,   params->keepdim};
  dti_facts_add(&facts, "real scalar", scalar, sizeof scalar);
  dti_facts_add(&facts, "arguments", numbers, sizeof numbers);
  /* A number of dims that the operator is about to refuse says nothing about the array. */
  if (params->dims && params->ndims > 0 && params->ndims <= call->in[0]->layout.ndim)
    dti_facts_add(&facts, "dims", params->dims, (size_t)params->ndims * sizeof *params->dims);
  return dti_facts_compare(comm, &facts);
}

static dtensor_status check_inputs(const dti_call *call) {
  const dtensor *const *in = call->in;
  for (int i = 0; i < call->op->n_in; i++) DTI_CHECK(in[i], DTENSOR_EINVAL, "a tensor is NULL");
  if (dti_check_enabled() && dti_mesh_is_member(in[0]->mesh)) DTI_TRY(compare_ranks(call));
  for (int i = 1; i < call->op->n_in; i++) {
    char a[DTI_TEXT_SIZE], b[DTI_TEXT_SIZE];
    DTI_CHECK(in[i]->mesh == in[0]->mesh || dti_mesh_same(in[i]->mesh, in[0]->mesh), DTENSOR_EMESH,
              "tensors on different meshes: %s and %s", dti_tensor_text(in[0], a, sizeof a),
              dti_tensor_text(in[i], b, sizeof b));
    DTI_CHECK(in[i]->dtype == in[0]->dtype, DTENSOR_EDTYPE, "dtypes differ: %s and %s",
              dti_tensor_text(in[0], a, sizeof a), dti_tensor_text(in[i], b, sizeof b));
  }
  return DTENSOR_OK;
}

/* Inputs can be small where the output is not: broadcasting, outer products. */
static dtensor_status check_size(const dti_call *call) {
  int64_t elements = 1;
  int overflow = 0;
  for (int d = 0; d < call->ndim; d++) {
    if (call->shape[d] == 0) return DTENSOR_OK;
    overflow |= __builtin_mul_overflow(elements, call->shape[d], &elements);
  }
  DTI_CHECK(!overflow, DTENSOR_ESHAPE, "the result has more than 2^63-1 elements");
  return DTENSOR_OK;
}

dtensor_status dti_call_make(const dti_op *op, const dtensor *const in[], const dti_params *params,
                             dti_call *call) {
  call->op = op;
  for (int i = 0; i < op->n_in; i++) call->in[i] = in[i];
  call->params = params ? *params : (dti_params){.ndims = 0};
  DTI_TRY(check_inputs(call));
  call->dtype = in[0]->dtype;
  DTI_TRY(op->infer(call));
  return check_size(call);
}

dtensor_status dti_inputs_move(const dti_call *call, const dti_plan *plan, dtensor_status mine,
                               dtensor *ready[]) {
  dtensor_status status = mine;
  for (int i = 0; i < call->op->n_in; i++) {
    ready[i] = NULL;
    if (!plan->moves[i]) continue;
    /* After a failure too: others may be waiting to hear of it. */
    const dtensor_status moved = dti_redistribute(call->in[i], &plan->to[i], status, &ready[i]);
    if (status == DTENSOR_OK) status = moved;
  }
  return status;
}

void dti_inputs_release(const dti_call *call, dtensor *ready[]) {
  for (int i = 0; i < call->op->n_in; i++) dtensor_destroy(&ready[i]);
}

static dtensor_status run_local(const dti_call *call, const dtensor *const in[], dtensor *out) {
  if (call->op->traced || !dti_event_listening()) return call->op->local(call, in, out);
  const double begin = dti_event_clock();
  const dtensor_status status = call->op->local(call, in, out);
  dti_event_emit(&(dti_event){
      .name = call->op->name, .kind = DTI_EVENT_COMPUTE, .begin = begin, .end = dti_event_clock()});
  return status;
}

dtensor_status dti_execute(const dti_call *call, const dti_plan *plan, dtensor_status mine,
                           dtensor **out) {
  const dti_op *op = call->op;
  dtensor *result = NULL, *moved[DTI_OP_INPUTS];
  dtensor_status status = mine;

  /* Memory first: what fails here is agreed on when the inputs move. */
  if (status == DTENSOR_OK && !op->view)
    status = dti_tensor_create(call->in[0]->mesh, call->dtype, &plan->out, &result);
  if (!op->view && !dti_mesh_is_member(call->in[0]->mesh)) {
    *out = result;
    return status;
  }

  status = dti_inputs_move(call, plan, status, moved);
  if (status == DTENSOR_OK) {
    const dtensor *in[DTI_OP_INPUTS];
    for (int i = 0; i < op->n_in; i++) in[i] = plan->moves[i] ? moved[i] : call->in[i];
    status = op->view ? op->view(call, &plan->out, in[0], &result) : run_local(call, in, result);
  }
  dti_inputs_release(call, moved);
  if (status != DTENSOR_OK) dtensor_destroy(&result);
  *out = result;
  return status;
}

dtensor_status dti_dispatch(const dti_op *op, const dtensor *const in[], const dti_params *params,
                            dtensor **out) {
  DTI_CHECK(out, DTENSOR_EINVAL, "the place for the result is NULL");
  *out = NULL;
  dti_call call;
  DTI_TRY(dti_call_make(op, in, params, &call));
  dti_plan plan;
  dti_plan_make(&call, &plan);
  return dti_execute(&call, &plan, DTENSOR_OK, out);
}
