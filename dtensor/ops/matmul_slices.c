/* The product leaves in slices. Of each, a rank computes first what it sends, and what stays with
 * it when all of that is on its way: so the wire has work early, and there is work left when the
 * last slice has gone. */
#include "dtensor/ops/matmul_job.h"

int64_t dti_matmul_find_kept(dti_matmul_job *job, const dti_layout *to) {
  const dti_layout *c = &job->plan->c;
  int64_t owners = 1, shape[2], offset[2];
  for (int m = 0; m < c->mesh_ndim; m++) {
    if (dtensor_placement_equal(c->p[m], to->p[m])) continue;
    if (!dti_placement_is_shard(to->p[m])) return 0; /* others get what this rank gets */
    owners *= c->mesh[m];
  }
  for (int d = 0; d < 2; d++) {
    const dti_axis axis = dti_axis_of(to, d);
    if (dti_axis_is_periodic(&axis)) return 0;
  }
  dti_layout_local(to, job->mesh->coord, shape, offset);
  for (int d = 0; d < 2; d++) {
    const dti_axis axis = dti_axis_of(c, d);
    job->kept[d] = dti_matmul_local_run(&axis, job->mesh->coord, (dti_run){offset[d], shape[d]});
  }
  return owners;
}

/* With n owners, what leaves is all but the n-th part of the work. Where all of it takes as long as
 * the communication, what leaves is computed n / (n-1) times as fast as it travels: so each slice
 * is longer than those before it, few are short, and BLAS likes that. 0: too many. */
static int64_t cut_by_departure(dti_matmul_job *job, int64_t owners, int64_t grains) {
  int64_t slices = 0;
  for (int64_t end = 0; end < grains; slices++) {
    if (slices == DTI_MATMUL_SLICES) return 0;
    end += 1 + end / (owners - 1);
    job->slice_end[slices] = dti_matmul_least(end, grains);
  }
  return slices;
}

void dti_matmul_cut_slices(dti_matmul_job *job, int64_t owners, int64_t grains) {
  if (owners > 1) {
    while ((job->slices = cut_by_departure(job, owners, grains)) == 0) grains--;
  } else {
    job->slices = grains = dti_matmul_least(grains, DTI_MATMUL_SLICES);
    for (int64_t i = 0; i < grains; i++) job->slice_end[i] = i + 1;
  }
  job->slice_grains = grains;
}

/* Cut off what of *rest lies before and behind the kept run of a dimension. */
static int cut_off(const dti_run *kept, int d, dti_matmul_part *rest, dti_matmul_part off[2]) {
  const int64_t begin = rest->begin[d], end = begin + rest->length[d];
  int64_t ends[2] = {kept->begin, kept->begin + kept->length};
  int n = 0;
  for (int i = 0; i < 2; i++) {
    if (ends[i] < begin) ends[i] = begin;
    if (ends[i] > end) ends[i] = end;
    off[n] = *rest;
    off[n].begin[d] = i == 0 ? begin : ends[1];
    off[n].length[d] = i == 0 ? ends[0] - begin : end - ends[1];
    n += off[n].length[d] > 0;
  }
  rest->begin[d] = ends[0];
  rest->length[d] = ends[1] - ends[0];
  return n;
}

int dti_matmul_split_part(const dti_matmul_job *job, const dti_matmul_part *part,
                          dti_matmul_part leaving[4], dti_matmul_part *staying) {
  *staying = *part;
  const int n = cut_off(&job->kept[0], 0, staying, leaving);
  if (staying->length[0] == 0) return n;
  return n + cut_off(&job->kept[1], 1, staying, leaving + n);
}
