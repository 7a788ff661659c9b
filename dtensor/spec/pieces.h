/* One tensor dimension of an exchange: the runs that this rank owns, by the coordinates that own
 * them on the other side. */
#ifndef DTENSOR_SPEC_PIECES_H_
#define DTENSOR_SPEC_PIECES_H_

#include "dtensor/base/region.h"
#include "dtensor/spec/axis.h"

/* What this rank shares with one owner on the other side. */
typedef struct dti_share {
  int64_t
      coord[DTENSOR_MAX_NDIM]; /* the owner's; -1 for mesh dimensions that do not split the axis */
  int64_t mine, theirs;        /* first run in the two tables */
  int64_t mine_count, theirs_count;
  int64_t elements;
} dti_share;

typedef struct dti_pieces {
  int64_t shares;
  dti_share *share; /* in row-major order of the owner's coordinates */
  dti_run *mine;    /* local indices of this rank */
  dti_run *theirs;  /* local indices of the owner */
} dti_pieces;

/* Which indices of one axis are which of the other: run i begins at mine + runs[i].begin on this
 * side and at theirs + runs[i].begin on the other. */
typedef struct dti_window {
  int64_t mine, theirs;
  int64_t count;
  const dti_run *runs; /* sorted, disjoint */
} dti_window;

/* What `coord` owns of the window on `mine`, cut by the owners on `other`; fixed[m] >= 0 takes only
 * owners with that coordinate on mesh dimension m. Errors: DTENSOR_ENOMEM */
dtensor_status dti_pieces_cut(const dti_axis *mine, const int64_t coord[], const dti_axis *other,
                              const dti_window *window, const int64_t fixed[], dti_pieces *pieces);
void dti_pieces_free(dti_pieces *pieces);

#endif
