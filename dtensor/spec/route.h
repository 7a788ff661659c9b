/* The steps that take a tensor from one layout to another. A route follows from the two layouts
 * alone, so every rank makes the same one without communication. */
#ifndef DTENSOR_SPEC_ROUTE_H_
#define DTENSOR_SPEC_ROUTE_H_

#include "dtensor/spec/box.h"

typedef enum dti_step_kind {
  DTI_STEP_EXCHANGE,  /* a direct exchange (exchange.h) into `to` */
  DTI_STEP_SHARE_OUT, /* where all ranks share memory: each reduces its part of the layout `shares`,
                         in one parcel, and stores it wherever `to` wants it */
  DTI_STEP_GATHER     /* reduce the mesh dimensions `mesh_dims` of a few bytes: all-gather, then add
                         up in order; log p messages deep where an exchange would send p^2 */
} dti_step_kind;

/* How an exchange is carried out. The elements, and the order that sums are made in, are the same
 * in each. */
typedef enum dti_engine {
  DTI_ENGINE_DIRECT,      /* messages between every two ranks that share elements; inside of a node
                             by shared memory */
  DTI_ENGINE_COLLECTIVE,  /* one collective of the ranks that differ in `mesh_dims` only */
  DTI_ENGINE_HIERARCHICAL /* direct inside of a node; between two nodes one message, packed from and
                             unpacked into shared memory */
} dti_engine;

typedef struct dti_step {
  dti_step_kind kind;
  dti_layout to;
  dti_engine engine;
  unsigned mesh_dims; /* bit m: ranks that exchange may differ in mesh dimension m; 0: none do */
  int is_all_gather;  /* every rank brings its whole array, and all others of its group take it */
  int64_t rounds;     /* messages go in so many parts, one after the other; 0: 1 */
} dti_step;

typedef struct dti_route {
  int steps;
  int64_t cut;       /* messages have no more bytes, to fit a budget; 0: they are whole */
  dti_layout shares; /* of the step that shares out */
  dti_step step[DTENSOR_MAX_NDIM];
} dti_route;

/* At most this many bytes of a global tensor count as a few. */
#define DTI_FEW_BYTES 512

/* Values of a few bytes that are summed over several mesh dimensions are gathered at once if all of
 * them are no more than this: then the sum is made in the order of mesh places, as everywhere. Of
 * more ranks one mesh dimension is summed after the other, the first one first. */
#define DTI_GATHERED_BYTES (16 << 10)

/* One exchange moves every element once from where it is to where it must be. Two cases do better
 * in two: a value that is reduced (or lies on one rank alone) and then wanted by several ranks is
 * first reduced (scattered) in pieces, one rank each, and the pieces are gathered: 2 (p-1)/p n
 * bytes per rank instead of (p-1) n. The intermediate layout refines the target's: its extra splits
 * come after the target's own, so that the second exchange only gathers.
 *
 * Of a box (NULL: everything) the layout in between has the shape of the box alone.
 *
 * near: all ranks share memory. Then one rank's value is read by all that want it in one step, a
 * few bytes are reduced by everybody, and a large reduced value is shared out where each rank's
 * share is one parcel: every mesh dimension either stays as it is or is reduced or replicated.
 *
 * Source: Chan, Heimlich, Purkayastha, van de Geijn, "Collective communication: theory, practice,
 * and experience", 2007. */
void dti_route_make(const dti_layout *from, const dti_layout *to, const dti_box *box, int same_mesh,
                    int near, size_t element, dti_route *route);

#endif
