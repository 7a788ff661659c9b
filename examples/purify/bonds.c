#include "bonds.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const double longest = 1.7;  /* Angstrom; the C-C bond in graphene has 1.42 */
static const double shortest = 0.7; /* nearer than that are no two nuclei */

/* Atoms sorted by the cell that they lie in; a cell is as wide as the longest bond, so neighbours
 * are in the 27 cells around. A cell is known by its three numbers, not by a place in a box: a
 * stray atom far away costs nothing. */
typedef struct cell_atom {
  double cell[3]; /* whole numbers: coordinates may be too large for an integer */
  int64_t atom;
} cell_atom;

static int compare_cells(const void *a, const void *b) {
  const double *x = ((const cell_atom *)a)->cell, *y = ((const cell_atom *)b)->cell;
  for (int i = 0; i < 3; i++)
    if (x[i] != y[i]) return x[i] < y[i] ? -1 : 1;
  return 0;
}

static int compare_indices(const void *a, const void *b) {
  const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
  return (x > y) - (x < y);
}

/* The first place in `sorted` that is not before `key`. */
static int64_t lower_bound(const cell_atom sorted[], int64_t n, const cell_atom *key) {
  int64_t low = 0, high = n;
  while (low < high) {
    const int64_t middle = low + (high - low) / 2;
    if (compare_cells(&sorted[middle], key) < 0)
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

static outcome add_neighbor(bonds *b, int64_t used, int64_t *room, int64_t neighbor) {
  if (used == *room) {
    int64_t *larger = realloc(b->neighbor, 2 * (size_t)*room * sizeof *larger);
    if (!larger) return outcome_fail(OUTCOME_FAILED, "no memory for the list of bonds");
    b->neighbor = larger;
    *room *= 2;
  }
  b->neighbor[used] = neighbor;
  return outcome_fine();
}

static double distance(const molecule *m, int64_t i, int64_t j) {
  const double *a = m->position[i], *b = m->position[j];
  return hypot(hypot(a[0] - b[0], a[1] - b[1]), a[2] - b[2]);
}

static outcome find_around(const molecule *m, const cell_atom sorted[], int64_t i,
                           const double cell[3], bonds *b, int64_t *room) {
  int64_t used = b->start[i];
  for (int k = 0; k < 9; k++) {
    /* The three cells along the last axis follow each other in `sorted`. */
    const double x = cell[0] + k / 3 - 1, y = cell[1] + k % 3 - 1;
    const cell_atom from = {.cell = {x, y, cell[2] - 1}}, to = {.cell = {x, y, cell[2] + 1}};
    for (int64_t at = lower_bound(sorted, m->atoms, &from);
         at < m->atoms && compare_cells(&sorted[at], &to) <= 0; at++) {
      const int64_t j = sorted[at].atom;
      const double d = distance(m, i, j);
      if (j == i || d > longest) continue;
      if (d < shortest)
        return outcome_fail(OUTCOME_BAD_INPUT,
                            "carbon atoms %" PRId64 " and %" PRId64
                            " are %.3g Angstrom apart: on top of each other",
                            (i < j ? i : j) + 1, (i < j ? j : i) + 1, d);
      const outcome result = add_neighbor(b, used, room, j);
      if (result.code) return result;
      used++;
    }
  }
  const int64_t found = used - b->start[i];
  qsort(b->neighbor + b->start[i], (size_t)found, sizeof *b->neighbor, compare_indices);
  if (found > b->most) b->most = found;
  b->start[i + 1] = used;
  return outcome_fine();
}

static void cell_of(const double position[3], double cell[3]) {
  for (int k = 0; k < 3; k++) cell[k] = floor(position[k] / longest);
}

outcome bonds_find(const molecule *m, bonds *b) {
  int64_t room = 4 * m->atoms;
  cell_atom *sorted = malloc((size_t)m->atoms * sizeof *sorted);
  *b = (bonds){.atoms = m->atoms,
               .start = calloc((size_t)m->atoms + 1, sizeof *b->start),
               .neighbor = malloc((size_t)room * sizeof *b->neighbor)};
  outcome result = outcome_fine();
  if (!sorted || !b->start || !b->neighbor)
    result = outcome_fail(OUTCOME_FAILED, "no memory for the bonds of %" PRId64 " atoms", m->atoms);

  for (int64_t i = 0; !result.code && i < m->atoms; i++) {
    sorted[i].atom = i;
    cell_of(m->position[i], sorted[i].cell);
  }
  if (!result.code) qsort(sorted, (size_t)m->atoms, sizeof *sorted, compare_cells);
  for (int64_t i = 0; !result.code && i < m->atoms; i++) {
    double cell[3];
    cell_of(m->position[i], cell);
    result = find_around(m, sorted, i, cell, b, &room);
  }
  free(sorted);
  if (result.code) bonds_free(b);
  return result;
}

void bonds_free(bonds *b) {
  free(b->start);
  free(b->neighbor);
  *b = (bonds){0};
}
