/* Matrix multiplication with everything that can be chosen, and what it will do.
 *
 * dtensor_matmul() of ops.h is the short form. */
#ifndef DTENSOR_MATMUL_H_
#define DTENSOR_MATMUL_H_

#include <stddef.h>
#include <stdint.h>

#include "dtensor/placement.h"
#include "dtensor/status.h"
#include "dtensor/tensor.h"
#include "dtensor/types.h"

#ifdef __cplusplus
extern "C" {
#endif

/* How an operand enters the product. A conjugate transpose of real elements is a transpose. */
typedef enum dtensor_operand_form {
  DTENSOR_AS_IS = 0,
  DTENSOR_TRANSPOSED,
  DTENSOR_CONJUGATE_TRANSPOSED
} dtensor_operand_form;

/* All zero is the default: c = a b, laid out by the rules of dtensor_matmul(). */
typedef struct dtensor_matmul_opts {
  dtensor_scalar alpha; /* c = alpha a b + beta out; one that was not set is 1, as in */
  dtensor_scalar beta;  /* an all-zero struct, or 0 */
  dtensor_operand_form a_form, b_form;
  dtensor *out; /* write the product here, as this tensor lies; NULL: a new one */
  const dtensor_placement *placements; /* how the new tensor shall lie, one per mesh dimension */
  int64_t max_bytes; /* the most workspace on a rank: copies of operands, and partial
                        products on their way; messages in flight are not counted. k is
                        then worked off in as many steps as it takes. 0: no limit */
} dtensor_matmul_opts;

/* c = alpha op(a) op(b) + beta out.
 *
 * Per mesh dimension, m, n or k is split: as the rules of dtensor_matmul() say, or, where the
 * layout of the product or max_bytes is given, whichever takes the least predicted time. Operands
 * that must move come in panels of k; a panel is multiplied while the next ones travel, and a
 * product that must be reduced or moved leaves in slices while the next one is computed. Inside of
 * a node, operands are read in place from the memory of the ranks that have them. What several
 * ranks of a node need from other nodes comes once: each brings a part, and all read it there.
 * (Where all ranks along a mesh dimension are on one node, or a run of them that is as long on each
 * node; and shards are runs of rows or columns, evenly long if several mesh dimensions make them.)
 *
 * Collective over the mesh.
 *
 *   opts  NULL for defaults. out must not share memory with a or b; its dtype is theirs.
 *   c     a new tensor, owned by the caller; with opts->out one more reference to that tensor, and
 *         c may be NULL.
 *
 * Sums are made in an order that follows from the layouts and the mesh alone: a second run on the
 * same ranks gives the same bits.
 *
 * Errors: those of dtensor_matmul(), and
 *         DTENSOR_EINVAL      beta without out, out together with placements, an unknown form, an
 *                             out that an open request reads
 *         DTENSOR_ESHAPE      out has another shape than the product
 *         DTENSOR_EDTYPE      out has another dtype, or alpha or beta does not fit it
 *         DTENSOR_EPLACEMENT  placements do not fit, or beta with an out that is Partial of another
 *                             reduction than sum and avg
 *         DTENSOR_EBUDGET     max_bytes is too little; nothing was moved
 * After an error out holds nothing of use unless nothing was moved. */
dtensor_status dtensor_matmul_ex(const dtensor *a, const dtensor *b,
                                 const dtensor_matmul_opts *opts, dtensor **c);

/* What dtensor_matmul_ex() will do, on this rank. */
typedef struct dtensor_matmul_info {
  char splits[DTENSOR_MAX_NDIM + 1]; /* per mesh dimension: 'm' 'n' 'k'; 'a' 'b': this operand stays
                                        Partial; '-': all coordinates compute the same */
  int64_t steps;                     /* of k, one after the other, because of max_bytes */
  int64_t panels, slices;            /* of k in a step, and of the product */
  int64_t bytes_a, bytes_b,
      bytes_c;                /* received, or read at the neighbours', as the counters will count */
  int64_t bytes_in_place;     /* of a and b, what is read in the memory of ranks of the same node */
  int a_in_place, b_in_place; /* read where it lies, in this rank's or a neighbour's memory */
  int64_t workspace;          /* bytes */
  double compute, communication, seconds; /* predicted; seconds: of both, overlapped */
} dtensor_matmul_info;

/* Tell the plan. text (may be NULL) becomes a description with the alternatives that lost, cut to
 * size. info may be NULL.
 *
 * Collective over the mesh; nothing is computed or moved. Errors: as dtensor_matmul_ex(). */
dtensor_status dtensor_explain_matmul(const dtensor *a, const dtensor *b,
                                      const dtensor_matmul_opts *opts, dtensor_matmul_info *info,
                                      char *text, size_t size);

#ifdef __cplusplus
}
#endif
#endif
