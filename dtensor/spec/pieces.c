#include "dtensor/spec/pieces.h"

#include <stdlib.h>
#include <string.h>

#include "dtensor/base/fail.h"

/* A piece with its owner's number (row-major over the splitting mesh dimensions). */
typedef struct cut {
  int64_t owner;
  int64_t mine, theirs, length;
} cut;

typedef struct cutter {
  const dti_axis *other;
  int64_t origin, local; /* where the current run of ours begins: global index on the other side,
                            and local index on ours */
  cut *cuts;
  int64_t count, room;
} cutter;

static dtensor_status keep(const dti_piece *piece, void *ctx) {
  cutter *c = ctx;
  if (c->count == c->room) {
    const int64_t room = c->room ? 2 * c->room : 16;
    cut *cuts = realloc(c->cuts, (size_t)room * sizeof *cuts);
    DTI_CHECK(cuts, DTENSOR_ENOMEM, "no memory for a plan of %lld pieces", (long long)room);
    c->cuts = cuts;
    c->room = room;
  }
  int64_t owner = 0;
  for (int k = 0; k < c->other->levels; k++)
    owner = owner * c->other->parts[k] + piece->coord[c->other->mesh_dim[k]];
  c->cuts[c->count++] =
      (cut){owner, c->local + (piece->begin - c->origin), piece->local, piece->length};
  return DTENSOR_OK;
}

static int by_owner_then_place(const void *a, const void *b) {
  const cut *x = a, *y = b;
  if (x->owner != y->owner) return x->owner < y->owner ? -1 : 1;
  return x->mine < y->mine ? -1 : x->mine > y->mine;
}

/* By owner, stably: cuts come in the order of their places. Owners that take turns are counted, as
 * there are few of them for so many cuts. */
static dtensor_status sort(cutter *c) {
  int64_t owners = 0;
  for (int64_t i = 0; i < c->count; i++)
    if (c->cuts[i].owner >= owners) owners = c->cuts[i].owner + 1;
  if (owners > 2 * c->count) {
    qsort(c->cuts, (size_t)c->count, sizeof *c->cuts, by_owner_then_place);
    return DTENSOR_OK;
  }
  cut *sorted = malloc((size_t)c->count * sizeof *sorted);
  int64_t *at = calloc((size_t)owners + 1, sizeof *at);
  if (sorted && at) {
    for (int64_t i = 0; i < c->count; i++) at[c->cuts[i].owner + 1]++;
    for (int64_t owner = 0; owner < owners; owner++) at[owner + 1] += at[owner];
    for (int64_t i = 0; i < c->count; i++) sorted[at[c->cuts[i].owner]++] = c->cuts[i];
    cut *unsorted = c->cuts;
    c->cuts = sorted;
    sorted = unsorted;
  }
  const int ok = sorted && at;
  free(sorted);
  free(at);
  DTI_CHECK(ok, DTENSOR_ENOMEM, "no memory to sort %lld pieces", (long long)c->count);
  return DTENSOR_OK;
}

static void append_run(dti_run runs[], int64_t first, int64_t *count, int64_t begin,
                       int64_t length) {
  dti_run *last = *count ? &runs[first + *count - 1] : NULL;
  if (last && last->begin + last->length == begin)
    last->length += length;
  else
    runs[first + (*count)++] = (dti_run){begin, length};
}

static void owner_coordinates(const dti_axis *axis, int64_t owner, int64_t coord[]) {
  for (int m = 0; m < DTENSOR_MAX_NDIM; m++) coord[m] = -1;
  for (int k = axis->levels - 1; k >= 0; k--) {
    coord[axis->mesh_dim[k]] = owner % axis->parts[k];
    owner /= axis->parts[k];
  }
}

static dtensor_status group(const cutter *c, dti_pieces *pieces) {
  int64_t shares = 0;
  for (int64_t i = 0; i < c->count; i++)
    shares += i == 0 || c->cuts[i].owner != c->cuts[i - 1].owner;
  const size_t runs = (size_t)c->count + 1; /* never zero: NULL must mean no memory */
  pieces->share = malloc(((size_t)shares + 1) * sizeof *pieces->share);
  pieces->mine = malloc(runs * sizeof *pieces->mine);
  pieces->theirs = malloc(runs * sizeof *pieces->theirs);
  DTI_CHECK(pieces->share && pieces->mine && pieces->theirs, DTENSOR_ENOMEM,
            "no memory for a plan of %lld pieces", (long long)c->count);
  for (int64_t i = 0; i < c->count; i++) {
    if (i == 0 || c->cuts[i].owner != c->cuts[i - 1].owner) {
      dti_share *fresh = &pieces->share[pieces->shares++];
      *fresh = (dti_share){.mine = i, .theirs = i};
      owner_coordinates(c->other, c->cuts[i].owner, fresh->coord);
    }
    dti_share *share = &pieces->share[pieces->shares - 1];
    append_run(pieces->mine, share->mine, &share->mine_count, c->cuts[i].mine, c->cuts[i].length);
    append_run(pieces->theirs, share->theirs, &share->theirs_count, c->cuts[i].theirs,
               c->cuts[i].length);
    share->elements += c->cuts[i].length;
  }
  return DTENSOR_OK;
}

dtensor_status dti_pieces_cut(const dti_axis *mine, const int64_t coord[], const dti_axis *other,
                              const dti_window *window, const int64_t fixed[], dti_pieces *pieces) {
  *pieces = (dti_pieces){0};
  cutter c = {.other = other};
  dtensor_status status = DTENSOR_OK;
  const int64_t shift = window->theirs - window->mine;
  for (int64_t i = 0; i < window->count; i++) {
    const int64_t first = window->mine + window->runs[i].begin;
    const int64_t end = dti_axis_below(mine, coord, first + window->runs[i].length);
    for (int64_t at = dti_axis_below(mine, coord, first), run = 0; at < end; at += run) {
      c.local = at;
      c.origin = dti_axis_global(mine, coord, at, &run) + shift;
      if (run > end - at) run = end - at;
      DTI_TRY_OR(done, status, dti_axis_walk(other, c.origin, c.origin + run, fixed, keep, &c));
    }
  }
  /* Runs come in order; only periodic owners come back and need sorting. */
  int sorted = 1;
  for (int64_t i = 1; i < c.count; i++) sorted &= c.cuts[i - 1].owner <= c.cuts[i].owner;
  if (!sorted) DTI_TRY_OR(done, status, sort(&c));
  status = group(&c, pieces);
done:
  free(c.cuts);
  if (status != DTENSOR_OK) dti_pieces_free(pieces);
  return status;
}

void dti_pieces_free(dti_pieces *pieces) {
  free(pieces->share);
  free(pieces->mine);
  free(pieces->theirs);
  *pieces = (dti_pieces){0};
}
