/* The value of a tensor of one element. */
#include <string.h>

#include "dtensor/base/fail.h"
#include "dtensor/ops.h"
#include "dtensor/ops/dispatch.h"

static dtensor_status infer(dti_call *call) {
  const dtensor *x = call->in[0];
  char text[DTI_TEXT_SIZE];
  DTI_CHECK(dti_numel(x->layout.ndim, x->layout.shape) == 1, DTENSOR_ESHAPE,
            "not exactly one element: x is %s", dti_tensor_text(x, text, sizeof text));
  call->ndim = 0;
  return DTENSOR_OK;
}

/* No rules: all replicated is implied. */
static const dti_op item = {.name = "item", .n_in = 1, .infer = infer};

dtensor_status dtensor_item(const dtensor *x, void *value) {
  DTI_API();
  DTI_CHECK(value, DTENSOR_EINVAL, "value is NULL");
  dti_call call;
  dti_plan plan;
  DTI_TRY(dti_call_make(&item, &x, NULL, &call));
  DTI_CHECK(dti_mesh_is_member(x->mesh), DTENSOR_EMESH, "this rank is not in the mesh");
  dti_plan_make(&call, &plan);

  dtensor *moved[DTI_OP_INPUTS];
  const dtensor_status status = dti_inputs_move(&call, &plan, DTENSOR_OK, moved);
  if (status == DTENSOR_OK)
    memcpy(value, plan.moves[0] ? moved[0]->data : x->data, dtensor_dtype_size(x->dtype));
  dti_inputs_release(&call, moved);
  return status;
}
