/* What a redistribution would do: the plan that it would follow, beside those that lost. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "dtensor/base/dtype.h"
#include "dtensor/base/fail.h"
#include "dtensor/comm/node.h"
#include "dtensor/mesh/machine.h"
#include "dtensor/plan.h"
#include "dtensor/redistribute/end.h"
#include "dtensor/redistribute/plan.h"
#include "dtensor/redistribute/redistribute.h"

_Static_assert((int)DTENSOR_ENGINE_DIRECT == (int)DTI_ENGINE_DIRECT &&
                   (int)DTENSOR_ENGINE_COLLECTIVE == (int)DTI_ENGINE_COLLECTIVE &&
                   (int)DTENSOR_ENGINE_HIERARCHICAL == (int)DTI_ENGINE_HIERARCHICAL &&
                   DTENSOR_PLAN_OPTIONS == DTI_CANDIDATES_MAX,
               "the planner's numbers are the users'");

static const char *const engine_names[] = {"direct", "collective", "hierarchical"};

/* What is asked. */
typedef struct inquiry {
  const dtensor *x;
  dti_layout to;
  int64_t max_bytes;
} inquiry;

static dtensor_status check(const dtensor *x, const dtensor_placement to[],
                            const dtensor_redistribute_opts *opts, inquiry *q) {
  DTI_CHECK(x, DTENSOR_EINVAL, "x must not be NULL");
  q->x = x;
  DTI_TRY(dti_redistribute_check(x, x->mesh, to, opts, &q->to));
  q->max_bytes = opts ? opts->max_bytes : 0;
  return dti_tensor_check(x->dtype, &q->to);
}

static dtensor_plan_option option_of(const dti_candidate *c, int chosen) {
  return (dtensor_plan_option){
      .engine = (dtensor_engine)c->engine,
      .steps = c->route.steps,
      .rounds = c->rounds,
      .messages = c->cost.messages,
      .bytes_received = c->cost.bytes_received,
      .bytes_sent = c->cost.bytes_sent,
      .workspace = c->cost.workspace,
      .seconds = c->cost.seconds,
      .fits = c->fits,
      .chosen = chosen,
  };
}

static dtensor_status list_options(const dti_question *question, dtensor_plan_info *info) {
  dti_candidates *candidates = malloc(sizeof *candidates);
  DTI_CHECK(candidates, DTENSOR_ENOMEM, "no memory for %zu bytes of plans", sizeof *candidates);
  const dtensor_status status = dti_route_candidates(question, candidates);
  if (status == DTENSOR_OK) {
    info->options = candidates->n;
    for (int i = 0; i < candidates->n; i++)
      info->option[i] = option_of(&candidates->list[i], i == 0 && candidates->list[i].fits);
    info->engine = info->option[0].engine;
    info->steps = info->option[0].steps;
    info->rounds = info->option[0].rounds;
    info->workspace = info->option[0].workspace;
    info->seconds = info->option[0].seconds;
  }
  free(candidates);
  return status;
}

/* DTENSOR_EBUDGET leaves the options in *info. */
static dtensor_status answer(const inquiry *q, dtensor_plan_info *info) {
  const dti_transfer_item item = dti_transfer_item_of(q->x, q->x->mesh, &q->to, NULL);
  const dti_topology topology = dti_mesh_topology(q->x->mesh);
  *info = (dtensor_plan_info){.steps = 1,
                              .rounds = 1,
                              .ranks_per_node = topology.ranks_per_node,
                              .shared_memory = topology.shared_memory};
  if (dti_transfer_plan_moves_nothing(&item)) return DTENSOR_OK;
  dti_transfer_terms terms = {.max_bytes = q->max_bytes, .is_near = dti_mesh_is_near(q->x->mesh)};
  dti_transfer_terms_of_source(&terms, 1, q->x->is_strided, q->x->is_foreign);
  const dti_question question = dti_transfer_plan_question(&item, &terms);
  DTI_TRY(list_options(&question, info));
  dti_transfer_plan *plan;
  DTI_TRY(dti_transfer_plan_get(&item, &terms, &plan));
  const dti_transfer_plan_totals mine =
      dti_transfer_plan_count(plan, q->x->mesh, dtensor_dtype_size(q->x->dtype));
  dti_transfer_plan_release(&plan);
  info->messages_received = mine.messages_received;
  info->messages_sent = mine.messages_sent;
  info->bytes_received = mine.bytes_received;
  info->bytes_sent = mine.bytes_sent;
  return DTENSOR_OK;
}

/* ---- Text ---- */

typedef struct page {
  char *text;
  size_t size, length; /* of the room, of all that was written or cut */
} page;

static void write(page *p, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void write(page *p, const char *format, ...) {
  va_list args;
  va_start(args, format);
  const size_t room = p->length < p->size ? p->size - p->length : 0;
  const int n = vsnprintf(room ? p->text + p->length : NULL, room, format, args);
  va_end(args);
  if (n > 0) p->length += (size_t)n;
}

static void write_option(page *p, const dtensor_plan_option *o) {
  char rounds[32] = "";
  if (o->rounds > 1) snprintf(rounds, sizeof rounds, " in %" PRId64 " rounds", o->rounds);
  write(p, "%-12s %5d %8" PRId64 " %14" PRId64 " %14" PRId64 " %11.2f  %s%s\n",
        engine_names[o->engine], o->steps, o->messages, o->bytes_received, o->workspace,
        o->seconds * 1e6,
        o->chosen ? "chosen"
        : o->fits ? "slower"
                  : "above max_bytes",
        rounds);
}

static void write_sharing(page *p, const dtensor_mesh *mesh, const dtensor_plan_info *info) {
  write(p, "%" PRId64 " rank%s on a node", info->ranks_per_node,
        info->ranks_per_node > 1 ? "s" : "");
  if (info->shared_memory)
    write(p, ", which read each other's memory\n");
  else if (info->ranks_per_node > 1 && dti_comm_node_reason(mesh->root)[0])
    write(p, ", which do not share memory: %s\n", dti_comm_node_reason(mesh->root));
  else
    write(p, "\n");
}

static void write_page(page *p, const inquiry *q, const dtensor_plan_info *info) {
  char from[512], to[512];
  dtensor_placements_format(q->to.p, q->to.mesh_ndim, to, sizeof to);
  write(p, "%s -> %s, %s\n", dti_layout_text(&q->x->layout, from, sizeof from), to,
        dtensor_dtype_name(q->x->dtype));
  write_sharing(p, q->x->mesh, info);
  if (info->options == 0) {
    write(p, "nothing moves between ranks\n");
    return;
  }
  write(p, "%-12s %5s %8s %14s %14s %11s\n", "engine", "steps", "messages", "bytes received",
        "workspace", "us");
  for (int i = 0; i < info->options; i++) write_option(p, &info->option[i]);
  if (info->option[0].chosen)
    write(p, "this rank receives %" PRId64 " bytes and sends %" PRId64 "\n", info->bytes_received,
          info->bytes_sent);
}

dtensor_status dtensor_explain(const dtensor *x, const dtensor_placement to[],
                               const dtensor_redistribute_opts *opts, dtensor_plan_info *info,
                               char *text, size_t size) {
  DTI_API();
  dtensor_plan_info found = {0};
  if (info) *info = found;
  if (text && size > 0) text[0] = '\0';
  inquiry q;
  DTI_TRY(check(x, to, opts, &q));
  const dtensor_status status = answer(&q, &found);
  if (status != DTENSOR_OK && status != DTENSOR_EBUDGET) return status;
  if (info) *info = found;
  page p = {text, text ? size : 0, 0};
  write_page(&p, &q, &found);
  return status;
}
