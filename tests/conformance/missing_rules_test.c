/* Each kernel on every combination of layouts of its inputs, as they lie, on two ranks that do not
 * talk.
 *
 * What is right and not in the operator's rules may be a missing rule: it is listed in
 * missing_rules.txt among the test's outputs. What is in the rules must be right. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dtensor/ops/dispatch.h"
#include "dtensor/ops/op_list.h"
#include "dtensor/redistribute.h"
#include "dtensor/sim.h"
#include "tests/conformance/values.h"
#include "tests/harness/dtest.h"

enum { RANKS = 2, ELEMENTS_MAX = 256 };

static const dti_op *const ops[] = {
#define DTI_OP(name) &dti_op_##name,
#include "dtensor/ops/op_list.def"
#undef DTI_OP
};

/* The kernel uses the global shape or the coordinate of its rank, so parts are no tensors to it. */
static int looks_around(const dti_op *op) {
  return op == &dti_op_mean || op == &dti_op_trace || op == &dti_op_add_scalar;
}

static const int partials[] = {DTI_P_SUM, DTI_P_MAX, DTI_P_MIN};

/* What a token may be for a tensor of ndim dimensions, 0, 1, ...; 0 at the end. */
static int token_at(int ndim, int i, int *token) {
  *token = i < ndim ? DTI_S(i) : i == ndim ? DTI_R : partials[i < ndim + 4 ? i - ndim - 1 : 0];
  return i < ndim + 4;
}

static const char *token_text(int token, char text[8]) {
  if (token >= 0)
    snprintf(text, 8, "S(%d)", token % 10);
  else
    snprintf(text, 8, "%s",
             token == DTI_R       ? "R"
             : token == DTI_P_MAX ? "P(max)"
             : token == DTI_P_MIN ? "P(min)"
                                  : "P(sum)");
  return text;
}

typedef struct array {
  int ndim;
  int64_t n[DTENSOR_MAX_NDIM];
  double *data; /* ELEMENTS_MAX */
} array;

static int64_t count(const array *a) { return dti_numel(a->ndim, a->n); }

/* Elements before and after dimension d, in row-major order. */
static void around(const array *a, int d, int64_t *outer, int64_t *inner) {
  *outer = dti_numel(d, a->n);
  *inner = dti_numel(a->ndim - d - 1, a->n + d + 1);
}

/* What a rank holds of a global array that lies as the token says; the parts of a Partial differ
 * from input to input. */
static void take_part(const array *whole, int input, int token, int rank, array *part) {
  part->ndim = whole->ndim;
  memcpy(part->n, whole->n, sizeof part->n);
  if (token < 0) {
    for (int64_t i = 0; i < count(whole); i++) {
      const double v = whole->data[i], other = 1 + (double)((i * i * 7 + input) % 5);
      const int holds = (i * (i + 3) / 2 >> input) % RANKS == rank;
      part->data[i] = token == DTI_P_SUM   ? (rank ? other : v - other)
                      : token == DTI_P_MAX ? (holds ? v : v - other)
                      : token == DTI_P_MIN ? (holds ? v : v + other)
                                           : v;
    }
    return;
  }
  int64_t outer, inner;
  around(whole, token, &outer, &inner);
  const int64_t half = whole->n[token] / RANKS, begin = rank * half;
  part->n[token] = half;
  for (int64_t o = 0; o < outer; o++)
    memcpy(part->data + o * half * inner, whole->data + (o * whole->n[token] + begin) * inner,
           (size_t)(half * inner) * sizeof(double));
}

static int is_near(double a, double b) {
  return (isnan(a) && isnan(b)) || a == b || fabs(a - b) <= 1e-10 * fmax(1, fabs(b));
}

/* Whether two parts that lie as the token says are the whole. */
static int make_whole(const array *whole, int token, const array part[RANKS]) {
  array want = {.data = (double[ELEMENTS_MAX]){0}};
  if (token >= 0) {
    for (int rank = 0; rank < RANKS; rank++) {
      take_part(whole, 0, token, rank, &want);
      if (part[rank].ndim != want.ndim ||
          memcmp(part[rank].n, want.n, (size_t)want.ndim * sizeof *want.n) != 0)
        return 0;
      for (int64_t i = 0; i < count(&want); i++)
        if (!is_near(part[rank].data[i], want.data[i])) return 0;
    }
    return 1;
  }
  for (int rank = 0; rank < RANKS; rank++)
    if (part[rank].ndim != whole->ndim ||
        memcmp(part[rank].n, whole->n, (size_t)whole->ndim * sizeof *whole->n) != 0)
      return 0;
  for (int64_t i = 0; i < count(whole); i++) {
    const double a = part[0].data[i], b = part[1].data[i], want_value = whole->data[i];
    const double value = token == DTI_P_SUM ? a + b : token == DTI_P_MAX ? fmax(a, b) : fmin(a, b);
    if (!is_near(value, want_value) || (token == DTI_R && !is_near(a, b))) return 0;
  }
  return 1;
}

/* The operator on arrays of one rank; 0 if it refuses them. */
static int compute(dtensor_mesh *mesh, const dti_op *op, const dti_sample *sample, const array in[],
                   array *out) {
  const dtensor_placement replicated = dtensor_replicate();
  dtensor *x[DTI_OP_INPUTS] = {NULL}, *y = NULL;
  int done = 1;
  for (int i = 0; i < op->n_in; i++)
    done &= dtensor_distribute_tensor(mesh, DTENSOR_F64, in[i].ndim, in[i].n, in[i].data, -1,
                                      &replicated, &x[i]) == DTENSOR_OK;
  done = done && dti_dispatch(op, (const dtensor *const *)x, &sample->params, &y) == DTENSOR_OK &&
         dtensor_dtype_of(y) == DTENSOR_F64 && dtensor_size(y, -1) <= ELEMENTS_MAX;
  if (done) {
    out->ndim = dtensor_ndim(y);
    for (int d = 0; d < out->ndim; d++) out->n[d] = dtensor_size(y, d);
    done = dtensor_full_tensor(y, out->data) == DTENSOR_OK;
  }
  for (int i = 0; i < DTI_OP_INPUTS; i++) dtensor_destroy(&x[i]);
  dtensor_destroy(&y);
  return done;
}

static int token_includes(int rule, int token) {
  return rule == token || (token == DTI_P_SUM && rule == DTI_P_LINEAR) ||
         (rule == DTI_P_ANY && token < DTI_R);
}

static int is_listed(const dti_op *op, const dti_rules *rules, const int in[], int out) {
  for (int r = 0; r < rules->n; r++) {
    const dti_rule *row = &rules->row[r];
    int same = row->out == DTI_P_ANY ? out == in[0] : token_includes(row->out, out);
    for (int i = 0; i < op->n_in; i++) same &= token_includes(row->in[i], in[i]);
    if (same) return 1;
  }
  return 0;
}

/* A call on whole arrays. */
typedef struct whole {
  array in[DTI_OP_INPUTS], out;
  double memory[DTI_OP_INPUTS + 1][ELEMENTS_MAX];
} whole;

/* Whether the parts that the output's token stands for come from the parts of the inputs. */
static int is_right(dtensor_mesh *mesh, const dti_op *op, const dti_sample *sample, const whole *w,
                    const int in[], int out) {
  static double memory[RANKS][DTI_OP_INPUTS + 1][ELEMENTS_MAX];
  array parts[RANKS];
  for (int rank = 0; rank < RANKS; rank++) {
    array x[DTI_OP_INPUTS];
    for (int i = 0; i < op->n_in; i++) {
      x[i].data = memory[rank][i];
      take_part(&w->in[i], i, in[i], rank, &x[i]);
    }
    parts[rank].data = memory[rank][DTI_OP_INPUTS];
    if (!compute(mesh, op, sample, x, &parts[rank])) return 0;
  }
  return make_whole(&w->out, out, parts);
}

/* Samples whose sizes halve: others have no equal parts. */
static int halves(const dti_op *op, const dti_sample *sample) {
  for (int i = 0; i < op->n_in; i++)
    for (int d = 0; d < sample->in[i].ndim; d++)
      if (sample->in[i].n[d] == 0 || sample->in[i].n[d] % RANKS) return 0;
  return 1;
}

/* Values of both signs, or positive ones: what is right with one kind only is a coincidence. */
static int make_call(dtensor_mesh *mesh, const dti_op *op, const dti_sample *sample, double shift,
                     whole *w) {
  for (int i = 0; i < op->n_in; i++) {
    w->in[i] = (array){.ndim = sample->in[i].ndim, .data = w->memory[i]};
    memcpy(w->in[i].n, sample->in[i].n, sizeof sample->in[i].n);
    for (int64_t k = 0; k < count(&w->in[i]); k++)
      w->in[i].data[k] = value_at(i, k, DTENSOR_F64) + shift;
  }
  w->out.data = w->memory[DTI_OP_INPUTS];
  return compute(mesh, op, sample, w->in, &w->out);
}

static void try_tokens(dtensor_mesh *mesh, const dti_op *op, const dti_sample *sample,
                       const dti_rules *rules, const whole calls[2], const int in[], FILE *report) {
  char text[3][8];
  int out, replicated = 1;
  for (int i = 0; i < op->n_in; i++) replicated &= in[i] == DTI_R;
  if (replicated) return; /* that gives replicated: implied */
  for (int k = 0; token_at(calls[0].out.ndim, k, &out); k++) {
    if (out >= 0 && calls[0].out.n[out] % RANKS) continue;
    const int right = is_right(mesh, op, sample, &calls[0], in, out) &&
                      is_right(mesh, op, sample, &calls[1], in, out);
    const int listed = is_listed(op, rules, in, out);
    if (right == listed) continue;
    token_text(in[0], text[0]);
    if (op->n_in > 1)
      token_text(in[1], text[1]);
    else
      text[1][0] = 0;
    token_text(out, text[2]);
    if (listed && !looks_around(op))
      dtest_fail(__FILE__, __LINE__, "%s: %s %s -> %s is a rule, and wrong", op->name, text[0],
                 text[1], text[2]);
    if (right && report) fprintf(report, "%s: %s %s -> %s\n", op->name, text[0], text[1], text[2]);
  }
}

static dtensor_status collect_rules(dtensor_mesh *mesh, const dti_op *op, const dti_sample *sample,
                                    dti_rules *rules) {
  dtensor *x[DTI_OP_INPUTS] = {NULL};
  const dtensor_placement replicated = dtensor_replicate();
  for (int i = 0; i < op->n_in; i++)
    SIM_REQUIRE_OK(
        dtensor_zeros(mesh, DTENSOR_F64, sample->in[i].ndim, sample->in[i].n, &replicated, &x[i]));
  dti_call call;
  SIM_REQUIRE_OK(dti_call_make(op, (const dtensor *const *)x, &sample->params, &call));
  dti_rules_collect(&call, rules);
  for (int i = 0; i < DTI_OP_INPUTS; i++) dtensor_destroy(&x[i]);
  return DTENSOR_OK;
}

static dtensor_status try_sample(dtensor_mesh *mesh, const dti_op *op, const dti_sample *sample,
                                 FILE *report) {
  static whole calls[2];
  dti_rules rules;
  if (!make_call(mesh, op, sample, 0, &calls[0]) || !make_call(mesh, op, sample, 8, &calls[1]))
    return DTENSOR_OK; /* no f64 */
  SIM_REQUIRE_OK(collect_rules(mesh, op, sample, &rules));
  int in[2];
  for (int a = 0; token_at(sample->in[0].ndim, a, &in[0]); a++)
    for (int b = 0; token_at(sample->in[1].ndim, b, &in[1]) && (op->n_in > 1 || b == 0); b++)
      try_tokens(mesh, op, sample, &rules, calls, in, report);
  return DTENSOR_OK;
}

static dtensor_status try_all(dtensor_sim *rank, void *ctx) {
  dtensor_mesh *mesh = NULL;
  SIM_REQUIRE_OK(dtensor_sim_init_device_mesh(rank, 1, (int64_t[]){1}, NULL, &mesh));
  for (size_t o = 0; o < sizeof ops / sizeof *ops; o++)
    for (int s = 0; s < ops[o]->n_samples; s++)
      if (halves(ops[o], &ops[o]->samples[s]))
        SIM_REQUIRE_OK(try_sample(mesh, ops[o], &ops[o]->samples[s], ctx));
  dtensor_mesh_destroy(&mesh);
  return DTENSOR_OK;
}

DTEST(MissingRules, ListedOnesAreRightAndOthersAreReported) {
  const char *folder = getenv("TEST_UNDECLARED_OUTPUTS_DIR");
  char path[1024];
  FILE *report = NULL;
  if (folder && snprintf(path, sizeof path, "%s/missing_rules.txt", folder) < (int)sizeof path)
    report = fopen(path, "w");
  EXPECT_OK(dtensor_sim_run(1, try_all, report));
  if (report) EXPECT_EQ(fclose(report), 0);
}
