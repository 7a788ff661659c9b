#include "tests/conformance/conform.h"

#include <stdlib.h>
#include <string.h>

#include "dtensor/base/dtype.h"
#include "dtensor/debug.h"
#include "dtensor/ops/dispatch.h"
#include "dtensor/redistribute.h"
#include "dtensor/sim.h"
#include "tests/conformance/values.h"
#include "tests/harness/dtest.h"

enum { OPS_MAX = 64, SAMPLES_MAX = 8, DTYPES = DTENSOR_F16 + 1 };

/* Layouts tried at random per operator, sample and dtype, where there are too many for all. */
enum { RANDOM_LAYOUTS = 8, RANDOM_ROWS = 4 };

/* What one rank computes. data is NULL where the operator refuses the dtype or the shape. */
typedef struct result {
  dtensor_dtype dtype;
  int64_t elements;
  void *data;
} result;
static result expected[OPS_MAX][SAMPLES_MAX][DTYPES];

typedef struct tried {
  const dti_op *op;
  const dti_sample *sample;
  const result *expected;
  dtensor_dtype dtype;
  dtensor_mesh *mesh;
} tried;

/* ---- one call */

static dtensor_status report(const tried *t, const dtensor *const in[], const dtensor *out,
                             const char *what) {
  char text[DTI_OP_INPUTS + 1][DTI_TEXT_SIZE] = {"", "", "", "nothing"};
  for (int i = 0; i < t->op->n_in; i++) dti_tensor_text(in[i], text[i], sizeof text[i]);
  if (out) dti_tensor_text(out, text[DTI_OP_INPUTS], sizeof text[0]);
  dtest_fail(__FILE__, __LINE__, "%s of %s %s %s, giving %s: %s", t->op->name, text[0], text[1],
             text[2], text[DTI_OP_INPUTS], what);
  return DTENSOR_EINVAL;
}

/* The plan leaves the inputs where they are. */
static int is_at_rest(const tried *t, const dtensor *const in[]) {
  dti_call call;
  dti_plan plan;
  if (dti_call_make(t->op, in, &t->sample->params, &call) != DTENSOR_OK) return 0;
  dti_plan_make(&call, &plan);
  for (int i = 0; i < t->op->n_in; i++)
    if (plan.moves[i]) return 0;
  return 1;
}

static dtensor_status compare(const tried *t, const dtensor *const in[], const dtensor *out) {
  const size_t bytes = (size_t)t->expected->elements * dtensor_dtype_size(t->expected->dtype);
  void *full = malloc(bytes ? bytes : 1);
  SIM_REQUIRE_NOT_NULL(full);
  dtensor_status status = dtensor_full_tensor(out, full);
  if (status == DTENSOR_OK && value_mismatch(t->expected->dtype, full, t->expected->data,
                                             t->expected->elements, t->op->view != NULL) >= 0)
    status = report(t, in, out, "not what one rank computes");
  free(full);
  return status;
}

/* `matches`: every mesh dimension matches a rule, as the caller knows. */
static dtensor_status try_layouts(const tried *t, const dti_layout layouts[], int matches) {
  dtensor *in[DTI_OP_INPUTS] = {NULL}, *out = NULL;
  dtensor_status status = DTENSOR_OK;
  for (int i = 0; i < t->op->n_in && status == DTENSOR_OK; i++)
    status = value_tensor(t->mesh, t->dtype, &layouts[i], i, &in[i]);
  if (!EXPECT_OK(status)) goto done;
  const dtensor *const inputs[DTI_OP_INPUTS] = {in[0], in[1], in[2]};
  const int at_rest = is_at_rest(t, inputs);
  if (matches && !at_rest) {
    status = report(t, inputs, NULL, "matches a rule but would be moved");
    goto done;
  }

  dtensor_comm_counts counts;
  dtensor_comm_stats_reset();
  status = dti_dispatch(t->op, inputs, &t->sample->params, &out);
  dtensor_comm_stats(&counts);
  if (status != DTENSOR_OK)
    status = report(t, inputs, NULL, dtensor_last_error());
  else if (at_rest && (counts.bytes_sent || counts.bytes_received || counts.agreements))
    status = report(t, inputs, out, "communicated without need");
  else
    status = compare(t, inputs, out);
done:
  for (int i = 0; i < DTI_OP_INPUTS; i++) dtensor_destroy(&in[i]);
  dtensor_destroy(&out);
  return status;
}

/* ---- which layouts */

typedef struct options {
  int n;
  dtensor_placement p[64];
  int64_t sizes[DTENSOR_MAX_NDIM]; /* explicit ones, of the first tensor dimension */
} options;

/* All that an input may be on one mesh dimension. */
static void list_options(const tried *t, int input, options *all) {
  static const dtensor_reduce_op reductions[] = {DTENSOR_SUM, DTENSOR_AVG, DTENSOR_MAX,
                                                 DTENSOR_MIN};
  all->n = 0;
  all->p[all->n++] = dtensor_replicate();
  for (int d = 0; d < t->sample->in[input].ndim; d++) {
    all->p[all->n++] = dtensor_shard(d);
    all->p[all->n++] = dtensor_shard_balanced(d);
    all->p[all->n++] = dtensor_shard_cyclic(d, 2);
    all->p[all->n++] = dtensor_strided_shard(d, 2);
  }
  if (t->mesh->ndim == 1 && t->sample->in[input].ndim > 0) {
    memset(all->sizes, 0, sizeof all->sizes);
    all->sizes[t->mesh->size - 1] = t->sample->in[input].n[0];
    all->p[all->n++] = dtensor_shard_sizes(0, all->sizes);
  }
  for (int r = 0; r < 4; r++)
    if (dti_dtype_reduces(t->dtype, reductions[r]))
      all->p[all->n++] = dtensor_partial(reductions[r]);
}

static unsigned next_random(unsigned *state) {
  *state = *state * 1664525u + 1013904223u;
  return *state >> 8;
}

static int make_layout(const tried *t, int input, const dtensor_placement p[], dti_layout *layout) {
  return dti_layout_init(layout, t->sample->in[input].ndim, t->sample->in[input].n, t->mesh->ndim,
                         t->mesh->shape, p) == DTENSOR_OK;
}

/* All pairs on one mesh dimension. */
static dtensor_status try_all(const tried *t, const options all[]) {
  const int second = t->op->n_in > 1 ? all[1].n : 1;
  for (int a = 0; a < all[0].n; a++)
    for (int b = 0; b < second; b++) {
      dti_layout layouts[DTI_OP_INPUTS];
      SIM_REQUIRE_TRUE(make_layout(t, 0, &all[0].p[a], &layouts[0]));
      if (t->op->n_in > 1) SIM_REQUIRE_TRUE(make_layout(t, 1, &all[1].p[b], &layouts[1]));
      SIM_REQUIRE_OK(try_layouts(t, layouts, 0));
    }
  return DTENSOR_OK;
}

static dtensor_status try_random(const tried *t, const options all[], unsigned *state) {
  for (int n = 0; n < RANDOM_LAYOUTS; n++) {
    dti_layout layouts[DTI_OP_INPUTS];
    int valid = 1; /* a maximum does not go beside a sum */
    for (int i = 0; i < t->op->n_in; i++) {
      dtensor_placement p[DTENSOR_MAX_NDIM];
      for (int m = 0; m < t->mesh->ndim; m++)
        p[m] = all[i].p[next_random(state) % (unsigned)all[i].n];
      valid &= make_layout(t, i, p, &layouts[i]);
    }
    if (valid) SIM_REQUIRE_OK(try_layouts(t, layouts, 0));
  }
  return DTENSOR_OK;
}

/* ---- rule rows */

static dtensor_placement placement_of_token(int token, unsigned kind) {
  switch (token) {
    case DTI_R:
      return dtensor_replicate();
    case DTI_P_LINEAR:
      return dtensor_partial(kind % 2 ? DTENSOR_AVG : DTENSOR_SUM);
    case DTI_P_SUM:
    case DTI_P_ANY:
      return dtensor_partial(DTENSOR_SUM);
    case DTI_P_MAX:
      return dtensor_partial(DTENSOR_MAX);
    case DTI_P_MIN:
      return dtensor_partial(DTENSOR_MIN);
    default:
      return kind % 4 == 0   ? dtensor_shard(token)
             : kind % 4 == 1 ? dtensor_shard_balanced(token)
             : kind % 4 == 2 ? dtensor_shard_cyclic(token, 1)
                             : dtensor_strided_shard(token, 2);
  }
}

/* Row `first` on the first mesh dimension and random rows on the others. */
static dtensor_status try_row(const tried *t, const dti_rules *rules, int first, unsigned *state) {
  dtensor_placement p[DTI_OP_INPUTS][DTENSOR_MAX_NDIM];
  dtensor_reduce_op out_op = DTENSOR_SUM;
  int any_partial = 0;
  for (int m = 0; m < t->mesh->ndim; m++) {
    const dti_rule *row =
        &rules->row[m == 0 ? first : (int)(next_random(state) % (unsigned)rules->n)];
    const unsigned kind = next_random(state);
    if (row->classes && !(row->classes & dti_dtype_class_of(t->dtype))) return DTENSOR_OK;
    for (int i = 0; i < t->op->n_in; i++) {
      p[i][m] = placement_of_token(row->in[i], kind);
      if (p[i][m].kind == DTENSOR_PARTIAL && !dti_dtype_reduces(t->dtype, p[i][m].op))
        return DTENSOR_OK;
    }
    /* Rows whose results do not go together in one layout are no match. */
    const dtensor_placement out = placement_of_token(row->out, kind);
    if (out.kind != DTENSOR_PARTIAL) continue;
    const dtensor_reduce_op op = out.op == DTENSOR_AVG ? DTENSOR_SUM : out.op;
    if (any_partial && op != out_op) return DTENSOR_OK;
    any_partial = 1;
    out_op = op;
  }
  dti_layout layouts[DTI_OP_INPUTS];
  for (int i = 0; i < t->op->n_in; i++)
    if (!make_layout(t, i, p[i], &layouts[i])) return DTENSOR_OK;
  return try_layouts(t, layouts, 1);
}

static dtensor_status collect_rules(const tried *t, dti_rules *rules) {
  dtensor *in[DTI_OP_INPUTS] = {NULL};
  dtensor_placement p[DTENSOR_MAX_NDIM];
  for (int m = 0; m < t->mesh->ndim; m++) p[m] = dtensor_replicate();
  for (int i = 0; i < t->op->n_in; i++)
    SIM_REQUIRE_OK(
        dtensor_empty(t->mesh, t->dtype, t->sample->in[i].ndim, t->sample->in[i].n, p, &in[i]));
  dti_call call;
  SIM_REQUIRE_OK(dti_call_make(t->op, (const dtensor *const *)in, &t->sample->params, &call));
  rules->n = 0;
  if (t->op->make_rules) t->op->make_rules(&call, rules);
  for (int r = 0; r < t->op->n_rules; r++) dti_rules_add(rules, t->op->rules[r]);
  for (int i = 0; i < DTI_OP_INPUTS; i++) dtensor_destroy(&in[i]);
  return DTENSOR_OK;
}

static dtensor_status try_rows(const tried *t, unsigned *state) {
  dti_rules rules;
  SIM_REQUIRE_OK(collect_rules(t, &rules));
  for (int r = 0; r < rules.n; r++)
    for (int n = 0; n < RANDOM_ROWS; n++) SIM_REQUIRE_OK(try_row(t, &rules, r, state));
  return DTENSOR_OK;
}

/* ---- everything on one mesh */

typedef struct run {
  int n;
  const dti_op *const *ops;
  int ndim;
  const int64_t *shape;
} run;

static dtensor_status try_everything(const run *r, dtensor_mesh *mesh) {
  unsigned state = 2026;
  for (int o = 0; o < r->n; o++)
    for (int s = 0; s < r->ops[o]->n_samples; s++)
      for (int d = 1; d < DTYPES; d++) {
        if (!expected[o][s][d].data) continue;
        const tried t = {r->ops[o], &r->ops[o]->samples[s], &expected[o][s][d], (dtensor_dtype)d,
                         mesh};
        options all[DTI_OP_INPUTS];
        for (int i = 0; i < t.op->n_in; i++) list_options(&t, i, &all[i]);
        SIM_REQUIRE_OK(try_rows(&t, &state));
        if (mesh->ndim == 1 && d == DTENSOR_F64)
          SIM_REQUIRE_OK(try_all(&t, all));
        else
          SIM_REQUIRE_OK(try_random(&t, all, &state));
      }
  return DTENSOR_OK;
}

static dtensor_status on_mesh(dtensor_sim *rank, void *ctx) {
  const run *r = ctx;
  dtensor_mesh *mesh = NULL;
  dtest_set_sim_rank(dtensor_sim_rank(rank), dtensor_sim_size(rank));
  SIM_REQUIRE_OK(dtensor_sim_init_device_mesh(rank, r->ndim, r->shape,
                                              &(dtensor_mesh_opts){.threads = 1}, &mesh));
  const dtensor_status status = try_everything(r, mesh);
  dtensor_mesh_destroy(&mesh);
  return status;
}

/* What one rank computes of all operators, samples and dtypes. */
static dtensor_status compute_expected(dtensor_sim *rank, void *ctx) {
  const run *r = ctx;
  dtensor_mesh *mesh = NULL;
  SIM_REQUIRE_OK(dtensor_sim_init_device_mesh(rank, 1, (int64_t[]){1}, NULL, &mesh));
  for (int o = 0; o < r->n; o++) {
    SIM_REQUIRE_TRUE(r->ops[o]->n_samples > 0 && r->ops[o]->n_samples <= SAMPLES_MAX);
    for (int s = 0; s < r->ops[o]->n_samples; s++)
      for (int d = 1; d < DTYPES; d++) {
        dtensor *in[DTI_OP_INPUTS] = {NULL}, *out = NULL;
        const tried t = {r->ops[o], &r->ops[o]->samples[s], NULL, (dtensor_dtype)d, mesh};
        for (int i = 0; i < t.op->n_in; i++) {
          dti_layout layout;
          const dtensor_placement replicated = dtensor_replicate();
          SIM_REQUIRE_TRUE(make_layout(&t, i, &replicated, &layout));
          SIM_REQUIRE_OK(value_tensor(mesh, t.dtype, &layout, i, &in[i]));
        }
        const dtensor_status status =
            dti_dispatch(t.op, (const dtensor *const *)in, &t.sample->params, &out);
        if (status == DTENSOR_OK) {
          result *e = &expected[o][s][d];
          e->dtype = dtensor_dtype_of(out);
          e->elements = dtensor_size(out, -1);
          e->data = malloc((size_t)e->elements * dtensor_dtype_size(e->dtype) + 1);
          SIM_REQUIRE_NOT_NULL(e->data);
          SIM_REQUIRE_OK(dtensor_full_tensor(out, e->data));
        } else {
          EXPECT_TRUE(status == DTENSOR_EDTYPE || status == DTENSOR_ESHAPE);
        }
        for (int i = 0; i < DTI_OP_INPUTS; i++) dtensor_destroy(&in[i]);
        dtensor_destroy(&out);
      }
  }
  dtensor_mesh_destroy(&mesh);
  return DTENSOR_OK;
}

void conform(int n, const dti_op *const ops[], int ndim, const int64_t shape[]) {
  int ranks = 1;
  for (int m = 0; m < ndim; m++) ranks *= (int)shape[m];
  run r = {n, ops, ndim, shape};
  if (!EXPECT_LE(n, OPS_MAX)) return;
  memset(expected, 0, sizeof expected);
  if (EXPECT_OK(dtensor_sim_run(1, compute_expected, &r)))
    EXPECT_OK(dtensor_sim_run(ranks, on_mesh, &r));
  for (int o = 0; o < n; o++)
    for (int s = 0; s < SAMPLES_MAX; s++)
      for (int d = 0; d < DTYPES; d++) free(expected[o][s][d].data);
}
