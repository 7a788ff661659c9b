/* Where a mesh dimension goes over nodes with several ranks on each: the same product over a mesh
 * that tells them apart. */
#include <stdlib.h>

#include "dtensor/base/fail.h"
#include "dtensor/ops/matmul_job.h"
#include "dtensor/spec/refine.h"

/* The plan over the mesh that tells ranks of a node apart; 0: there is none. Bit m of *near: its
 * dimension m is inside of nodes. */
static int refine(const dtensor_mesh *mesh, const dti_matmul_plan *plan, dti_matmul_plan *fine,
                  unsigned *near) {
  const int64_t *run = mesh->on_node;
  *fine = *plan;
  if (!dti_layout_refine(&plan->a, run, &fine->a) || !dti_layout_refine(&plan->b, run, &fine->b) ||
      !dti_layout_refine(&plan->c, run, &fine->c) ||
      !dti_layout_refine(&plan->out, run, &fine->out))
    return 0;
  int n = 0;
  *near = 0;
  for (int m = 0; m < mesh->ndim; m++) {
    const int is_cut = run[m] > 1 && run[m] < mesh->shape[m];
    for (int i = 0; i <= is_cut; i++) fine->split[n++] = plan->split[m];
    if (run[m] > 1) *near |= 1u << (n - 1);
  }
  return 1;
}

void dti_matmul_look_by_node(dti_matmul_job *job) {
  const int64_t *run = job->mesh->on_node;
  dti_layout unused;
  dti_matmul_plan fine;
  unsigned near;
  if (!dti_layout_refine(&job->a.source->layout, run, &unused) ||
      !dti_layout_refine(&job->b.source->layout, run, &unused) ||
      !refine(job->mesh, job->plan, &fine, &near) || !near)
    return;
  job->by_node.is_used = 1;
  job->near = near;
}

static dtensor_status view(dtensor_mesh *mesh, const dtensor *x, const int64_t run[],
                           dtensor **fine) {
  dti_layout layout;
  (void)dti_layout_refine(&x->layout, run, &layout); /* as it was before */
  return dti_tensor_wrap(mesh, x->dtype, &layout, x->storage, x->data, x->stride, fine);
}

dtensor_status dti_matmul_go_by_node(dti_matmul_job *job) {
  dtensor_mesh *mesh;
  const int64_t *run = job->mesh->on_node;
  unsigned near;
  job->by_node.plan = malloc(sizeof *job->by_node.plan);
  DTI_CHECK(job->by_node.plan, DTENSOR_ENOMEM, "no memory for a plan");
  (void)refine(job->mesh, job->plan, job->by_node.plan, &near); /* as it was before */
  DTI_TRY(dti_mesh_by_node(job->mesh, &mesh));
  DTI_TRY(view(mesh, job->a.source, run, &job->by_node.a));
  DTI_TRY(view(mesh, job->b.source, run, &job->by_node.b));
  DTI_TRY(view(mesh, job->out, run, &job->by_node.out));
  job->mesh = mesh;
  job->plan = job->by_node.plan;
  job->a.source = job->by_node.a;
  job->b.source = job->by_node.b;
  job->out = job->by_node.out;
  return DTENSOR_OK;
}
