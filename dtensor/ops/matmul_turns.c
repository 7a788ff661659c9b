/* Panels that come from one rank after another. Every rank begins with the one behind it along the
 * line on which the operand is split, and goes round: so each of them sends to one rank and
 * receives from one at a time, all links are in use, and a panel of so many bytes is one long
 * stretch of k, where one of all ranks together is a short stretch from each. BLAS likes long ones.
 */
#include <stdlib.h>

#include "dtensor/base/fail.h"
#include "dtensor/ops/matmul_job.h"

/* A panel is worth its messages from this many bytes on, and from this much of k; of the last rank
 * come several, as nothing hides behind the last. */
enum { PANEL_BYTES = 1 << 15, PANEL_LENGTH = 48, LAST_PANELS = 4 };

static _Thread_local int64_t forced_turns;

void dti_matmul_force_turns(int64_t panels) {
  dti_matmul_force_panels(panels);
  forced_turns = panels;
}

/* ---- who has what */

/* The mesh dimension along which an operand is gathered that is split on `dim` there; -1: it moves
 * otherwise. */
static int find_line(const dti_operand *operand, int dim) {
  const dti_layout *from = &operand->source->layout, *to = operand->work;
  int line = -1;
  for (int m = 0; m < from->mesh_ndim; m++) {
    if (from->mesh[m] == 1 || dtensor_placement_equal(from->p[m], to->p[m])) continue;
    if (line >= 0 || !dti_placement_is_shard(from->p[m]) || from->p[m].dim != dim ||
        to->p[m].kind != DTENSOR_REPLICATE)
      return -1;
    line = m;
  }
  return line;
}

/* Which coordinate of the line has each segment. 0 if one has several owners, as axes with too many
 * are not cut. */
static int find_owners(const dti_axis *axis, int line, const dti_segments *segments,
                       int64_t owner[]) {
  for (int64_t s = 0; s < segments->n; s++) {
    int64_t coord[DTENSOR_MAX_NDIM], length;
    dti_axis_owner(axis, segments->run[s].begin, coord, &length);
    if (length < segments->run[s].length) return 0;
    owner[s] = coord[line];
  }
  return 1;
}

/* 1 if all have about as much: where one has most, it cannot send that to all of them in turn.
 * room: of one number for each. */
static int have_alike(int64_t ranks, const dti_segments *segments, const int64_t owner[],
                      int64_t room[]) {
  for (int64_t r = 0; r < ranks; r++) room[r] = 0;
  for (int64_t s = 0; s < segments->n; s++) room[owner[s]] += segments->run[s].length;
  int64_t least = room[0], most = room[0];
  for (int64_t r = 1; r < ranks; r++) {
    if (room[r] < least) least = room[r];
    if (room[r] > most) most = room[r];
  }
  return most <= 2 * least;
}

/* ---- the panels */

static void add_panel(dti_matmul_job *job, int64_t first_peer, int64_t end_peer, int64_t begin,
                      int64_t end) {
  /* What a rank has itself comes with what the first of the others has. */
  job->panel[job->panels++] = (dti_panel){.begin = begin,
                                          .end = end,
                                          .first_peer = first_peer > 1 ? first_peer : 0,
                                          .end_peer = end_peer};
}

/* Of one rank, in parts alike. */
static void cut_peer(dti_matmul_job *job, int64_t peer, int64_t parts) {
  for (int64_t i = 0; i < parts; i++)
    add_panel(job, peer, peer + 1, job->grains * i / parts, job->grains * (i + 1) / parts);
}

/* Of the last one: what arrives while the panel before is multiplied, if that takes as long. */
static void cut_last_peer(dti_matmul_job *job, int64_t ranks, int64_t most) {
  const int64_t least = (job->grains + most - 1) / most;
  for (int64_t begin = 0, take; begin < job->grains; begin += take) {
    const int64_t left = job->grains - begin;
    take = left / ranks > least ? left / ranks : least;
    if (left - take < least) take = left;
    add_panel(job, ranks - 1, ranks, begin, begin + take);
  }
}

/* While the multiplication has begun with what is here and takes as long as the communication, it
 * has this much in stock when it comes to rank number `peer` of p: 1 - peer / p of what one rank
 * has. So no panel is longer. */
void dti_matmul_cut_turns(dti_matmul_job *job, int64_t ranks, int64_t most) {
  const int64_t others = ranks - 2, room = DTI_MATMUL_PANELS - LAST_PANELS;
  job->panels = 0;
  job->grains = 4 * most;
  if (others > room) {
    for (int64_t i = 0; i < room; i++)
      add_panel(job, 1 + others * i / room, 1 + others * (i + 1) / room, 0, job->grains);
  } else {
    for (int64_t peer = 1; peer <= others; peer++) {
      const int64_t parts = (2 * ranks - peer - 1) / (ranks - peer),
                    free = room - job->panels - (others - peer);
      cut_peer(job, peer, dti_matmul_least(dti_matmul_least(parts, most), free));
    }
  }
  cut_last_peer(job, ranks, dti_matmul_least(most, DTI_MATMUL_PANELS - job->panels));
}

/* Into how many panels what comes from one rank is cut at most; 0: it is not worth even one. */
static int64_t most_panels(const dti_matmul_job *job, const dti_operand *moved, int64_t ranks) {
  if (forced_turns > 0) return dti_matmul_least(forced_turns, DTI_MATMUL_PANELS);
  const double bytes = dti_matmul_arriving_bytes(job, moved) / (double)(ranks - 1);
  if (bytes < PANEL_BYTES) return 0;
  const int64_t n = dti_segments_shortest(&job->k) / PANEL_LENGTH;
  const double worth = bytes / PANEL_BYTES;
  return n < 1 ? 1 : (double)n > worth ? (int64_t)worth : n;
}

/* ---- */

dtensor_status dti_matmul_cut_in_turn(dti_matmul_job *job) {
  const dti_operand *moved = job->a.is_panelled ? &job->a : &job->b;
  if (job->a.is_panelled == job->b.is_panelled || moved->mode != DTI_OPERAND_MOVED)
    return DTENSOR_OK;
  if (job->near || job->is_in_node || job->c_moves || dti_matmul_is_computed_twice(job))
    return DTENSOR_OK;
  if (forced_turns == 0 && dti_matmul_has_forced_cuts()) return DTENSOR_OK;
  const int line = find_line(moved, moved->k_dim);
  if (line < 0 || job->mesh->shape[line] < 3) return DTENSOR_OK;
  const int64_t ranks = job->mesh->shape[line], me = job->mesh->coord[line];
  const dti_axis axis = dti_axis_of(&moved->source->layout, moved->k_dim);
  const int64_t most = most_panels(job, moved, ranks);
  if (most == 0 || job->k.n < ranks) return DTENSOR_OK;
  int64_t *owner = malloc((size_t)(job->k.n + ranks) * sizeof *owner);
  DTI_CHECK(owner, DTENSOR_ENOMEM, "no memory for %lld owners of segments", (long long)job->k.n);
  if (!find_owners(&axis, line, &job->k, owner) ||
      !have_alike(ranks, &job->k, owner, owner + job->k.n)) {
    free(owner);
    return DTENSOR_OK;
  }
  for (int64_t s = 0; s < job->k.n; s++) owner[s] = (owner[s] - me + ranks) % ranks;
  job->peer = owner;
  job->line = line;
  dti_matmul_cut_turns(job, ranks, most);
  return DTENSOR_OK;
}
